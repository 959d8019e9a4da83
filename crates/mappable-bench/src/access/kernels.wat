;; Work on bytes, as plain loops. Each kernel takes where its data is and how many items that are; what an item is,
;; kernels.rs says. PAGES is the size of the memory, SHIFT code of some bytes that loops come after.
(module
  (memory (export "memory") PAGES)
  (global $shifted (mut i32) (i32.const 0))

  (func (export "invert") (param $at i32) (param $count i32) (result i64)
    (local $end i32)
    SHIFT
    (local.set $end (i32.add (local.get $at) (local.get $count)))
    (loop $next
      (i32.store8 (local.get $at) (i32.xor (i32.load8_u (local.get $at)) (i32.const 255)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
    (i64.const 0))

  (func (export "invert-simd") (param $at i32) (param $count i32) (result i64)
    (local $end i32)
    SHIFT
    (local.set $end (i32.add (local.get $at) (local.get $count)))
    (loop $next
      (v128.store (local.get $at) (v128.not (v128.load (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))
    (i64.const 0))

  (func (export "fnv") (param $at i32) (param $count i32) (result i64)
    (local $end i32) (local $hash i64)
    SHIFT
    (local.set $hash (i64.const 0xcbf29ce484222325))
    (local.set $end (i32.add (local.get $at) (local.get $count)))
    (loop $next
      (local.set $hash (i64.mul
        (i64.xor (local.get $hash) (i64.load8_u (local.get $at)))
        (i64.const 0x100000001b3)))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
    (local.get $hash))

  (func (export "sum") (param $at i32) (param $count i32) (result i64)
    (local $end i32) (local $sum i64)
    SHIFT
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
    (local.get $sum))

  ;; Two square matrices lie one behind the other; their product goes behind them.
  (func (export "matmul") (param $at i32) (param $side i32) (result i64)
    (local $stride i32) (local $row i32) (local $column i32) (local $left i32) (local $right i32)
    (local $b i32) (local $c i32) (local $end i32) (local $sum f32)
    SHIFT
    (local.set $stride (i32.shl (local.get $side) (i32.const 2)))
    (local.set $b (i32.add (local.get $at) (i32.mul (local.get $stride) (local.get $side))))
    (local.set $c (i32.add (local.get $b) (i32.mul (local.get $stride) (local.get $side))))
    (local.set $row (local.get $at))
    (loop $rows
      (local.set $end (i32.add (local.get $row) (local.get $stride)))
      (local.set $column (i32.const 0))
      (loop $columns
        (local.set $sum (f32.const 0))
        (local.set $left (local.get $row))
        (local.set $right (i32.add (local.get $b) (local.get $column)))
        (loop $terms
          (local.set $sum (f32.add (local.get $sum)
            (f32.mul (f32.load (local.get $left)) (f32.load (local.get $right)))))
          (local.set $right (i32.add (local.get $right) (local.get $stride)))
          (br_if $terms (i32.lt_u (local.tee $left (i32.add (local.get $left) (i32.const 4))) (local.get $end))))
        (f32.store (local.get $c) (local.get $sum))
        (local.set $c (i32.add (local.get $c) (i32.const 4)))
        (br_if $columns (i32.lt_u
          (local.tee $column (i32.add (local.get $column) (i32.const 4))) (local.get $stride))))
      (br_if $rows (i32.lt_u (local.tee $row (local.get $end)) (local.get $b))))
    (i64.const 0))

  ;; A picture of rows of 256 bytes; the mean of each 3 by 3 goes to where its middle is in the picture behind it.
  (func (export "blur") (param $at i32) (param $rows i32) (result i64)
    (local $size i32) (local $last i32) (local $end i32)
    SHIFT
    (local.set $size (i32.shl (local.get $rows) (i32.const 8)))
    (local.set $last (i32.add (local.get $at) (i32.sub (local.get $size) (i32.const 512))))
    (loop $rows
      (local.set $end (i32.add (local.get $at) (i32.const 254)))
      (loop $columns
        (i32.store8 offset=257 (i32.add (local.get $at) (local.get $size)) (i32.div_u
          (i32.add (i32.add
            (i32.add
              (i32.add (i32.load8_u offset=0 (local.get $at)) (i32.load8_u offset=1 (local.get $at)))
              (i32.add (i32.load8_u offset=2 (local.get $at)) (i32.load8_u offset=256 (local.get $at))))
            (i32.add
              (i32.add (i32.load8_u offset=257 (local.get $at)) (i32.load8_u offset=258 (local.get $at)))
              (i32.add (i32.load8_u offset=512 (local.get $at)) (i32.load8_u offset=513 (local.get $at)))))
            (i32.load8_u offset=514 (local.get $at)))
          (i32.const 9)))
        (br_if $columns (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
      (br_if $rows (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2))) (local.get $last))))
    (i64.const 0))

  ;; Shell's, with gaps of 1, 4, 13, 40 and so on.
  (func (export "sort") (param $at i32) (param $count i32) (result i64)
    (local $gap i32) (local $step i32) (local $end i32) (local $from i32) (local $to i32)
    (local $value i32) (local $other i32)
    SHIFT
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $gap (i32.const 1))
    (loop $widen
      (local.set $gap (i32.add (i32.mul (local.get $gap) (i32.const 3)) (i32.const 1)))
      (br_if $widen (i32.lt_u (local.get $gap) (i32.div_u (local.get $count) (i32.const 3)))))
    (loop $passes
      (local.set $step (i32.shl (local.get $gap) (i32.const 2)))
      (local.set $from (i32.add (local.get $at) (local.get $step)))
      (block $passed (loop $values
        (br_if $passed (i32.ge_u (local.get $from) (local.get $end)))
        (local.set $value (i32.load (local.get $from)))
        (local.set $to (local.get $from))
        (block $placed (loop $shift
          (br_if $placed (i32.lt_u (i32.sub (local.get $to) (local.get $at)) (local.get $step)))
          (local.set $other (i32.load (i32.sub (local.get $to) (local.get $step))))
          (br_if $placed (i32.le_u (local.get $other) (local.get $value)))
          (i32.store (local.get $to) (local.get $other))
          (local.set $to (i32.sub (local.get $to) (local.get $step)))
          (br $shift)))
        (i32.store (local.get $to) (local.get $value))
        (local.set $from (i32.add (local.get $from) (i32.const 4)))
        (br $values)))
      (br_if $passes (local.tee $gap (i32.div_u (local.get $gap) (i32.const 3)))))
    (i64.const 0)))
