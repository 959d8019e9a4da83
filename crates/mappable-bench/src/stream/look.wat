;; The sum of all words.
      (func $sum (result i64)
        (local $at i32) (local $a v128) (local $b v128)
        (local.set $at (i32.const START))
        (loop $next
          (local.set $a (i64x2.add (local.get $a) (v128.load offset=0 (local.get $at))))
          (local.set $b (i64x2.add (local.get $b) (v128.load offset=16 (local.get $at))))
          (local.set $a (i64x2.add (local.get $a) (v128.load offset=32 (local.get $at))))
          (local.set $b (i64x2.add (local.get $b) (v128.load offset=48 (local.get $at))))
          (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (i32.const END))))
        (local.set $a (i64x2.add (local.get $a) (local.get $b)))
        (i64.add (i64x2.extract_lane 0 (local.get $a)) (i64x2.extract_lane 1 (local.get $a))))
      ;; Adds the marks of an element, or all of its words. The first is compared in full.
      (func $look (local $marks i64)
        (local.set $marks (i64.add
          (i64.add (i64.load (i32.const START)) (i64.load (i32.const MIDDLE)))
          (i64.load (i32.const LAST))))
        (if (global.get $first) (then
          (if (i64.ne (i64.sub (call $sum) (local.get $marks)) (i64.const REST)) (then unreachable))
          (global.set $first (i32.const 0))))
        (global.set $found (i64.add (global.get $found)
          (if (result i64) (i32.const ALL) (then (call $sum)) (else (local.get $marks))))))
