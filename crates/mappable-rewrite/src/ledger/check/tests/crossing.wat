;; What the ledger tier makes of a component with functions that go the engine's way, with stand-ins for trusted modules.
(component $root
  (import "mappable:k0/types@0.1.0" (instance $types
    (export "mappable" (type $m (sub resource)))
    (export "frozen" (type $f (sub resource)))
    (export "[method]mappable.size" (func (param "self" (borrow $m)) (result u64)))
    (export "[method]frozen.size" (func (param "self" (borrow $f)) (result u64)))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "frozen" (type $frozen))
  (import "mappable:k0/ledger@0.1.0" (instance $ledger
    (alias outer 1 $mappable (type $m'))
    (export "mappable" (type $m (eq $m')))
    (alias outer 1 $frozen (type $f'))
    (export "frozen" (type $f (eq $f')))
    (export "join" (func (param "memory" (list u8)) (param "name" (list u8)) (result u32)))
    (export "mappable-size" (func (param "self" u32) (result u64)))))
  (type $other (resource (rep i32)))
  (import "give" (func $give (param "m" (own $mappable))))
  (import "freeze" (func $freeze (param "m" (own $frozen))))
  (import "lend" (func $lend (param "m" (borrow $mappable))))
  (import "number" (func $number (param "n" u32)))

  (core module $ledger-memory (memory (export "memory") 1))
  (core module $table-module
    (import "" "ledger" (memory 1))
    (import "" "join" (func (param i32 i32 i32 i32) (result i32)))
    (import "" "discard-mappable" (func (param i32)))
    (import "" "discard-frozen" (func (param i32)))
    (global (export "forbidden") (mut i32) (i32.const 0)))
  (core module $size-module
    (import "" "callee" (func (param i32) (result i64)))
    (import "" "engine" (func (param i32) (result i64)))
    (import "" "ledger" (memory 1))
    (func (export "call") (param i32) (result i64) i64.const 0))
  (core module $give-module
    (import "" "callee" (func (param i32)))
    (import "" "forbidden" (global (mut i32)))
    (func (export "call") (param i32)))
  (core module $take-module
    (import "" "callee" (func (result i32)))
    (func (export "call") (result i32) i32.const 0))
  (core module $return-module
    (import "" "callee" (func (param i32)))
    (func (export "call") (param i32) nop))
  (core module $stream-module
    (import "" "callee" (func (param i32 i32 i32) (result i32)))
    (func (export "call") (param i32 i32 i32) (result i32) i32.const 0))
  (core module $future-module
    (import "" "callee" (func (param i32 i32) (result i32)))
    (func (export "call") (param i32 i32) (result i32) i32.const 0))
  ;; Two wrappers in one.
  (core module $bundle
    (import "" "callee" (func (param i32)))
    (import "" "forbidden" (global (mut i32)))
    (import "" "callee#1" (func (param i32)))
    (func (export "0") (param i32))
    (func (export "1") (param i32) nop))
  (core module $guest-libc
    (memory (export "memory") 1)
    (global (export "stack") (mut i32) (i32.const 0))
    (func (export "take") (result i32) i32.const 0))
  (core module $guest-user
    (import "host" "size" (func (param i32) (result i64)))
    (import "host" "give" (func (param i32)))
    (import "host" "return" (func (param i32)))
    (import "host" "give-again" (func (param i32)))
    (import "host" "lend-again" (func (param i32)))
    (import "host" "stream" (func (param i32 i32 i32) (result i32)))
    (import "host" "future" (func (param i32 i32) (result i32))))

  (core instance $libc (instantiate $guest-libc))
  (core instance $ledger-memory (instantiate $ledger-memory))
  (alias core export $ledger-memory "memory" (core memory $ledger-memory))
  (alias export $ledger "join" (func $join))
  (core func $join' (canon lower (func $join) (memory $ledger-memory)))
  (core func $discard-mappable (canon resource.drop $mappable))
  (core func $discard-frozen (canon resource.drop $frozen))
  (core func $discard-other (canon resource.drop $other))
  (core instance $table (instantiate $table-module (with "" (instance
    (export "ledger" (memory $ledger-memory))
    (export "join" (func $join'))
    (export "discard-mappable" (func $discard-mappable))
    (export "discard-frozen" (func $discard-frozen))))))

  (alias export $ledger "mappable-size" (func $size))
  (core func $size' (canon lower (func $size)))
  (core func $engine (canon lower (func $types "[method]mappable.size")))
  (core func $other-engine (canon lower (func $types "[method]frozen.size")))
  (core instance $size (instantiate $size-module (with "" (instance
    (export "callee" (func $size'))
    (export "engine" (func $engine))
    (export "ledger" (memory $ledger-memory))))))

  (core func $give' (canon lower (func $give)))
  (core func $freeze' (canon lower (func $freeze)))
  (core func $lend' (canon lower (func $lend)))
  (core func $number' (canon lower (func $number)))
  (core instance $give (instantiate $give-module (with "" (instance
    (export "callee" (func $give'))
    (export "forbidden" (global $table "forbidden"))))))
  (core func $give-again (canon lower (func $give)))
  (core func $lend-again (canon lower (func $lend)))
  (core instance $both (instantiate $bundle (with "" (instance
    (export "callee" (func $give-again))
    (export "forbidden" (global $table "forbidden"))
    (export "callee#1" (func $lend-again))))))

  (core func $return' (canon task.return (result (own $mappable))))
  (core instance $return (instantiate $return-module (with "" (instance (export "callee" (func $return'))))))
  (type $stream (stream (own $mappable)))
  (core func $stream' (canon stream.write $stream async (memory $libc "memory")))
  (core instance $stream (instantiate $stream-module (with "" (instance (export "callee" (func $stream'))))))
  (type $future (future (own $mappable)))
  (core func $future' (canon future.write $future async (memory $libc "memory")))
  (core instance $future (instantiate $future-module (with "" (instance (export "callee" (func $future'))))))

  (core instance $user (instantiate $guest-user (with "host" (instance
    (export "size" (func $size "call"))
    (export "give" (func $give "call"))
    (export "return" (func $return "call"))
    (export "give-again" (func $both "0"))
    (export "lend-again" (func $both "1"))
    (export "stream" (func $stream "call"))
    (export "future" (func $future "call"))))))

  (core instance $take (instantiate $take-module (with "" (instance (export "callee" (func $libc "take"))))))
  (func $take (result (own $mappable)) (canon lift (core func $take "call")))
  (export "take" (func $take))
)
