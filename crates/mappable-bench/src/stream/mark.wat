;; Fills an element, once, and marks it with its number, each time.
      (func $fill (local $word i32)
        (loop $next
          (i64.store offset=START (i32.shl (local.get $word) (i32.const 3))
            (i64.mul (i64.extend_i32_u (local.get $word)) (i64.const NOISE)))
          (br_if $next (i32.lt_u
            (local.tee $word (i32.add (local.get $word) (i32.const 1)))
            (i32.const WORDS)))))
      (func $mark
        (i64.store (i32.const START) (global.get $number))
        (i64.store (i32.const MIDDLE) (global.get $number))
        (i64.store (i32.const LAST) (global.get $number)))
