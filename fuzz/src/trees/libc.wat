;; A guest's memory: the first page is the library's, then placements, then the heap.
(import "" "log" (func $log' (param i32 i64) (result i64)))
(import "" "drop" (func $drop (param i32)))
(memory (export "mem") @LIMITS@)
(func $log (param i32 i64) (drop (call $log' (local.get 0) (local.get 1))))
(global $top (mut i32) (i32.const 0xe0000))
;; If not 0: allocate here, in what is mapped at 0x50000.
(global $arena (mut i32) (i32.const 0))
(global $misuse (mut i32) (i32.const 0))
(global $countdown (mut i32) (i32.const 0))
(global $tampered (mut i32) (i32.const 0))
;; What was allocated last and before.
(global $last (mut i32) (i32.const 0))
(global $len (mut i32) (i32.const 0))
(func (export "set-arena") (param i32) (global.set $arena (local.get 0)))
(func (export "set-misuse") (param i32 i32)
  (global.set $misuse (local.get 0)) (global.set $countdown (local.get 1)))
(func (export "tampered") (result i32) (global.get $tampered))
(func (export "top") (result i32) (global.get $top))
(func $alloc (export "alloc") (param $align i32) (param $size i32) (result i32)
  (local $at i32) (local $missing i32)
  (if (i32.gt_u (local.get $size) (i32.const 0x1000000)) (then (unreachable)))
  (if (global.get $arena) (then
    (local.set $at (call $up (global.get $arena) (local.get $align)))
    (if (i32.le_u (i32.add (local.get $at) (local.get $size)) (i32.const 0x60000)) (then
      (global.set $arena (i32.add (local.get $at) (local.get $size)))
      (return (local.get $at))))))
  (local.set $at (call $up (global.get $top) (local.get $align)))
  (global.set $top (i32.add (local.get $at) (local.get $size)))
  (local.set $missing (i32.sub (global.get $top) (i32.shl (memory.size) (i32.const 16))))
  (if (i32.gt_s (local.get $missing) (i32.const 0)) (then
    (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $missing) (i32.const 16)))))
      (then (unreachable)))))
  (local.get $at))
(func $up (param i32 i32) (result i32)
  (i32.and (i32.add (local.get 0) (i32.sub (local.get 1) (i32.const 1))) (i32.sub (i32.const 0) (local.get 1))))
(func $mis (param i32) (result i32)
  (if (i32.ne (local.get 0) (global.get $misuse)) (then (return (i32.const 0))))
  (global.set $countdown (i32.sub (global.get $countdown) (i32.const 1)))
  (i32.eqz (global.get $countdown)))
(func (export "realloc") (param $old i32) (param $old-len i32) (param $align i32) (param $new i32) (result i32)
  (local $at i32)
  (if (call $mis (global.get $ReallocTraps)) (then (unreachable)))
  (if (call $mis (global.get $ReallocLeaves)) (then (call $log (i32.const 666) (i64.const 0))))
  (if (call $mis (global.get $ReallocDrops)) (then (call $drop (i32.const 1))))
  (if (call $mis (global.get $ReallocGrows)) (then (drop (memory.grow (i32.const 1)))))
  (if (i32.and (i32.ge_u (global.get $len) (i32.const 4)) (i32.eqz (i32.eqz (global.get $last)))) (then
    (call $tamper)))
  (local.set $at (call $alloc (local.get $align) (local.get $new)))
  (memory.copy (local.get $at) (local.get $old)
    (select (local.get $old-len) (local.get $new) (i32.lt_u (local.get $old-len) (local.get $new))))
  (if (i32.ge_u (local.get $new) (global.get $len)) (then
    (global.set $last (local.get $at)) (global.set $len (local.get $new))))
  ;; One more byte is taken, or what is next would lie over the last: who comes first is not the same in each tier.
  (if (call $mis (global.get $ReallocMisaligned)) (then
    (drop (call $alloc (i32.const 1) (i32.const 1)))
    (return (i32.add (local.get $at) (i32.const 1)))))
  (if (call $mis (global.get $ReallocOutside)) (then (return (i32.const 0xffffff00))))
  (local.get $at))
;; Changes a word of what was received, or is being.
(func $tamper (local $at i32)
  (local.set $at (i32.and (i32.const -4) (i32.add (global.get $last)
    (i32.rem_u (i32.mul (global.get $countdown) (i32.const 4)) (i32.and (i32.const -4) (global.get $len))))))
  (if (call $mis (global.get $TamperForged)) (then
    (global.set $tampered (i32.const 1))
    (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))))
  (if (call $mis (global.get $TamperDoubled)) (then
    (global.set $tampered (i32.const 1))
    (i32.store (local.get $at) (i32.load (global.get $last)))))
  (if (call $mis (global.get $TamperLost)) (then
    (global.set $tampered (i32.const 1))
    (i32.store (local.get $at) (i32.const 0)))))
;; A new function of the guest begins: what came before is not what is tampered with.
(func (export "forget") (global.set $len (i32.const 0)))
