;; A component that builds binary trees of DEPTH levels out of small allocations, fells them, and does so again. Freed
;; blocks are kept in lists, by size; memory grows by a page where they don't do. SUM is what the nodes of a tree hold.
(component
  (core module $trees
    (memory (export "memory") 1)
    ;; Blocks are taken from here on. Before, at 16, are the heads of eight lists.
    (global $top (mut i32) (i32.const 64))
    (global $done (mut i64) (i64.const 0))

    ;; Size class n has blocks of 16 + 8n bytes.
    (func $head (param $class i32) (result i32) (i32.add (i32.const 16) (i32.shl (local.get $class) (i32.const 2))))
    (func $alloc (param $class i32) (result i32) (local $at i32)
      (if (local.tee $at (i32.load (call $head (local.get $class)))) (then
        (i32.store (call $head (local.get $class)) (i32.load (local.get $at)))
        (return (local.get $at))))
      (local.set $at (global.get $top))
      (global.set $top (i32.add (global.get $top) (i32.add (i32.const 16) (i32.shl (local.get $class) (i32.const 3)))))
      (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16))) (then
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))))
      (local.get $at))
    (func $free (param $at i32) (param $class i32)
      (i32.store (local.get $at) (i32.load (call $head (local.get $class))))
      (i32.store (call $head (local.get $class)) (local.get $at)))

    ;; A node: left, right, size class, value.
    (func $plant (param $depth i32) (param $value i32) (result i32) (local $node i32) (local $class i32)
      (if (i32.eqz (local.get $depth)) (then (return (i32.const 0))))
      (local.set $class (i32.and (local.get $value) (i32.const 7)))
      (local.set $node (call $alloc (local.get $class)))
      (i32.store offset=8 (local.get $node) (local.get $class))
      (i32.store offset=12 (local.get $node) (local.get $value))
      (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
      (i32.store (local.get $node)
        (call $plant (local.get $depth) (i32.shl (local.get $value) (i32.const 1))))
      (i32.store offset=4 (local.get $node)
        (call $plant (local.get $depth) (i32.add (i32.shl (local.get $value) (i32.const 1)) (i32.const 1))))
      (local.get $node))
    (func $fell (param $node i32) (result i64) (local $sum i64)
      (if (i32.eqz (local.get $node)) (then (return (i64.const 0))))
      (local.set $sum (i64.load32_u offset=12 (local.get $node)))
      (local.set $sum (i64.add (local.get $sum) (call $fell (i32.load (local.get $node)))))
      (local.set $sum (i64.add (local.get $sum) (call $fell (i32.load offset=4 (local.get $node)))))
      (call $free (local.get $node) (i32.load offset=8 (local.get $node)))
      (local.get $sum))

    (func (export "run") (param $rounds i32) (result i64)
      (loop $again
        (global.set $done (i64.add (global.get $done) (i64.extend_i32_u (i64.eq
          (call $fell (call $plant (i32.const DEPTH) (i32.const 1)))
          (i64.const SUM)))))
        (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      (global.get $done)))
  (core instance $trees (instantiate $trees))
  (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $trees "run"))))
