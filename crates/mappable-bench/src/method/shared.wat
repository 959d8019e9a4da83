;; Two core modules with one memory of PAGES pages between them: a plain call, and no isolation.
(component
  (core module $memory (memory (export "memory") PAGES))
  ;; Writes one cache line.
  (core module $writer
    (import "host" "memory" (memory 1))
    (func (export "write") (local $line i64)
      (local.set $line (i64.add (i64.load (i32.const 65536)) (i64.const 1)))
      (i64.store offset=0 (i32.const 65536) (local.get $line))
      (i64.store offset=8 (i32.const 65536) (local.get $line))
      (i64.store offset=16 (i32.const 65536) (local.get $line))
      (i64.store offset=24 (i32.const 65536) (local.get $line))
      (i64.store offset=32 (i32.const 65536) (local.get $line))
      (i64.store offset=40 (i32.const 65536) (local.get $line))
      (i64.store offset=48 (i32.const 65536) (local.get $line))
      (i64.store offset=56 (i32.const 65536) (local.get $line))))
  (core module $driver
    (import "host" "memory" (memory 1))
    (import "first" "write" (func $first))
    (import "second" "write" (func $second))
    (func (export "run") (param $rounds i32) (result i64)
      (loop $again
        (call $first)
        (call $second)
        (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      (i64.load (i32.const 65536))))
  (core instance $memory (instantiate $memory))
  (core instance $first (instantiate $writer (with "host" (instance $memory))))
  (core instance $second (instantiate $writer (with "host" (instance $memory))))
  (core instance $driver (instantiate $driver
    (with "host" (instance $memory)) (with "first" (instance $first)) (with "second" (instance $second))))
  (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))
