;; A component that sends elements of SIZE bytes by streams, one to each consumer, and consumers that look at them. START is
;; where both keep an element, or map it; PAGES is the size of their memories. If BACK is 1, each element is sent back.
;; Both are async: each waits where the other is not ready.
(component
  DEFINED
  (core module $memory (memory (export "memory") PAGES))

  (component $consumer
    TYPES
    (type $element ELEMENT)
    (type $elements (stream $element))
    (alias outer 1 $memory (core module $memory))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $new (canon stream.new $elements))
    (core func $read (canon stream.read $elements async (memory $mem)))
    (core func $write (canon stream.write $elements async (memory $mem)))
    (core func $set (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $return (canon task.return (result u64)))
    CONSUMER-FUNCTIONS
    (core module $code
      (import "host" "memory" (memory 1))
      (import "host" "new" (func $new (result i64)))
      (import "host" "read" (func $read (param i32 i32 i32) (result i32)))
      (import "host" "write" (func $write (param i32 i32 i32) (result i32)))
      (import "host" "set" (func $new-set (result i32)))
      (import "host" "join" (func $join (param i32 i32)))
      (import "host" "return" (func $return (param i64)))
      CONSUMER-IMPORTS
      (global $in (mut i32) (i32.const 0))
      (global $out (mut i32) (i32.const 0))
      (global $set (mut i32) (i32.const 0))
      (global $left (mut i32) (i32.const 0))
      (global $found (mut i64) (i64.const 0))
      (global $first (mut i32) (i32.const 1))
      (func $ok (result i32)
        (if (i32.load8_u (i32.const 16)) (then unreachable))
        (i32.load (i32.const 20)))
      LOOK
      ;; What was read is looked at, and sent back. Returns whether that has to wait.
      (func $take (param $read i32) (result i32)
        (if (i32.ne (local.get $read) (i32.const COMPLETED)) (then unreachable))
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
        TAKE
        (if (i32.eqz (i32.const BACK)) (then (return (i32.const 0))))
        (local.set $read (call $write (global.get $out) (i32.const 1216) (i32.const 1)))
        (if (i32.eq (local.get $read) (i32.const -1)) (then (return (i32.const 1))))
        (if (i32.ne (local.get $read) (i32.const 16)) (then unreachable))
        (i32.const 0))
      (func $wait (result i32) (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
      (func $go (result i32) (local $read i32)
        (loop $next
          (if (i32.eqz (global.get $left)) (then
            (call $return (global.get $found))
            (return (i32.const 0))))
          (local.set $read (call $read (global.get $in) (i32.const AT) (i32.const COUNT)))
          (if (i32.eq (local.get $read) (i32.const -1)) (then (return (call $wait))))
          (br_if $next (i32.eqz (call $take (local.get $read)))))
        (call $wait))
      ;; The end to read from; returns that of the stream by which elements are sent back.
      (func (export "open") (param $in i32) (result i32) (local $ends i64)
        (local.set $ends (call $new))
        (global.set $in (local.get $in))
        (global.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (global.set $set (call $new-set))
        (call $join (global.get $in) (global.get $set))
        (call $join (global.get $out) (global.get $set))
        (i32.wrap_i64 (local.get $ends)))
      ;; Returns the sum of what was found in so many elements.
      (func (export "consume") (param $count i32) (result i32)
        (global.set $left (local.get $count))
        (global.set $found (i64.const 0))
        (call $go))
      ;; 2: a read is done. 3: a write is.
      (func (export "event") (param $event i32) (param $of i32) (param $result i32) (result i32)
        (if (i32.eq (local.get $event) (i32.const 2))
          (then (if (call $take (local.get $result)) (then (return (call $wait)))))
          (else (if (i32.ne (local.get $result) (i32.const 16)) (then unreachable))))
        (call $go)))
    (core instance $code (instantiate $code (with "host" (instance
      (export "memory" (memory $mem))
      (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
      (export "set" (func $set)) (export "join" (func $join)) (export "return" (func $return))
      CONSUMER-GIVEN))))
    (func (export "open") (param "elements" $elements) (result $elements) (canon lift (core func $code "open")))
    (func (export "consume") async (param "count" u32) (result u64)
      (canon lift (core func $code "consume") async (callback (func $code "event")))))

  (component $producer
    TYPES
    (type $element ELEMENT)
    (type $elements (stream $element))
    CONSUMERS-IMPORTED
    (alias outer 1 $memory (core module $memory))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $new (canon stream.new $elements))
    (core func $read (canon stream.read $elements async (memory $mem)))
    (core func $write (canon stream.write $elements async (memory $mem)))
    (core func $set (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core func $end (canon subtask.drop))
    (core func $return (canon task.return (result u64)))
    CONSUMERS-LOWERED
    PRODUCER-FUNCTIONS
    (core module $code
      (import "host" "memory" (memory 1))
      (import "host" "new" (func $new (result i64)))
      (import "host" "read" (func $read (param i32 i32 i32) (result i32)))
      (import "host" "write" (func $write (param i32 i32 i32) (result i32)))
      (import "host" "set" (func $new-set (result i32)))
      (import "host" "join" (func $join (param i32 i32)))
      (import "host" "end" (func $end (param i32)))
      (import "host" "return" (func $return (param i64)))
      CONSUMERS-USED
      PRODUCER-IMPORTS
      (global $set (mut i32) (i32.const 0))
      ;; Elements to send, reads and writes to wait for, and consumers that have not returned.
      (global $left (mut i32) (i32.const 0))
      (global $pending (mut i32) (i32.const 0))
      (global $consumers (mut i32) (i32.const 0))
      ;; The region, when it is here.
      (global $kept (mut i32) (i32.const 0))
      (global $sent (mut i32) (i32.const 0))
      ;; How many elements there have been, and what a consumer has to find in those of a run.
      (global $number (mut i64) (i64.const 0))
      (global $expected (mut i64) (i64.const 0))
      (func $ok (result i32)
        (if (i32.load8_u (i32.const 16)) (then unreachable))
        (i32.load (i32.const 20)))
      MARK
      (func $began (param $result i32) (param $completed i32)
        (if (i32.eq (local.get $result) (i32.const -1))
          (then (global.set $pending (i32.add (global.get $pending) (i32.const 1))))
          (else (if (i32.ne (local.get $result) (local.get $completed)) (then unreachable)))))
      (func $wait (result i32) (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
      (func $go (result i32) (local $to i32)
        (loop $next
          (if (global.get $pending) (then (return (call $wait))))
          (if (global.get $sent) (then
            COLLECT
            (global.set $sent (i32.const 0))))
          (if (i32.eqz (global.get $left)) (then
            (if (global.get $consumers) (then (return (call $wait))))
            (loop $each
              (if (i64.ne (i64.load offset=1280 (i32.shl (local.get $to) (i32.const 3))) (global.get $expected))
                (then unreachable))
              (br_if $each (i32.lt_u (local.tee $to (i32.add (local.get $to) (i32.const 1))) (i32.const CONSUMERS))))
            (call $return (global.get $number))
            (return (i32.const 0))))
          (global.set $left (i32.sub (global.get $left) (i32.const 1)))
          (global.set $number (i64.add (global.get $number) (i64.const 1)))
          (global.set $expected (i64.add (global.get $expected)
            (i64.add (i64.const EACH) (i64.mul (i64.const MARKS) (global.get $number)))))
          MAKE
          (global.set $sent (i32.const 1))
          (local.set $to (i32.const 0))
          (loop $each
            (call $began
              (call $write (i32.load offset=1024 (local.get $to)) FROM (i32.const COUNT))
              (i32.const COMPLETED))
            (if (i32.const BACK) (then
              (call $began
                (call $read
                  (i32.load offset=1088 (local.get $to)) (i32.add (i32.const 1152) (local.get $to)) (i32.const 1))
                (i32.const 16))))
            (br_if $each (i32.lt_u
              (local.tee $to (i32.add (local.get $to) (i32.const 4)))
              (i32.shl (i32.const CONSUMERS) (i32.const 2)))))
          (br $next))
        unreachable)
      (func $open (local $ends i64)
        (global.set $set (call $new-set))
        OPEN
        BEGIN)
      ;; Returns how many elements there have been, each of which every consumer has found as it was sent.
      (func (export "run") (param $count i32) (result i32) (local $task i32)
        (if (i32.eqz (global.get $set)) (then (call $open)))
        (global.set $left (local.get $count))
        (global.set $expected (i64.const 0))
        CONSUME
        (call $go))
      ;; 1: a consumer has returned. 2: a read is done. 3: a write is.
      (func (export "event") (param $event i32) (param $of i32) (param $result i32) (result i32)
        (if (i32.eq (local.get $event) (i32.const 1))
          (then
            (if (i32.ne (local.get $result) (i32.const 2)) (then unreachable))
            (call $end (local.get $of))
            (global.set $consumers (i32.sub (global.get $consumers) (i32.const 1))))
          (else
            (if (i32.ne
                (local.get $result)
                (select (i32.const 16) (i32.const COMPLETED) (i32.eq (local.get $event) (i32.const 2))))
              (then unreachable))
            (global.set $pending (i32.sub (global.get $pending) (i32.const 1)))))
        (call $go)))
    (core instance $code (instantiate $code (with "host" (instance
      (export "memory" (memory $mem))
      (export "new" (func $new)) (export "read" (func $read)) (export "write" (func $write))
      (export "set" (func $set)) (export "join" (func $join)) (export "end" (func $end))
      (export "return" (func $return))
      CONSUMERS-GIVEN
      PRODUCER-GIVEN))))
    (func (export "run") async (param "count" u32) (result u64)
      (canon lift (core func $code "run") async (callback (func $code "event")))))

  INSTANCES
  (export "run" (func $p "run")))
