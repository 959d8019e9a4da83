;; Two components that hand a reference to one frozen region back and forth, and read it: a closed composition.
;; SIZE is the region's size in bytes, PAGES that of their memories. The module `reader` is put in from reader.wat.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "frozen" (type $frozen (sub resource)))
    (export "frozen-mapping" (type $frozen-mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (export "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (export "[static]mappable.allocate" (func
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (export "[static]mappable.freeze" (func (param "this" (own $mappable)) (result (own $frozen))))
    (export "[static]frozen.map" (func
      (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
    (export "[static]frozen-mapping.unmap" (func
      (param "this" (own $frozen-mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "frozen" (type $frozen))
  (alias export $types "frozen-mapping" (type $frozen-mapping))
  (alias export $types "map-error" (type $map-error))
  (alias export $types "allocate-error" (type $allocate-error))
  (alias export $types "[static]mappable.allocate" (func $allocate))
  (alias export $types "[static]mappable.freeze" (func $freeze))
  (alias export $types "[static]frozen.map" (func $map))
  (alias export $types "[static]frozen-mapping.unmap" (func $unmap))

  READER
  (core module $memory (memory (export "memory") PAGES))

  (component $second
    (import "frozen" (type $frozen (sub resource)))
    (import "frozen-mapping" (type $frozen-mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (import "map-error" (type $map-error (eq $cases)))
    (import "map" (func $map
      (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
    (import "unmap" (func $unmap
      (param "this" (own $frozen-mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $reader (core module $reader))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $lowered-map (canon lower (func $map) (memory $mem)))
    (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
    (core instance $reader (instantiate $reader (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))))))
    (func (export "visit") (param "region" (own $frozen)) (result (own $frozen))
      (canon lift (core func $reader "visit"))))

  (component $first
    (import "mappable" (type $mappable (sub resource)))
    (import "frozen" (type $frozen (sub resource)))
    (import "frozen-mapping" (type $frozen-mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (import "map-error" (type $map-error (eq $cases)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (import "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (import "allocate" (func $allocate
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (import "freeze" (func $freeze (param "this" (own $mappable)) (result (own $frozen))))
    (import "map" (func $map
      (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
    (import "unmap" (func $unmap
      (param "this" (own $frozen-mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))
    (import "second" (func $second (param "region" (own $frozen)) (result (own $frozen))))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $reader (core module $reader))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $lowered-freeze (canon lower (func $freeze)))
    (core func $lowered-allocate (canon lower (func $allocate) (memory $mem)))
    (core func $lowered-map (canon lower (func $map) (memory $mem)))
    (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
    (core func $lowered-second (canon lower (func $second)))
    (core instance $reader (instantiate $reader (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))))))
    (core module $driver
      (import "host" "memory" (memory 1))
      (import "host" "allocate" (func $allocate (param i64 i32)))
      (import "host" "freeze" (func $freeze (param i32) (result i32)))
      (import "host" "visit" (func $visit (param i32) (result i32)))
      (import "host" "read" (func $read (param i32) (result i32 i64)))
      (import "host" "second" (func $second (param i32) (result i32)))
      ;; The reference, between runs.
      (global $kept (mut i32) (i32.const 0))
      ;; Answers how often the region has been read.
      (func (export "run") (param $rounds i32) (result i64)
        (local $region i32) (local $line i64)
        (local.set $region (global.get $kept))
        (if (i32.eqz (local.get $region)) (then
          (call $allocate (i64.const SIZE) (i32.const 16))
          (if (i32.load8_u (i32.const 16)) (then unreachable))
          (local.set $region (call $freeze (i32.load (i32.const 20))))))
        (loop $again
          (local.set $region (call $second (call $visit (local.get $region))))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (call $read (local.get $region))
        (local.set $line)
        (global.set $kept)
        (local.get $line)))
    (core instance $driver (instantiate $driver (with "host" (instance
      (export "memory" (memory $mem))
      (export "allocate" (func $lowered-allocate))
      (export "freeze" (func $lowered-freeze))
      (export "visit" (func $reader "visit"))
      (export "read" (func $reader "read"))
      (export "second" (func $lowered-second))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))

  (instance $b (instantiate $second
    (with "frozen" (type $frozen)) (with "frozen-mapping" (type $frozen-mapping)) (with "map-error" (type $map-error))
    (with "map" (func $map)) (with "unmap" (func $unmap))))
  (instance $a (instantiate $first
    (with "mappable" (type $mappable)) (with "frozen" (type $frozen)) (with "frozen-mapping" (type $frozen-mapping)) (with "map-error" (type $map-error))
    (with "allocate-error" (type $allocate-error)) (with "allocate" (func $allocate))
    (with "freeze" (func $freeze))
    (with "map" (func $map)) (with "unmap" (func $unmap)) (with "second" (func $b "visit"))))
  (export "run" (func $a "run")))
