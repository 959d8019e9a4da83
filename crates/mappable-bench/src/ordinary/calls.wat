;; A component that calls the host (`run-host`), or another component (`run-guest`); `add` is for the host to call. Each
;; gives one more than it takes.
(component
  (import "host-add" (func $host (param "n" u32) (result u32)))
  (component $adder
    (core module $m (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
    (core instance $m (instantiate $m))
    (func (export "add") (param "n" u32) (result u32) (canon lift (core func $m "add"))))
  (component $caller
    (import "add" (func $add (param "n" u32) (result u32)))
    (core func $add (canon lower (func $add)))
    (core module $driver
      (import "" "add" (func $add (param i32) (result i32)))
      ;; How often it has answered right.
      (global $done (mut i64) (i64.const 0))
      (func (export "run") (param $rounds i32) (result i64)
        (loop $again
          (global.set $done (i64.add (global.get $done) (i64.extend_i32_u (i32.eq
            (call $add (local.get $rounds))
            (i32.add (local.get $rounds) (i32.const 1))))))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (global.get $done)))
    (core instance $driver (instantiate $driver (with "" (instance (export "add" (func $add))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))
  (instance $adder (instantiate $adder))
  (instance $to-host (instantiate $caller (with "add" (func $host))))
  (instance $to-guest (instantiate $caller (with "add" (func $adder "add"))))
  (export "add" (func $adder "add"))
  (export "run-host" (func $to-host "run"))
  (export "run-guest" (func $to-guest "run")))
