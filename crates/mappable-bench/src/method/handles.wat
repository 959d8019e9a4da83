;; Two components that hand an owned resource of a third back and forth, and map nothing. Each writes a cache line, of its own.
(component
  (core module $memory (memory (export "memory") 1))
  (core module $writer
    (import "host" "memory" (memory 1))
    ;; Answers how often that has been done.
    (func (export "write") (result i64) (local $line i64)
      (local.set $line (i64.add (i64.load (i32.const 1024)) (i64.const 1)))
      (i64.store offset=0 (i32.const 1024) (local.get $line))
      (i64.store offset=8 (i32.const 1024) (local.get $line))
      (i64.store offset=16 (i32.const 1024) (local.get $line))
      (i64.store offset=24 (i32.const 1024) (local.get $line))
      (i64.store offset=32 (i32.const 1024) (local.get $line))
      (i64.store offset=40 (i32.const 1024) (local.get $line))
      (i64.store offset=48 (i32.const 1024) (local.get $line))
      (i64.store offset=56 (i32.const 1024) (local.get $line))
      (local.get $line)))

  (component $maker
    (type $own (resource (rep i32)))
    (export $thing "thing" (type $own))
    (core func $new (canon resource.new $own))
    (core module $code
      (import "host" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 42)))
      (func (export "look") (param $thing i32) (result i32) (local.get $thing)))
    (core instance $code (instantiate $code (with "host" (instance (export "new" (func $new))))))
    (func (export "make") (result (own $thing)) (canon lift (core func $code "make")))
    (func (export "look") (param "thing" (borrow $thing)) (result u32) (canon lift (core func $code "look"))))

  (component $second
    (import "thing" (type $thing (sub resource)))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $writer (core module $writer))
    (core instance $own (instantiate $memory))
    (core instance $writer (instantiate $writer (with "host" (instance $own))))
    (core module $visitor
      (import "host" "memory" (memory 1))
      (import "host" "write" (func $write (result i64)))
      (func (export "visit") (param $thing i32) (result i32)
        (drop (call $write))
        (local.get $thing))
      (func (export "visits") (result i64) (i64.load (i32.const 1024))))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $own "memory")) (export "write" (func $writer "write"))))))
    (func (export "visit") (param "thing" (own $thing)) (result (own $thing)) (canon lift (core func $visitor "visit")))
    (func (export "visits") (result u64) (canon lift (core func $visitor "visits"))))

  (component $first
    (import "thing" (type $thing (sub resource)))
    (import "make" (func $make (result (own $thing))))
    (import "look" (func $look (param "thing" (borrow $thing)) (result u32)))
    (import "second" (func $second (param "thing" (own $thing)) (result (own $thing))))
    (import "visits" (func $visits (result u64)))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $writer (core module $writer))
    (core instance $own (instantiate $memory))
    (core instance $writer (instantiate $writer (with "host" (instance $own))))
    (core func $lowered-make (canon lower (func $make)))
    (core func $lowered-look (canon lower (func $look)))
    (core func $lowered-second (canon lower (func $second)))
    (core func $lowered-visits (canon lower (func $visits)))
    (core module $driver
      (import "host" "memory" (memory 1))
      (import "host" "write" (func $write (result i64)))
      (import "host" "make" (func $make (result i32)))
      (import "host" "look" (func $look (param i32) (result i32)))
      (import "host" "second" (func $second (param i32) (result i32)))
      (import "host" "visits" (func $visits (result i64)))
      (global $kept (mut i32) (i32.const 0))
      ;; Answers how often a line has been written, by both.
      (func (export "run") (param $rounds i32) (result i64) (local $thing i32)
        (if (i32.eqz (global.get $kept)) (then (global.set $kept (call $make))))
        (local.set $thing (global.get $kept))
        (loop $again
          (drop (call $write))
          (local.set $thing (call $second (local.get $thing)))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (if (i32.ne (call $look (local.get $thing)) (i32.const 42)) (then unreachable))
        (global.set $kept (local.get $thing))
        (i64.add (i64.load (i32.const 1024)) (call $visits))))
    (core instance $driver (instantiate $driver (with "host" (instance
      (export "memory" (memory $own "memory"))
      (export "write" (func $writer "write"))
      (export "make" (func $lowered-make))
      (export "look" (func $lowered-look))
      (export "second" (func $lowered-second))
      (export "visits" (func $lowered-visits))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))

  (instance $m (instantiate $maker))
  (alias export $m "thing" (type $thing))
  (instance $b (instantiate $second (with "thing" (type $thing))))
  (instance $a (instantiate $first
    (with "thing" (type $thing)) (with "make" (func $m "make")) (with "look" (func $m "look"))
    (with "second" (func $b "visit")) (with "visits" (func $b "visits"))))
  (export "run" (func $a "run")))
