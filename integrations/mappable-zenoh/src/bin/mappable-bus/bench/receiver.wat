;; What receives in the benchmark: `open` once, then `take` until a value has come. Returns its number, or none if none came.
;; Traps if a byte that is looked at is not what was sent.
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
    ;; The key of a message, or of the subscription.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (alias core export $own "realloc" (core func $realloc))
  (core func $len (canon lower (func $types "[method]frozen.len")))
  (core func $map (canon lower (func $types "[static]frozen.map") (memory $mem)))
  (core func $unmap (canon lower (func $types "[static]frozen-mapping.unmap") (memory $mem)))
  (core func $drop (canon resource.drop $frozen))
  (core func $open (canon lower (func $values "[static]subscriber.open") (memory $mem)))
  (core func $receive (canon lower (func $values "[method]subscriber.receive") (memory $mem) (realloc $realloc)))

  (core module $receiver
    (import "host" "memory" (memory 1))
    (import "host" "len" (func $len (param i32) (result i64)))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "receive" (func $receive (param i32 i32 i32)))
    (global $subscriber (mut i32) (i32.const 0))
    (func $handle (result i32)
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (i32.load (i32.const 68)))
    (func (export "open") (param $keys i32) (param $count i32)
      (call $open (local.get $keys) (local.get $count) (i32.const 64))
      (global.set $subscriber (call $handle)))
    (func (export "take") (result i32)
      (local $value i32) (local $bytes i32) (local $size i32) (local $missing i32) (local $at i32) (local $number i32)
      (call $receive (global.get $subscriber) (i32.const 1000) (i32.const 64))
      (drop (call $handle))
      (if (i32.eqz (i32.load8_u (i32.const 68))) (then
        (i32.store8 (i32.const 16) (i32.const 0))
        (return (i32.const 16))))
      (local.set $value (i32.load (i32.const 80)))
      (local.set $bytes (i32.wrap_i64 (call $len (local.get $value))))
      (local.set $size (i32.and (i32.add (local.get $bytes) (i32.const 65535)) (i32.const -65536)))
      (local.set $missing (i32.sub
        (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0)) (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
      (call $map (local.get $value) (i32.const 65536) (local.get $size) (i32.const 64))
      (local.set $value (call $handle))
      (local.set $number (i32.load (i32.const 65536)))
      (local.set $at (i32.const 4095))
      (loop $pages
        (if (i32.lt_u (local.get $at) (local.get $bytes)) (then
          (if (i32.ne
                (i32.load8_u (i32.add (i32.const 65536) (local.get $at)))
                (i32.and (local.get $number) (i32.const 255)))
            (then unreachable))
          (local.set $at (i32.add (local.get $at) (i32.const 4096)))
          (br $pages))))
      (call $unmap (local.get $value) (i32.const 65536) (local.get $size) (i32.const 64))
      (call $drop (call $handle))
      (i32.store8 (i32.const 16) (i32.const 1))
      (i32.store (i32.const 20) (local.get $number))
      (i32.const 16)))
  (core instance $receiver (instantiate $receiver
    (with "host" (instance
      (export "memory" (memory $mem))
      (export "len" (func $len)) (export "map" (func $map)) (export "unmap" (func $unmap)) (export "drop" (func $drop))
      (export "open" (func $open)) (export "receive" (func $receive))))))

  (func (export "open") (param "keys" string)
    (canon lift (core func $receiver "open") (memory $mem) (realloc $realloc)))
  (func (export "take") (result (option u32)) (canon lift (core func $receiver "take") (memory $mem))))
