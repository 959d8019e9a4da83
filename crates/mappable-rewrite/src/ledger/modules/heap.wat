;; The memory of a bridge: where strings, lists and what is spilled lie while a call goes over it.
;;
;; All of it is given back at once, when no call is going over the bridge any more. Nothing comes between the `realloc`s
;; for a call's parameters and its `begin`.
(module $mappable-bridge-heap
  ;; With a maximum its base never moves.
  (memory (export "memory") 1 65535)
  ;; Where what is free begins. Nobody has address 0.
  (global $free (mut i32) (i32.const 16))
  ;; How many calls are going over the bridge.
  (global $calls (mut i32) (i32.const 0))

  (func (export "begin")
    (global.set $calls (i32.add (global.get $calls) (i32.const 1))))

  (func $end (export "end")
    (global.set $calls (i32.sub (global.get $calls) (i32.const 1)))
    (if (i32.eqz (global.get $calls)) (then (global.set $free (i32.const 16)))))

  ;; A `post-return`.
  (func (export "done") (param i32) (call $end))

  ;; `align` is a power of two.
  (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i64) (local $end i64) (local $more i64)
    (local.set $at
      (i64.and
        (i64.extend_i32_u (i32.sub (i32.const 0) (local.get $align)))
        (i64.add (i64.extend_i32_u (global.get $free)) (i64.extend_i32_u (i32.sub (local.get $align) (i32.const 1))))))
    ;; What was allocated last grows and shrinks where it is.
    (if (local.get $old_size) (then
      (if (i32.eq (global.get $free) (i32.add (local.get $old) (local.get $old_size))) (then
        (local.set $at (i64.extend_i32_u (local.get $old)))))))
    (local.set $end (i64.add (local.get $at) (i64.extend_i32_u (local.get $size))))
    (if (i64.gt_u (local.get $end) (i64.const 0xffff0000)) (then unreachable))
    (local.set $more (i64.sub (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))
    (if (i64.gt_s (local.get $more) (i64.const 0)) (then
      (if (i32.eq (i32.const -1)
            (memory.grow (i32.wrap_i64 (i64.shr_u (i64.add (local.get $more) (i64.const 0xffff)) (i64.const 16)))))
        (then unreachable))))
    (if (i64.ne (local.get $at) (i64.extend_i32_u (local.get $old))) (then
      (memory.copy (i32.wrap_i64 (local.get $at)) (local.get $old)
        (select (local.get $old_size) (local.get $size) (i32.lt_u (local.get $old_size) (local.get $size))))))
    (global.set $free (i32.wrap_i64 (local.get $end)))
    (i32.wrap_i64 (local.get $at))))
