;; Two components that pass SIZE bytes back and forth as a list: a copy each way. PAGES is the size of their memories.
(component
  (core module $memory
    (memory (export "memory") PAGES)
    ;; One buffer for the list that comes in, so that no allocator is measured.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  ;; Writes one cache line at the front of the buffer.
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

  (component $second
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $writer (core module $writer))
    (core instance $own (instantiate $memory))
    (core instance $writer (instantiate $writer (with "host" (instance (export "memory" (memory $own "memory"))))))
    (core module $visitor
      (import "host" "memory" (memory 1))
      (import "host" "write" (func $write))
      (func (export "visit") (param $at i32) (param $len i32) (result i32)
        (call $write)
        (i32.store (i32.const 16) (local.get $at))
        (i32.store (i32.const 20) (local.get $len))
        (i32.const 16)))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $own "memory")) (export "write" (func $writer "write"))))))
    (func (export "visit") (param "bytes" (list u8)) (result (list u8))
      (canon lift (core func $visitor "visit") (memory $own "memory") (realloc (func $own "realloc")))))

  (component $first
    (import "second" (func $second (param "bytes" (list u8)) (result (list u8))))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $writer (core module $writer))
    (core instance $own (instantiate $memory))
    (core instance $writer (instantiate $writer (with "host" (instance (export "memory" (memory $own "memory"))))))
    (core func $lowered (canon lower (func $second) (memory $own "memory") (realloc (func $own "realloc"))))
    (core module $driver
      (import "host" "memory" (memory 1))
      (import "host" "write" (func $write))
      (import "host" "second" (func $second (param i32 i32 i32)))
      ;; Answers what the last line holds: how often it has been written.
      (func (export "run") (param $rounds i32) (result i64)
        (loop $again
          (call $write)
          (call $second (i32.const 65536) (i32.const SIZE) (i32.const 16))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (i64.load (i32.const 65536))))
    (core instance $driver (instantiate $driver (with "host" (instance
      (export "memory" (memory $own "memory"))
      (export "write" (func $writer "write"))
      (export "second" (func $lowered))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))

  (instance $b (instantiate $second))
  (instance $a (instantiate $first (with "second" (func $b "visit"))))
  (export "run" (func $a "run")))
