;; What sends in the benchmark: `open` once, then `hop` for each region.
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
  (core func $send (canon lower (func $values "[method]publisher.send") (memory $mem)))

  (core module $sender
    (import "host" "memory" (memory 1))
    (import "host" "allocate" (func $allocate (param i64 i32)))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "send" (func $send (param i32 i32 i32)))
    (global $publisher (mut i32) (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func $handle (result i32)
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (i32.load (i32.const 68)))
    (func (export "open") (param $key i32) (param $len i32)
      (call $open (local.get $key) (local.get $len) (i32.const 64))
      (global.set $publisher (call $handle)))
    (func (export "hop") (param $number i32) (param $bytes i32)
      (local $size i32) (local $missing i32)
      (local.set $size (i32.and (i32.add (local.get $bytes) (i32.const 65535)) (i32.const -65536)))
      (local.set $missing (i32.sub
        (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0)) (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
      (call $allocate (i64.extend_i32_u (local.get $bytes)) (i32.const 64))
      (call $map (call $handle) (i32.const 65536) (local.get $size) (i32.const 64))
      (memory.fill (i32.const 65536) (local.get $number) (local.get $bytes))
      (i32.store (i32.const 65536) (local.get $number))
      (call $unmap (call $handle) (i32.const 65536) (local.get $size) (i32.const 64))
      (call $send (global.get $publisher) (call $handle) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then unreachable))))
  (core instance $sender (instantiate $sender (with "host" (instance
    (export "memory" (memory $mem))
    (export "allocate" (func $allocate)) (export "map" (func $map)) (export "unmap" (func $unmap))
    (export "open" (func $open)) (export "send" (func $send))))))

  (func (export "open") (param "key" string)
    (canon lift (core func $sender "open") (memory $mem) (realloc (func $sender "realloc"))))
  (func (export "hop") (param "number" u32) (param "bytes" u32) (canon lift (core func $sender "hop"))))
