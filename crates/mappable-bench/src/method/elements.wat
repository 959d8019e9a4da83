;; Two components that know of nothing but lists: `second` takes one of LEN elements (BYTES bytes) and gives one, each time
;; within a VALUE that is TAG and the list. What is sent changes each time, and the marks of what arrived are returned.
;; MID and END are where its later marks are, TIMES and MORE how many times the first. PAGES is the size of their memories.
(component
  (core module $memory
    (memory (export "memory") PAGES)
    ;; One buffer for the list that comes in, so that no allocator is measured.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core module $marks
    (import "host" "memory" (memory 1))
    ;; Marks the list of BYTES bytes in the buffer: at its front, in the middle, at its end. All is ASCII.
    (func (export "mark") (param $mark i32)
      (STORE offset=65536 (i32.const 0) (i32.and (i32.const MASK) (local.get $mark)))
      (STORE offset=65536 (i32.const MID) (i32.and (i32.const MASK) (i32.mul (local.get $mark) (i32.const TIMES))))
      (STORE offset=65536 (i32.const END) (i32.and (i32.const MASK) (i32.mul (local.get $mark) (i32.const MORE)))))
    ;; Returns how many lists with that mark this is.
    (func (export "marked") (param $mark i32) (param $tag i32) (param $at i32) (param $len i32) (result i64)
      (i64.extend_i32_u (i32.and
        (i32.and
          (i32.eq (local.get $tag) (i32.const TAG))
          (i32.eq (local.get $len) (i32.const LEN)))
        (i32.and
          (i32.eq (LOAD (local.get $at)) (i32.and (i32.const MASK) (local.get $mark)))
          (i32.and
            (i32.eq (LOAD offset=MID (local.get $at))
              (i32.and (i32.const MASK) (i32.mul (local.get $mark) (i32.const TIMES))))
            (i32.eq (LOAD offset=END (local.get $at))
              (i32.and (i32.const MASK) (i32.mul (local.get $mark) (i32.const MORE)))))))))
    ;; Fills the buffer, word by word.
    (func (export "fill") (local $at i32)
      (loop $next
        (i32.store offset=65536 (local.get $at)
          (i32.and (i32.const 0x7f7f7f7f) (i32.mul (local.get $at) (i32.const 0x9e3779b1))))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const BYTES)))))
    ;; Traps if a list is not what the buffer was filled with.
    (func (export "compare") (param $from i32) (local $at i32)
      (loop $next
        (if (i32.ne
            (LOAD (i32.add (local.get $from) (local.get $at)))
            (i32.and (i32.const MASK) (i32.mul (local.get $at) (i32.const 0x9e3779b1))))
          (then unreachable))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const BYTES))))))

  (component $second
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $marks (core module $marks))
    (core instance $own (instantiate $memory))
    (core instance $marks (instantiate $marks (with "host" (instance $own))))
    (core module $code
      (import "host" "memory" (memory 1))
      (import "marks" "mark" (func $mark (param i32)))
      (import "marks" "marked" (func $marked (param i32 i32 i32 i32) (result i64)))
      (import "marks" "fill" (func $fill))
      (import "marks" "compare" (func $compare (param i32)))
      (func (export "take") (param $mark i32) PARAMS (param $at i32) (param $len i32) (result i64)
        (call $marked (local.get $mark) GIVEN (local.get $at) (local.get $len)))
      (func (export "take-all") PARAMS (param $at i32) (param $len i32)
        (call $compare (local.get $at)))
      (func $buffer (result i32)
        (i32.store (i32.const 16) (i32.const TAG))
        (i32.store (i32.const OFFSET) (i32.const 65536))
        (i32.store offset=4 (i32.const OFFSET) (i32.const LEN))
        (i32.const 16))
      (func (export "give") (param $mark i32) (result i32)
        (call $mark (local.get $mark))
        (call $buffer))
      (func (export "give-all") (result i32)
        (call $fill)
        (call $buffer))
      ;; Who gives a list frees it here.
      (func (export "given") (param i32)))
    (core instance $code (instantiate $code (with "host" (instance $own)) (with "marks" (instance $marks))))
    (type $its-value VALUE)
    (export $value "value" (type $its-value))
    (func (export "take") (param "mark" u32) (param "value" $value) (result u64)
      (canon lift (core func $code "take") (memory $own "memory") (realloc (func $own "realloc")) ENCODING))
    (func (export "take-all") (param "value" $value)
      (canon lift (core func $code "take-all") (memory $own "memory") (realloc (func $own "realloc")) ENCODING))
    (func (export "give") (param "mark" u32) (result $value)
      (canon lift (core func $code "give") (memory $own "memory") (post-return (func $code "given")) ENCODING))
    (func (export "give-all") (result $value)
      (canon lift (core func $code "give-all") (memory $own "memory") (post-return (func $code "given")) ENCODING)))

  (component $first
    (type $its-value VALUE)
    (import "value" (type $value (eq $its-value)))
    (import "take" (func $take (param "mark" u32) (param "value" $value) (result u64)))
    (import "take-all" (func $take-all (param "value" $value)))
    (import "give" (func $give (param "mark" u32) (result $value)))
    (import "give-all" (func $give-all (result $value)))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $marks (core module $marks))
    (core instance $own (instantiate $memory))
    (core instance $marks (instantiate $marks (with "host" (instance $own))))
    (core func $lowered-take (canon lower (func $take) (memory $own "memory") ENCODING))
    (core func $lowered-take-all (canon lower (func $take-all) (memory $own "memory") ENCODING))
    (core func $lowered-give
      (canon lower (func $give) (memory $own "memory") (realloc (func $own "realloc")) ENCODING))
    (core func $lowered-give-all
      (canon lower (func $give-all) (memory $own "memory") (realloc (func $own "realloc")) ENCODING))
    (core module $driver
      (import "host" "memory" (memory 1))
      (import "marks" "mark" (func $mark (param i32)))
      (import "marks" "marked" (func $marked (param i32 i32 i32 i32) (result i64)))
      (import "marks" "fill" (func $fill))
      (import "marks" "compare" (func $compare (param i32)))
      (import "second" "take" (func $take (param i32) PARAMS (param i32 i32) (result i64)))
      (import "second" "take-all" (func $take-all PARAMS (param i32 i32)))
      (import "second" "give" (func $give (param i32 i32)))
      (import "second" "give-all" (func $give-all (param i32)))
      ;; How many lists have arrived, rightly.
      (global $arrived (mut i64) (i64.const 0))
      (func (export "argument") (param $rounds i32) (result i64)
        ;; The first time, all of the list is looked at.
        (if (i64.eqz (global.get $arrived)) (then
          (call $fill)
          (call $take-all SENT (i32.const 65536) (i32.const LEN))))
        (loop $again
          (call $mark (local.get $rounds))
          (global.set $arrived (i64.add (global.get $arrived)
            (call $take (local.get $rounds) SENT (i32.const 65536) (i32.const LEN))))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (global.get $arrived))
      (func (export "result") (param $rounds i32) (result i64)
        (if (i64.eqz (global.get $arrived)) (then
          (call $give-all (i32.const 16))
          (call $compare (i32.load (i32.const OFFSET)))))
        (loop $again
          (call $give (local.get $rounds) (i32.const 16))
          (global.set $arrived (i64.add (global.get $arrived)
            (call $marked (local.get $rounds) FOUND (i32.load (i32.const OFFSET)) (i32.load offset=4 (i32.const OFFSET)))))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (global.get $arrived)))
    (core instance $driver (instantiate $driver
      (with "host" (instance $own))
      (with "marks" (instance $marks))
      (with "second" (instance
        (export "take" (func $lowered-take))
        (export "take-all" (func $lowered-take-all))
        (export "give" (func $lowered-give))
        (export "give-all" (func $lowered-give-all))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "DIRECTION"))))

  (instance $b (instantiate $second))
  (instance $a (instantiate $first
    (with "value" (type $b "value"))
    (with "take" (func $b "take")) (with "take-all" (func $b "take-all"))
    (with "give" (func $b "give")) (with "give-all" (func $b "give-all"))))
  (export "run" (func $a "run")))
