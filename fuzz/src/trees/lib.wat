;; What every guest has: random numbers, a hash of what it sees, and misuse when it is due.
(func $log (param i32 i64) (drop (call $log' (local.get 0) (local.get 1))))
(global $state (mut i64) (i64.const 1))
(global $hash (mut i64) (i64.const 0))
(global $misuse (mut i32) (i32.const 0))
(global $countdown (mut i32) (i32.const 0))
(func (export "seed") (param i32)
  (global.set $state (i64.or (i64.const 1) (i64.mul (i64.add (global.get $state) (i64.extend_i32_u (local.get 0)))
    (i64.const 0x9e3779b97f4a7c15)))))
(func (export "set-misuse") (param i32 i32)
  (global.set $misuse (local.get 0)) (global.set $countdown (local.get 1)))
(func $rand (export "rand") (result i32)
  (global.set $state (i64.xor (global.get $state) (i64.shl (global.get $state) (i64.const 13))))
  (global.set $state (i64.xor (global.get $state) (i64.shr_u (global.get $state) (i64.const 7))))
  (global.set $state (i64.xor (global.get $state) (i64.shl (global.get $state) (i64.const 17))))
  (i32.wrap_i64 (i64.shr_u (global.get $state) (i64.const 32))))
(func $mix (export "mix") (param i64)
  (global.set $hash (i64.rotl (i64.mul (i64.xor (global.get $hash) (local.get 0))
    (i64.const 0x9e3779b97f4a7c15)) (i64.const 29))))
(func (export "hash") (result i64) (global.get $hash))
(func $mis (export "mis") (param i32) (result i32)
  (if (i32.ne (local.get 0) (global.get $misuse)) (then (return (i32.const 0))))
  (global.set $countdown (i32.sub (global.get $countdown) (i32.const 1)))
  (if (global.get $countdown) (then (return (i32.const 0))))
  (call $log (i32.add (i32.const 1000) (local.get 0)) (i64.const 0))
  (i32.const 1))
;; A list's pointer and length lie there.
(func (export "list-made") (param $at i32)
  (if (call $mis (global.get $ListMisaligned)) (then
    (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))))
  (if (call $mis (global.get $ListOutside)) (then (i32.store (local.get $at) (i32.const 0xfffff000))))
  (if (call $mis (global.get $ListTooLong)) (then (i32.store offset=4 (local.get $at) (i32.const 0x0fffffff))))
  (if (call $mis (global.get $ListAtEnd)) (then
    ;; Zeros, whatever was allocated when.
    (drop (memory.grow (i32.const 1)))
    (i32.store (local.get $at)
    (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 8))))))
;; A string's pointer and length lie there.
(func (export "string-made") (param $at i32)
  (if (i32.load offset=4 (local.get $at)) (then
    (if (call $mis (global.get $BadString)) (then
      ;; Not utf-8; in utf-16 half of a pair.
      (i32.store16 (i32.load (local.get $at)) (i32.const 0xdcff)))))))
;; A discriminant lies there.
(func (export "case-made") (param $at i32) (param $cases i32)
  (if (call $mis (global.get $BadCase)) (then (i32.store8 (local.get $at) (local.get $cases)))))
