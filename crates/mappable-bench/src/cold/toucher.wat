  ;; Adds 1 to the first 64-bit word of each line of 64 bytes: the sum of what they were.
  (core module $toucher
    (import "host" "memory" (memory 1))
    (func (export "touch") (result i64)
      (local $at i32) (local $word i64) (local $sum i64)
      (local.set $at (i32.const 65536))
      (loop $next
        (local.set $sum (i64.add (local.get $sum) (local.tee $word (i64.load (local.get $at)))))
        (i64.store (local.get $at) (i64.add (local.get $word) (i64.const 1)))
        (br_if $next (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 64)))
          (i32.const END))))
      (local.get $sum)))
