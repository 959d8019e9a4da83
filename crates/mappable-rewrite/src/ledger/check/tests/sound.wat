;; What the ledger tier makes of two components, one of which calls the other, with stand-ins for trusted modules.
;; What is made for each of the two alike is put in by the test at `;; prelude`, with `a` and `b` for its `@`.
(component $root
  (import "mappable:k0/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "granule" (func (result u32)))
    (export "[method]mappable.size" (func (param "self" (borrow $mappable)) (result u64)))))
  (import "mappable:k0/ledger@0.1.0" (instance $ledger
    (export "join" (func (param "memory" (list u8)) (param "name" (list u8)) (result u32)))
    (export "more" (func (param "table" u32)))
    (export "memory-number" (func (param "memory" (list u8)) (result u32)))
    (export "window" (func (param "table" u32) (param "memory" (list u8))))
    (export "mappable-size" (func (param "self" u32) (result u64)))
    (export "frozen-size" (func (param "self" u32) (result u64)))
    (export "mappable-write" (func (param "self" u32) (param "offset" u64) (param "bytes" (list u8)) (result u32)))))

  (core module $ledger-memory (memory (export "memory") 1))
  (core module $window-memory (memory (export "memory") 3))
  (core module $table-module
    (import "" "ledger" (memory 1))
    (import "" "join" (func $join (param i32 i32 i32 i32) (result i32)))
    (import "" "more" (func (param i32)))
    (global (export "number") (mut i32) (i32.const 0))
    (global (export "forbidden") (mut i32) (i32.const 0))
    (func (export "take") (param i32) (result i32) local.get 0)
    (func (export "put") (param i32) (result i32) local.get 0)
    (func (export "drop-mappable") (param i32)))
  (core module $window-start
    (import "" "window" (memory 3))
    (import "" "aim" (func (param i32 i32 i32)))
    (import "" "number" (global (mut i32))))
  (core module $guard
    (import "" "callee" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "forbidden" (global (mut i32)))
    (func (export "call") (param i32 i32 i32 i32) (result i32) i32.const 0))
  (core module $may-leave-granule
    (import "" "callee" (func (result i32)))
    (import "" "forbidden" (global (mut i32)))
    (func (export "call") (result i32) i32.const 0))
  (core module $may-leave-plain
    (import "" "callee" (func (param i32) (result i32)))
    (import "" "forbidden" (global (mut i32)))
    (func (export "call") (param i32) (result i32) i32.const 0))
  (core module $size
    (import "" "callee" (func (param i32) (result i64)))
    (import "" "ledger" (memory 1))
    (import "" "take" (func (param i32) (result i32)))
    (func (export "call") (param i32) (result i64) i64.const 0))
  (core module $frozen-size
    (import "" "callee" (func (param i32) (result i64)))
    (import "" "ledger" (memory 1))
    (func (export "call") (param i32) (result i64) i64.const 0))
  (core module $write
    (import "" "callee" (func (param i32 i64 i32 i32) (result i32)))
    (import "" "ledger" (memory 1))
    (import "" "guest" (memory 1))
    (import "" "take" (func (param i32) (result i32)))
    (import "" "memory-number" (func (param i32 i32) (result i32)))
    (func (export "call") (param i32 i64 i32 i32) (result i32) i32.const 0))
  (core module $lower
    (import "" "callee" (func (param i32 i32 i32 i32)))
    (import "" "guest" (memory 1))
    (import "" "realloc" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "ledger" (memory 1))
    (import "" "take" (func (param i32) (result i32)))
    (import "" "memory-number" (func (param i32 i32) (result i32)))
    (func (export "call") (param i32 i32 i32 i32)))
  (core module $lift
    (import "" "callee" (func (param i32 i32 i32) (result i32)))
    (import "" "guest" (memory 1))
    (import "" "realloc" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "ledger" (memory 1))
    (import "" "window" (memory 3))
    (import "" "put" (func (param i32) (result i32)))
    (func (export "call") (param i32 i32 i32) (result i32) i32.const 0))

  (core module $guest-libc
    (memory (export "memory") 1)
    (memory (export "second") 3)
    (table (export "table") 1 funcref)
    (global (export "stack") (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "again") (param i32 i32 i32 i32) (result i32) i32.const 0))
  (core module $guest-b
    (import "libc" "memory" (memory 1))
    (import "host" "drop" (func (param i32)))
    (import "host" "size" (func (param i32) (result i64)))
    (import "host" "write" (func (param i32 i64 i32 i32) (result i32)))
    (import "host" "granule" (func (result i32)))
    (func (export "take") (param i32 i32 i32) (result i32) i32.const 0))
  (core module $guest-a
    (import "libc" "memory" (memory 1))
    (import "host" "drop" (func (param i32)))
    (import "b" "take" (func (param i32 i32 i32 i32)))
    (import "b" "plain" (func (param i32) (result i32)))
    (func $start)
    (start $start)
    (func (export "run") (param i32) (result i32) i32.const 0))

  (component $b
    (alias outer $root $size (core module $size-module))
    (alias outer $root $write (core module $write-module))
    (alias outer $root $lift (core module $lift-module))
    (alias outer $root $guest-b (core module $guest-b))
    ;; prelude b
    (import "types" (instance $types
      (export "mappable" (type $mappable (sub resource)))
      (export "granule" (func (result u32)))
      (export "[method]mappable.size" (func (param "self" (borrow $mappable)) (result u64)))))
    (alias export $ledger "mappable-size" (func $size))
    (core func $size' (canon lower (func $size)))
    (core instance $size (instantiate $size-module (with "" (instance
      (export "callee" (func $size'))
      (export "ledger" (memory $ledger-memory-b))
      (export "take" (func $take-b))))))
    (alias export $ledger "mappable-write" (func $write))
    (core func $write' (canon lower (func $write) (memory $memory)))
    (core instance $write (instantiate $write-module (with "" (instance
      (export "callee" (func $write'))
      (export "ledger" (memory $ledger-memory-b))
      (export "guest" (memory $memory))
      (export "take" (func $take-b))
      (export "memory-number" (func $memory-number'))))))
    (alias export $types "granule" (func $granule))
    (core func $granule' (canon lower (func $granule)))
    (alias outer $root $may-leave-granule (core module $may-leave-granule))
    (core instance $may-leave (instantiate $may-leave-granule (with "" (instance
      (export "callee" (func $granule'))
      (export "forbidden" (global $table "forbidden"))))))
    (core instance $guest (instantiate $guest-b
      (with "libc" (instance $libc))
      (with "host" (instance
        (export "drop" (func $table "drop-mappable"))
        (export "size" (func $size "call"))
        (export "write" (func $write "call"))
        (export "granule" (func $may-leave "call"))))))
    (core instance $lift (instantiate $lift-module (with "" (instance
      (export "callee" (func $guest "take"))
      (export "guest" (memory $memory))
      (export "realloc" (func $realloc))
      (export "ledger" (memory $ledger-memory-b))
      (export "window" (memory $window-memory-b))
      (export "put" (func $put-b))))))
    (type $take (func (param "m" u32) (param "bytes" (tuple u32 u32)) (result (tuple u32 u32))))
    (func (export "take") (type $take)
      (canon lift (core func $lift "call") (memory $memory) (realloc $realloc)))
    (type $own (resource (rep i32)))
    (core func $drop-own (canon resource.drop $own))
    (core module $guest-plain (func (export "plain") (param i32) (result i32) i32.const 0))
    (core instance $plain (instantiate $guest-plain))
    (func (export "plain") (param "n" u32) (result u32) (canon lift (core func $plain "plain"))))

  (component $a
    (alias outer $root $lower (core module $lower-module))
    (alias outer $root $guest-a (core module $guest-a))
    ;; prelude a
    (import "take" (func $take (param "m" u32) (param "bytes" (tuple u32 u32)) (result (tuple u32 u32))))
    (import "plain" (func $plain (param "n" u32) (result u32)))
    (core func $take' (canon lower (func $take) (memory $memory) (realloc $realloc)))
    (core func $plain' (canon lower (func $plain)))
    (alias outer $root $may-leave-plain (core module $may-leave-plain))
    (core instance $may-leave (instantiate $may-leave-plain (with "" (instance
      (export "callee" (func $plain'))
      (export "forbidden" (global $table "forbidden"))))))
    (core instance $lower (instantiate $lower-module (with "" (instance
      (export "callee" (func $take'))
      (export "guest" (memory $memory))
      (export "realloc" (func $realloc))
      (export "ledger" (memory $ledger-memory-a))
      (export "take" (func $take-a))
      (export "memory-number" (func $memory-number'))))))
    (core instance $guest (instantiate $guest-a
      (with "libc" (instance $libc))
      (with "host" (instance (export "drop" (func $table "drop-mappable"))))
      (with "b" (instance
        (export "take" (func $lower "call"))
        (export "plain" (func $may-leave "call"))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $guest "run"))))

  (instance $b (instantiate $b
    (with "mappable:k0/ledger@0.1.0" (instance $ledger))
    (with "types" (instance $types))))
  (instance $a (instantiate $a
    (with "mappable:k0/ledger@0.1.0" (instance $ledger))
    (with "take" (func $b "take"))
    (with "plain" (func $b "plain"))))
  (export "run" (func $a "run"))
)
