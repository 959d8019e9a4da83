;; A component that takes a TYPE, a list of bytes or a string, of LEN bytes (`take`, which answers the first four), and one
;; that calls it with another each time (`run`). EXPORT is what is given to the host. PAGES is the size of their memories.
(component
  (component $taker
    (core module $m
      (memory (export "memory") PAGES)
      ;; One buffer for what comes in, so that no allocator is measured.
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "take") (param $at i32) (param $len i32) (result i32)
        (if (i32.ne (local.get $len) (i32.const LEN)) (then (return (i32.const -1))))
        (if (i32.ne (i32.load8_u (i32.sub (i32.add (local.get $at) (local.get $len)) (i32.const 1))) (i32.const 122))
          (then (return (i32.const -2))))
        (i32.load (local.get $at))))
    (core instance $m (instantiate $m))
    (func (export "take") (param "it" TYPE) (result u32)
      (canon lift (core func $m "take") (memory $m "memory") (realloc (func $m "realloc")))))
  (component $giver
    (import "take" (func $take (param "it" TYPE) (result u32)))
    (core module $memory (memory (export "memory") PAGES))
    (core instance $memory (instantiate $memory))
    (core func $take (canon lower (func $take) (memory $memory "memory")))
    (core module $driver
      (import "" "memory" (memory 1))
      (import "" "take" (func $take (param i32 i32) (result i32)))
      (global $done (mut i64) (i64.const 0))
      (func (export "run") (param $rounds i32) (result i64) (local $mark i32)
        (memory.fill (i32.const 65536) (i32.const 97) (i32.const LEN))
        (i32.store8 (i32.sub (i32.const 65536) (i32.sub (i32.const 1) (i32.const LEN))) (i32.const 122))
        (loop $again
          ;; Four characters.
          (local.set $mark (i32.and (local.get $rounds) (i32.const 0x7f7f7f7f)))
          (i32.store (i32.const 65536) (local.get $mark))
          (global.set $done (i64.add (global.get $done) (i64.extend_i32_u (i32.eq
            (call $take (i32.const 65536) (i32.const LEN))
            (local.get $mark)))))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (global.get $done)))
    (core instance $driver (instantiate $driver
      (with "" (instance (export "memory" (memory $memory "memory")) (export "take" (func $take))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))
  (instance $taker (instantiate $taker))
  (instance $giver (instantiate $giver (with "take" (func $taker "take"))))
  (export "EXPORT" (func EXPORTED)))
