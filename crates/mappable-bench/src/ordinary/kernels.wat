;; A component around the kernels of `bench access`, which is put in here: KERNEL of them works on COUNT items
;; from AT on, of BYTES bytes, on the heap, and answers ANSWER. If REFILL is 1, it begins with what it was given each time.
(component
  MODULE
  (core instance $kernels (instantiate $kernels))
  (alias core export $kernels "memory" (core memory $memory))
  (core module $driver
    (import "kernels" "memory" (memory 1))
    (import "kernels" "KERNEL" (func $kernel (param i32 i32) (result i64)))
    ;; How often it has answered right.
    (global $done (mut i64) (i64.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.add (i32.const AT) (i32.const BYTES)))
    (func $refill (export "set") (param i32 i32)
      (memory.copy (i32.const AT) (i32.add (i32.const AT) (i32.const BYTES)) (i32.const BYTES)))
    (func (export "get") (result i32)
      (i32.store (i32.const 16) (i32.const AT))
      (i32.store (i32.const 20) (i32.const BYTES))
      (i32.const 16))
    (func (export "run") (param $rounds i32) (result i64)
      (loop $again
        (if (i32.const REFILL) (then (call $refill (i32.const 0) (i32.const 0))))
        (global.set $done (i64.add (global.get $done) (i64.extend_i32_u (i64.eq
          (call $kernel (i32.const AT) (i32.const COUNT))
          (i64.const ANSWER)))))
        (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      (global.get $done)))
  (core instance $driver (instantiate $driver (with "kernels" (instance $kernels))))
  (func (export "set") (param "bytes" (list u8))
    (canon lift (core func $driver "set") (memory $memory) (realloc (func $driver "realloc"))))
  (func (export "get") (result (list u8)) (canon lift (core func $driver "get") (memory $memory)))
  (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))
