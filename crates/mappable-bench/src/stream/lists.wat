;; The same with a list of SIZE bytes, which the producer passes to each consumer by a call.
(component
  (core module $memory
    (memory (export "memory") PAGES)
    ;; The list comes to where it is looked at.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const START)))

  (component $consumer
    (alias outer 1 $memory (core module $memory))
    (core instance $own (instantiate $memory))
    (core module $code
      (import "host" "memory" (memory 1))
      (global $found (mut i64) (i64.const 0))
      (global $first (mut i32) (i32.const 1))
      LOOK
      (func (export "take") (param i32 i32) (call $look))
      (func (export "found") (result i64)
        (global.get $found)
        (global.set $found (i64.const 0))))
    (core instance $code (instantiate $code (with "host" (instance (export "memory" (memory $own "memory"))))))
    (func (export "take") (param "element" (list u8))
      (canon lift (core func $code "take") (memory $own "memory") (realloc (func $own "realloc"))))
    (func (export "found") (result u64) (canon lift (core func $code "found"))))

  (component $producer
    CONSUMERS-IMPORTED
    (alias outer 1 $memory (core module $memory))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    CONSUMERS-LOWERED
    (core module $code
      (import "host" "memory" (memory 1))
      CONSUMERS-USED
      (global $number (mut i64) (i64.const 0))
      MARK
      (func (export "run") (param $count i32) (result i64) (local $expected i64)
        (if (i64.eqz (global.get $number)) (then (call $fill)))
        (loop $next
          (global.set $number (i64.add (global.get $number) (i64.const 1)))
          (local.set $expected (i64.add (local.get $expected)
            (i64.add (i64.const EACH) (i64.mul (i64.const 3) (global.get $number)))))
          (call $mark)
          PASS
          (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        CHECK
        (global.get $number)))
    (core instance $code (instantiate $code (with "host" (instance
      (export "memory" (memory $mem))
      CONSUMERS-GIVEN))))
    (func (export "run") (param "count" u32) (result u64) (canon lift (core func $code "run"))))

  INSTANCES
  (export "run" (func $p "run")))
