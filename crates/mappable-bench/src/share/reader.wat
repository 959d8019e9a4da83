  ;; Reads all bytes, 64 in a round: the sum of their 64-bit words.
  (core module $reader
    (import "host" "memory" (memory 1))
    (func (export "sum") (result i64)
      (local $at i32) (local $a v128) (local $b v128)
      (local.set $at (i32.const START))
      (loop $next
        (local.set $a (i64x2.add (local.get $a) (v128.load offset=0 (local.get $at))))
        (local.set $b (i64x2.add (local.get $b) (v128.load offset=16 (local.get $at))))
        (local.set $a (i64x2.add (local.get $a) (v128.load offset=32 (local.get $at))))
        (local.set $b (i64x2.add (local.get $b) (v128.load offset=48 (local.get $at))))
        (br_if $next (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 64)))
          (i32.const END))))
      (local.set $a (i64x2.add (local.get $a) (local.get $b)))
      (i64.add (i64x2.extract_lane 0 (local.get $a)) (i64x2.extract_lane 1 (local.get $a)))))
