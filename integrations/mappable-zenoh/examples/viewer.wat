;; A node that receives what `camera.wat` sends. Arguments: the keys, how many values, and the bytes of each.
;;
;; Each value is mapped, and its number and a byte of each 4096 are compared with what they must be.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type (sub resource)))
    (export "frozen" (type $frozen (sub resource)))
    (export "frozen-mapping" (type $mapping (sub resource)))
    (type $map-cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $map-cases)))
    (export "[method]frozen.len" (func (param "self" (borrow $frozen)) (result u64)))
    (export "[static]frozen.map" (func
      (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $frozen) $map-error))))))
    (export "[static]frozen-mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $mapping) $map-error))))))))
  (alias export $types "frozen" (type $frozen))
  (import "mappable:bus/values@0.1.0" (instance $values
    (alias outer 1 $frozen (type $frozen'))
    (export "frozen" (type $value (eq $frozen')))
    (type $cases (enum
      "invalid-key" "not-granted" "over-quota" "no-subscriber" "congested" "too-large" "no-memory" "damaged" "closed"))
    (export "error" (type $error (eq $cases)))
    (type $fields (record (field "key" string) (field "payload" (own $value))))
    (export "message" (type $message (eq $fields)))
    (export "subscriber" (type $subscriber (sub resource)))
    (export "[static]subscriber.open" (func (param "keys" string) (result (result (own $subscriber) (error $error)))))
    (export "[method]subscriber.receive" (func
      (param "self" (borrow $subscriber)) (param "milliseconds" u32) (result (result (option $message) (error $error)))))))

  (core module $memory
    (memory (export "memory") 1)
    ;; The arguments lie behind each other, each at a multiple of 8. Keys of messages, which come later, lie on one another.
    (global $next (mut i32) (i32.const 1024))
    (global $is-begun (export "is-begun") (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (local.set $size (i32.and (i32.add (local.get $size) (i32.const 7)) (i32.const -8)))
      (if (i32.gt_u (local.get $size) (i32.sub (i32.const 65536) (local.get $at))) (then unreachable))
      (if (i32.eqz (global.get $is-begun)) (then
        (global.set $next (i32.add (local.get $at) (local.get $size)))))
      (local.get $at)))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (alias core export $own "realloc" (core func $realloc))
  (core func $len (canon lower (func $types "[method]frozen.len")))
  (core func $map (canon lower (func $types "[static]frozen.map") (memory $mem)))
  (core func $unmap (canon lower (func $types "[static]frozen-mapping.unmap") (memory $mem)))
  (core func $drop (canon resource.drop $frozen))
  (core func $open (canon lower (func $values "[static]subscriber.open") (memory $mem)))
  (core func $receive (canon lower (func $values "[method]subscriber.receive") (memory $mem) (realloc $realloc)))

  (core module $viewer
    (import "own" "memory" (memory 1))
    (import "own" "is-begun" (global $is-begun (mut i32)))
    (import "host" "len" (func $len (param i32) (result i64)))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "receive" (func $receive (param i32 i32 i32)))
    (data (i32.const 256) "all received, and all as they were sent")
    (data (i32.const 320) "arguments: KEYS COUNT BYTES")
    (data (i32.const 352) "the keys are not granted, or are none")
    (data (i32.const 416) "nothing came")
    (data (i32.const 448) "a value was not received")
    (data (i32.const 480) "a value is not what was sent")
    (data (i32.const 512) "no memory for a value")

    ;; The number that is an argument.
    (func $number (param $argument i32) (result i32)
      (local $at i32) (local $end i32) (local $number i32)
      (local.set $at (i32.load (local.get $argument)))
      (local.set $end (i32.add (local.get $at) (i32.load offset=4 (local.get $argument))))
      (loop $digits
        (if (i32.lt_u (local.get $at) (local.get $end)) (then
          (local.set $number (i32.add
            (i32.mul (local.get $number) (i32.const 10))
            (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $digits))))
      (local.get $number))

    ;; What `run` returns: whether it is an error, and the text.
    (func $answer (param $is-error i32) (param $text i32) (param $len i32) (result i32)
      (i32.store8 (i32.const 16) (local.get $is-error))
      (i32.store (i32.const 20) (local.get $text))
      (i32.store (i32.const 24) (local.get $len))
      (i32.const 16))

    (func $is-error (result i32) (i32.load8_u (i32.const 64)))
    (func $handle (result i32)
      (if (call $is-error) (then unreachable))
      (i32.load (i32.const 68)))

    ;; Whether what is mapped is the value of this number.
    (func $is-frame (param $frame i32) (param $bytes i32) (result i32)
      (local $at i32)
      (if (i32.ne (i32.load (i32.const 65536)) (local.get $frame)) (then (return (i32.const 0))))
      (local.set $at (i32.const 4095))
      (loop $pages
        (if (i32.lt_u (local.get $at) (local.get $bytes)) (then
          (if (i32.ne
                (i32.load8_u (i32.add (i32.const 65536) (local.get $at)))
                (i32.and (local.get $frame) (i32.const 255)))
            (then (return (i32.const 0))))
          (local.set $at (i32.add (local.get $at) (i32.const 4096)))
          (br $pages))))
      (i32.const 1))

    (func (export "run") (param $arguments i32) (param $count i32) (result i32)
      (local $subscriber i32) (local $left i32) (local $bytes i32) (local $size i32) (local $frame i32) (local $tries i32)
      (local $value i32)
      (if (i32.ne (local.get $count) (i32.const 3)) (then
        (return (call $answer (i32.const 1) (i32.const 320) (i32.const 27)))))
      (global.set $is-begun (i32.const 1))
      (local.set $left (call $number (i32.add (local.get $arguments) (i32.const 8))))
      (local.set $bytes (call $number (i32.add (local.get $arguments) (i32.const 16))))
      (local.set $size (i32.and (i32.add (local.get $bytes) (i32.const 65535)) (i32.const -65536)))
      (if (i32.eq (memory.grow (i32.shr_u (local.get $size) (i32.const 16))) (i32.const -1)) (then
        (return (call $answer (i32.const 1) (i32.const 512) (i32.const 21)))))
      (call $open (i32.load (local.get $arguments)) (i32.load offset=4 (local.get $arguments)) (i32.const 64))
      (if (call $is-error) (then (return (call $answer (i32.const 1) (i32.const 352) (i32.const 37)))))
      (local.set $subscriber (call $handle))
      (loop $frames
        (if (i32.lt_u (local.get $frame) (local.get $left)) (then
          (call $receive (local.get $subscriber) (i32.const 1000) (i32.const 64))
          (if (call $is-error) (then (return (call $answer (i32.const 1) (i32.const 448) (i32.const 24)))))
          ;; None yet: again, for a minute.
          (if (i32.eqz (i32.load8_u (i32.const 68))) (then
            (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
            (br_if $frames (i32.lt_u (local.get $tries) (i32.const 60)))
            (return (call $answer (i32.const 1) (i32.const 416) (i32.const 12)))))
          (local.set $value (i32.load (i32.const 80)))
          (if (i64.ne (call $len (local.get $value)) (i64.extend_i32_u (local.get $bytes))) (then
            (return (call $answer (i32.const 1) (i32.const 480) (i32.const 28)))))
          (call $map (local.get $value) (i32.const 65536) (local.get $size) (i32.const 64))
          (local.set $value (call $handle))
          (if (i32.eqz (call $is-frame (local.get $frame) (local.get $bytes))) (then
            (return (call $answer (i32.const 1) (i32.const 480) (i32.const 28)))))
          (call $unmap (local.get $value) (i32.const 65536) (local.get $size) (i32.const 64))
          (call $drop (call $handle))
          (local.set $frame (i32.add (local.get $frame) (i32.const 1)))
          (br $frames))))
      (call $answer (i32.const 0) (i32.const 256) (i32.const 39))))
  (core instance $viewer (instantiate $viewer
    (with "own" (instance $own))
    (with "host" (instance
      (export "len" (func $len)) (export "map" (func $map)) (export "unmap" (func $unmap)) (export "drop" (func $drop))
      (export "open" (func $open)) (export "receive" (func $receive))))))

  (func (export "run") (param "arguments" (list string)) (result (result string (error string)))
    (canon lift (core func $viewer "run") (memory $mem) (realloc $realloc))))
