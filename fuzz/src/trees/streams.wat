;; What a guest does with streams and futures, which it knows by the numbers of their sorts. A write that was begun has 64
;; bytes from 0xa000 on: its end, its sort, how many elements it has, and from 16 on the elements.
(global $writes (mut i32) (i32.const 0))
(func $write-at (param $nth i32) (result i32)
  (i32.add (i32.const 0xa000) (i32.shl (local.get $nth) (i32.const 6))))
;; A readable end to give. What is written to it waits.
(func (export "begin") (param $s i32) (result i32)
  (local $ends i64) (local $at i32) (local $p i32) (local $count i32) (local $wanted i32) (local $handle i32)
  (if (i32.ge_u (global.get $writes) (i32.const 64)) (then (call $settle)))
  (local.set $at (call $write-at (global.get $writes)))
  (local.set $p (i32.add (local.get $at) (i32.const 16)))
  (local.set $wanted (select (i32.const 1) (i32.and (call $rand) (i32.const 3)) (call $is-future (local.get $s))))
  (loop $again (if (i32.lt_u (local.get $count) (local.get $wanted)) (then
    (local.set $handle (call $give (call $kind-of (local.get $s))))
    ;; There may have been no room for one.
    (if (i32.eqz (global.get $starving)) (then
      (i32.store (local.get $p) (local.get $handle))
      (if (i32.eq (call $size-of (local.get $s)) (i32.const 8)) (then
        (i32.store offset=4 (local.get $p) (call $rand))))
      (local.set $p (i32.add (local.get $p) (call $size-of (local.get $s))))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br $again))))))
  (local.set $ends (call $end-new (local.get $s)))
  (if (call $mis (global.get $PassedInUse)) (then
    (local.set $count (i32.const 0))
    (drop (call $end-read (local.get $s) (i32.wrap_i64 (local.get $ends)) (i32.const 0xc000) (i32.const 1)))))
  (i32.store (local.get $at) (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
  (i32.store offset=4 (local.get $at) (local.get $s))
  (i32.store offset=8 (local.get $at) (local.get $count))
  (global.set $writes (i32.add (global.get $writes) (i32.const 1)))
  (if (local.get $count) (then
    (call $mix (i64.extend_i32_s (call $end-write (local.get $s) (i32.load (local.get $at))
      (i32.add (local.get $at) (i32.const 16)) (local.get $count))))
    (if (call $mis (global.get $ClosedInUse)) (then
      (call $end-drop-writable (local.get $s) (i32.load (local.get $at)))))
    (if (call $mis (global.get $GoneElement)) (then
      (call $drop-any (call $kind-of (local.get $s)) (i32.load offset=16 (local.get $at)))))))
  (i32.wrap_i64 (local.get $ends)))
;; A readable end was received: some of what is written is looked at and kept.
(func (export "receive") (param $s i32) (param $end i32) (local $code i32) (local $n i32) (local $p i32)
  (call $mix (i64.extend_i32_u (local.get $s)))
  (block $done (loop $again
    (local.set $n (i32.and (call $rand) (i32.const 3)))
    (br_if $done (i32.eqz (local.get $n)))
    (local.set $code (call $end-read (local.get $s) (local.get $end) (i32.const 0xc000) (local.get $n)))
    (call $mix (i64.extend_i32_s (local.get $code)))
    (if (i32.eq (local.get $code) (i32.const -1)) (then
      (call $mix (i64.extend_i32_s (call $end-cancel-read (local.get $s) (local.get $end))))
      (br $done)))
    (local.set $n (select (i32.eqz (local.get $code)) (i32.shr_u (local.get $code) (i32.const 4))
      (call $is-future (local.get $s))))
    ;; So that the host sees how many came, of what.
    (call $log (i32.add (i32.const 880000) (i32.add (i32.mul (local.get $s) (i32.const 10)) (local.get $n)))
      (global.get $hash))
    (local.set $p (i32.const 0xc000))
    (loop $next (if (local.get $n) (then
      (call $owned (call $kind-of (local.get $s)) (i32.load (local.get $p)))
      (if (i32.eq (call $size-of (local.get $s)) (i32.const 8)) (then
        (call $mix (i64.load32_u offset=4 (local.get $p)))))
      (local.set $p (i32.add (local.get $p) (call $size-of (local.get $s))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next))))
    (br_if $done (i32.or (call $is-future (local.get $s)) (i32.and (local.get $code) (i32.const 15))))
    (br_if $again (i32.and (call $rand) (i32.const 1)))))
  (call $end-drop-readable (local.get $s) (local.get $end)))
;; All writes that were begun are cancelled, what was not read is kept, and their ends are closed: but for a future that
;; nobody has read or closed.
(func $settle (export "settle")
  (local $nth i32) (local $at i32) (local $s i32) (local $code i32) (local $moved i32) (local $p i32)
  (loop $next (if (i32.lt_u (local.get $nth) (global.get $writes)) (then
    (local.set $at (call $write-at (local.get $nth)))
    (local.set $s (i32.load offset=4 (local.get $at)))
    (local.set $code (select (i32.const 2) (i32.const 1) (call $is-future (local.get $s))))
    (if (i32.load offset=8 (local.get $at)) (then
      (local.set $code (call $end-cancel-write (local.get $s) (i32.load (local.get $at))))
      (call $mix (i64.extend_i32_s (local.get $code)))
      (local.set $moved (select (i32.eqz (local.get $code)) (i32.shr_u (local.get $code) (i32.const 4))
        (call $is-future (local.get $s))))
      (local.set $p (i32.add (i32.add (local.get $at) (i32.const 16))
        (i32.mul (local.get $moved) (call $size-of (local.get $s)))))
      (loop $more (if (i32.lt_u (local.get $moved) (i32.load offset=8 (local.get $at))) (then
        (call $keep (call $kind-of (local.get $s)) (i32.load (local.get $p)))
        (local.set $p (i32.add (local.get $p) (call $size-of (local.get $s))))
        (local.set $moved (i32.add (local.get $moved) (i32.const 1)))
        (br $more))))))
    (if (i32.eqz (i32.and (call $is-future (local.get $s)) (i32.eq (local.get $code) (i32.const 2)))) (then
      (call $end-drop-writable (local.get $s) (i32.load (local.get $at)))))
    (local.set $nth (i32.add (local.get $nth) (i32.const 1)))
    (br $next))))
  (global.set $writes (i32.const 0))
  (call $trim (i32.const 6)))
