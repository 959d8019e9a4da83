;; What a component does with a reference to a frozen region of SIZE bytes that it is given.
(core module $reader
  (import "host" "memory" (memory 1))
  (import "host" "map" (func $map (param i32 i32 i32 i32)))
  (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
  ;; How often it has read one.
  (global $count (mut i64) (i64.const 0))
  (func $ok (result i32)
    (if (i32.load8_u (i32.const 16)) (then unreachable))
    (i32.load (i32.const 20)))
  ;; Maps what it is given, reads one cache line, unmaps it, and gives it back.
  (func $visit (export "visit") (param $frozen i32) (result i32)
    (local $word i32)
    (call $map (local.get $frozen) (i32.const 65536) (i32.const SIZE) (i32.const 16))
    (local.set $frozen (call $ok))
    (loop $next
      (if (i64.ne (i64.load offset=65536 (local.get $word)) (i64.const 0)) (then unreachable))
      (br_if $next (i32.lt_u (local.tee $word (i32.add (local.get $word) (i32.const 8))) (i32.const 64))))
    (global.set $count (i64.add (global.get $count) (i64.const 1)))
    (call $unmap (local.get $frozen) (i32.const 65536) (i32.const SIZE) (i32.const 16))
    (call $ok))
  ;; Two components read it in turn: this one and the other.
  (func (export "read") (param $frozen i32) (result i32 i64)
    (local.get $frozen)
    (i64.mul (global.get $count) (i64.const 2))))
