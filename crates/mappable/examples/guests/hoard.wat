;; A guest that allocates regions of 64 KiB, and keeps them, until it is refused.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (type $errors (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (export "allocate-error" (type $allocate-error (eq $errors)))
    (export "[static]mappable.allocate"
      (func (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "allocate-error" (type $allocate-error))

  (core module $Memory (memory (export "memory") 1))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $allocate (canon lower (func $types "[static]mappable.allocate") (memory $mem)))
  (core func $drop (canon resource.drop $mappable))

  (core module $Guest
    (import "env" "memory" (memory 1))
    (import "env" "allocate" (func $allocate (param i64 i32)))
    (import "env" "drop" (func $drop (param i32)))
    ;; Returns how many regions there were; the error's number is at 4 then.
    (func (export "hoard") (result i32)
      (local $count i32)
      (loop $next
        (call $allocate (i64.const 0x10000) (i32.const 0))
        (if (i32.eqz (i32.load8_u (i32.const 0)))
          (then (local.set $count (i32.add (local.get $count) (i32.const 1))) (br $next))))
      (local.get $count))
    (func (export "last-error") (result i32) (i32.load8_u (i32.const 4)))
    ;; A mistake: drops a handle that nobody gave it.
    (func (export "blunder") (call $drop (i32.const 4096))))
  (core instance $guest (instantiate $Guest (with "env" (instance
    (export "memory" (memory $mem)) (export "allocate" (func $allocate)) (export "drop" (func $drop))))))

  (func (export "hoard") (result u32) (canon lift (core func $guest "hoard")))
  (func (export "last-error") (result u8) (canon lift (core func $guest "last-error")))
  (func (export "blunder") (canon lift (core func $guest "blunder"))))
