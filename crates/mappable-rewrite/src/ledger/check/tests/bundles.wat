;; Two components, one of which calls two functions of the other, with stand-ins for trusted modules of many wrappers: each
;; wrapper in them has another memory and `realloc`. What is made for each of the two alike is put in by the test at
;; `;; prelude`.
(component $root
  (import "mappable:k0/ledger@0.1.0" (instance $ledger
    (export "join" (func (param "memory" (list u8)) (param "name" (list u8)) (result u32)))))

  (core module $ledger-memory (memory (export "memory") 1))
  (core module $table-module
    (import "" "ledger" (memory 1))
    (import "" "join" (func $join (param i32 i32 i32 i32) (result i32)))
    (global (export "forbidden") (mut i32) (i32.const 0)))
  ;; The first keeps no context slot.
  (core module $guards
    (import "" "callee" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "forbidden" (global (mut i32)))
    (import "" "callee#1" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "get" (func (result i32)))
    (import "" "set" (func (param i32)))
    (import "" "callee#2" (func (param i32 i32 i32 i32) (result i32)))
    (func (export "0") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "1") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "2") (param i32 i32 i32 i32) (result i32) i32.const 0))
  (core module $lowers
    (import "" "callee" (func (param i32 i32 i32)))
    (import "" "guest" (memory 1))
    (import "" "realloc" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "ledger" (memory 1))
    (import "" "callee#1" (func (param i32 i32 i32)))
    (import "" "guest#1" (memory 1))
    (import "" "realloc#1" (func (param i32 i32 i32 i32) (result i32)))
    (func (export "0") (param i32 i32 i32))
    (func (export "1") (param i32 i32 i32)))
  (core module $lifts
    (import "" "callee" (func (param i32 i32) (result i32)))
    (import "" "guest" (memory 1))
    (import "" "realloc" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "ledger" (memory 1))
    (import "" "callee#1" (func (param i32 i32) (result i32)))
    (import "" "guest#1" (memory 1))
    (import "" "realloc#1" (func (param i32 i32 i32 i32) (result i32)))
    (func (export "0") (param i32 i32) (result i32) i32.const 0)
    (func (export "1") (param i32 i32) (result i32) i32.const 0))

  (core module $guest-libc
    (memory (export "memory") 1)
    (memory (export "second") 1)
    (func (export "plain") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "again") (param i32 i32 i32 i32) (result i32) i32.const 0))
  (core module $guest-b
    (import "host" "get" (func (result i32)))
    (func (export "run") (param i32 i32))
    (func (export "take") (param i32 i32) (result i32) i32.const 0)
    (func (export "take-again") (param i32 i32) (result i32) i32.const 0))
  (core module $guest-a
    (import "b" "take" (func (param i32 i32 i32)))
    (import "b" "take-again" (func (param i32 i32 i32))))

  (component $b
    ;; prelude
    (alias outer $root $lifts (core module $lifts-module))
    (alias outer $root $guest-b (core module $guest-b))
    (core func $guests-get (canon context.get i32 0))
    (core instance $guest (instantiate $guest-b (with "host" (instance (export "get" (func $guests-get))))))
    (core instance $lifts (instantiate $lifts-module (with "" (instance
      (export "callee" (func $guest "take"))
      (export "guest" (memory $memory))
      (export "realloc" (func $realloc))
      (export "ledger" (memory $ledger-memory))
      (export "callee#1" (func $guest "take-again"))
      (export "guest#1" (memory $second))
      (export "realloc#1" (func $again))))))
    (type $take (func (param "bytes" (tuple u32 u32)) (result (tuple u32 u32))))
    (func (export "take") (type $take) (canon lift (core func $lifts "0") (memory $memory) (realloc $realloc)))
    (func (export "take-again") (type $take) (canon lift (core func $lifts "1") (memory $second) (realloc $again)))
    (func (export "run") (param "bytes" (list u8))
      (canon lift (core func $guest "run") (memory $memory) (realloc $plain))))

  (component $a
    ;; prelude
    (alias outer $root $lowers (core module $lowers-module))
    (alias outer $root $guest-a (core module $guest-a))
    (type $take (func (param "bytes" (tuple u32 u32)) (result (tuple u32 u32))))
    (import "take" (func $take (type $take)))
    (import "take-again" (func $take-again (type $take)))
    (core func $take' (canon lower (func $take) (memory $memory) (realloc $realloc)))
    (core func $take-again' (canon lower (func $take-again) (memory $second) (realloc $again)))
    (core instance $lowers (instantiate $lowers-module (with "" (instance
      (export "callee" (func $take'))
      (export "guest" (memory $memory))
      (export "realloc" (func $realloc))
      (export "ledger" (memory $ledger-memory))
      (export "callee#1" (func $take-again'))
      (export "guest#1" (memory $second))
      (export "realloc#1" (func $again))))))
    (core instance (instantiate $guest-a (with "b" (instance
      (export "take" (func $lowers "0")) (export "take-again" (func $lowers "1")))))))

  (instance $b (instantiate $b (with "mappable:k0/ledger@0.1.0" (instance $ledger))))
  (instance (instantiate $a
    (with "mappable:k0/ledger@0.1.0" (instance $ledger))
    (with "take" (func $b "take"))
    (with "take-again" (func $b "take-again"))))
)
