;; A node that sends regions. Arguments: the key, how many regions, and the bytes of each.
;;
;; Each region is allocated, mapped, filled with the lowest byte of its number, begun with its number, unmapped and sent. It
;; waits for a subscriber first, for a minute.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (export "frozen" (type (sub resource)))
    (type $map-cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $map-cases)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (export "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (export "[static]mappable.allocate" (func
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))))
  (alias export $types "mappable" (type $mappable))
  (import "mappable:bus/values@0.1.0" (instance $values
    (alias outer 1 $mappable (type $mappable'))
    (export "mappable" (type $region (eq $mappable')))
    (type $cases (enum
      "invalid-key" "not-granted" "over-quota" "no-subscriber" "congested" "too-large" "no-memory" "damaged" "closed"))
    (export "error" (type $error (eq $cases)))
    (export "publisher" (type $publisher (sub resource)))
    (export "[static]publisher.open" (func (param "key" string) (result (result (own $publisher) (error $error)))))
    (export "[method]publisher.wait-for-subscriber" (func
      (param "self" (borrow $publisher)) (param "milliseconds" u32) (result bool)))
    (export "[method]publisher.send" (func
      (param "self" (borrow $publisher)) (param "region" (own $region))
      (result (result (error (tuple (own $region) $error))))))))

  (core module $memory (memory (export "memory") 1))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (core func $allocate (canon lower (func $types "[static]mappable.allocate") (memory $mem)))
  (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem)))
  (core func $unmap (canon lower (func $types "[static]mapping.unmap") (memory $mem)))
  (core func $open (canon lower (func $values "[static]publisher.open") (memory $mem)))
  (core func $wait (canon lower (func $values "[method]publisher.wait-for-subscriber")))
  (core func $send (canon lower (func $values "[method]publisher.send") (memory $mem)))

  (core module $camera
    (import "host" "memory" (memory 1))
    (import "host" "allocate" (func $allocate (param i64 i32)))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "wait" (func $wait (param i32 i32) (result i32)))
    (import "host" "send" (func $send (param i32 i32 i32)))
    (data (i32.const 256) "all sent")
    (data (i32.const 288) "arguments: KEY COUNT BYTES")
    (data (i32.const 320) "the key is not granted, or is none")
    (data (i32.const 384) "nobody subscribes")
    (data (i32.const 416) "a region was not sent")
    (data (i32.const 448) "no memory for a region")

    ;; The arguments lie behind each other, each at a multiple of 8.
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
      (if (i32.gt_u (global.get $next) (i32.const 65536)) (then unreachable))
      (local.get $at))

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

    ;; The handle in an answer of the host's, if it is not an error.
    (func $is-error (result i32) (i32.load8_u (i32.const 64)))
    (func $handle (result i32)
      (if (call $is-error) (then unreachable))
      (i32.load (i32.const 68)))

    (func (export "run") (param $arguments i32) (param $count i32) (result i32)
      (local $publisher i32) (local $left i32) (local $bytes i32) (local $size i32) (local $frame i32) (local $tries i32)
      (if (i32.ne (local.get $count) (i32.const 3)) (then
        (return (call $answer (i32.const 1) (i32.const 288) (i32.const 26)))))
      (local.set $left (call $number (i32.add (local.get $arguments) (i32.const 8))))
      (local.set $bytes (call $number (i32.add (local.get $arguments) (i32.const 16))))
      (local.set $size (i32.and (i32.add (local.get $bytes) (i32.const 65535)) (i32.const -65536)))
      (if (i32.eq (memory.grow (i32.shr_u (local.get $size) (i32.const 16))) (i32.const -1)) (then
        (return (call $answer (i32.const 1) (i32.const 448) (i32.const 22)))))
      (call $open (i32.load (local.get $arguments)) (i32.load offset=4 (local.get $arguments)) (i32.const 64))
      (if (call $is-error) (then (return (call $answer (i32.const 1) (i32.const 320) (i32.const 34)))))
      (local.set $publisher (call $handle))
      (block $there
        (loop $again
          (br_if $there (call $wait (local.get $publisher) (i32.const 1000)))
          (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $tries) (i32.const 60))))
        (return (call $answer (i32.const 1) (i32.const 384) (i32.const 17))))
      (loop $frames
        (if (i32.lt_u (local.get $frame) (local.get $left)) (then
          (call $allocate (i64.extend_i32_u (local.get $bytes)) (i32.const 64))
          (if (call $is-error) (then (return (call $answer (i32.const 1) (i32.const 448) (i32.const 22)))))
          (call $map (call $handle) (i32.const 65536) (local.get $size) (i32.const 64))
          (memory.fill (i32.const 65536) (local.get $frame) (local.get $bytes))
          (i32.store (i32.const 65536) (local.get $frame))
          (call $unmap (call $handle) (i32.const 65536) (local.get $size) (i32.const 64))
          (call $send (local.get $publisher) (call $handle) (i32.const 64))
          (if (call $is-error) (then (return (call $answer (i32.const 1) (i32.const 416) (i32.const 21)))))
          (local.set $frame (i32.add (local.get $frame) (i32.const 1)))
          (br $frames))))
      (call $answer (i32.const 0) (i32.const 256) (i32.const 8))))
  (core instance $camera (instantiate $camera (with "host" (instance
    (export "memory" (memory $mem))
    (export "allocate" (func $allocate)) (export "map" (func $map)) (export "unmap" (func $unmap))
    (export "open" (func $open)) (export "wait" (func $wait)) (export "send" (func $send))))))

  (func (export "run") (param "arguments" (list string)) (result (result string (error string)))
    (canon lift (core func $camera "run") (memory $mem) (realloc (func $camera "realloc")))))
