;; Calls that do nothing: `run` calls functions of the host that have the shape of `map` and `unmap`, `pass` gives back the
;; handle that the host hands it. The list that is passed is the second granule.
(component
  (import "bench:calls/host" (instance $host
    (export "idle" (type $idle (sub resource)))
    (export "busy" (type $busy (sub resource)))
    (type $cases (enum "one" "two" "three" "four" "five" "six" "seven"))
    (export "error" (type $error (eq $cases)))
    (export "make" (func (result (own $idle))))
    (export "begin" (func
      (param "this" (own $idle)) (param "at" (list u8))
      (result (result (own $busy) (error (tuple (own $idle) $error))))))
    (export "end" (func
      (param "this" (own $busy)) (param "at" (list u8))
      (result (result (own $idle) (error (tuple (own $busy) $error))))))))
  (alias export $host "idle" (type $idle))
  (alias export $host "make" (func $make))
  (alias export $host "begin" (func $begin))
  (alias export $host "end" (func $end))
  (core module $memory (memory (export "memory") 2))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (core func $lowered-make (canon lower (func $make)))
  (core func $lowered-begin (canon lower (func $begin) (memory $mem)))
  (core func $lowered-end (canon lower (func $end) (memory $mem)))
  (core module $caller
    (import "host" "memory" (memory 1))
    (import "host" "make" (func $make (result i32)))
    (import "host" "begin" (func $begin (param i32 i32 i32 i32)))
    (import "host" "end" (func $end (param i32 i32 i32 i32)))
    ;; The handle, between runs.
    (global $kept (mut i32) (i32.const 0))
    (global $called (mut i64) (i64.const 0))
    (func $ok (result i32)
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (i32.load (i32.const 20)))
    ;; Answers how many calls have been answered well.
    (func (export "run") (param $rounds i32) (result i64) (local $handle i32) (local $called i64)
      (if (i32.eqz (global.get $kept)) (then (global.set $kept (call $make))))
      (local.set $handle (global.get $kept))
      (local.set $called (global.get $called))
      (loop $again
        (call $begin (local.get $handle) (i32.const 65536) (i32.const 65536) (i32.const 16))
        (local.set $handle (call $ok))
        (call $end (local.get $handle) (i32.const 65536) (i32.const 65536) (i32.const 16))
        (local.set $handle (call $ok))
        (local.set $called (i64.add (local.get $called) (i64.const 2)))
        (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      (global.set $kept (local.get $handle))
      (global.set $called (local.get $called))
      (local.get $called))
    (func (export "pass") (param $handle i32) (result i32) (local.get $handle)))
  (core instance $caller (instantiate $caller (with "host" (instance
    (export "memory" (memory $mem))
    (export "make" (func $lowered-make))
    (export "begin" (func $lowered-begin))
    (export "end" (func $lowered-end))))))
  (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $caller "run")))
  (func (export "pass") (param "this" (own $idle)) (result (own $idle)) (canon lift (core func $caller "pass"))))
