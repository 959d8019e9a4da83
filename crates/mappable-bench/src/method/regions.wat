;; Two components that hand one region back and forth: a closed composition, whose exports don't know of regions.
;; SIZE is the region's size in bytes, PAGES that of their memories. The module `visitor` is put in from visitor.wat.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
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
  (alias export $types "mapping" (type $mapping))
  (alias export $types "map-error" (type $map-error))
  (alias export $types "allocate-error" (type $allocate-error))
  (alias export $types "[static]mappable.allocate" (func $allocate))
  (alias export $types "[static]mappable.map" (func $map))
  (alias export $types "[static]mapping.unmap" (func $unmap))

  VISITOR
  (core module $memory (memory (export "memory") PAGES))

  (component $second
    (import "mappable" (type $mappable (sub resource)))
    (import "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (import "map-error" (type $map-error (eq $cases)))
    (import "map" (func $map
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (import "unmap" (func $unmap
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $visitor (core module $visitor))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $lowered-map (canon lower (func $map) (memory $mem)))
    (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))))))
    (func (export "visit") (param "region" (own $mappable)) (result (own $mappable))
      (canon lift (core func $visitor "visit"))))

  (component $first
    (import "mappable" (type $mappable (sub resource)))
    (import "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (import "map-error" (type $map-error (eq $cases)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (import "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (import "allocate" (func $allocate
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (import "map" (func $map
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (import "unmap" (func $unmap
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
    (import "second" (func $second (param "region" (own $mappable)) (result (own $mappable))))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $visitor (core module $visitor))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $lowered-allocate (canon lower (func $allocate) (memory $mem)))
    (core func $lowered-map (canon lower (func $map) (memory $mem)))
    (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
    (core func $lowered-second (canon lower (func $second)))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))))))
    (core module $driver
      (import "host" "memory" (memory 1))
      (import "host" "allocate" (func $allocate (param i64 i32)))
      (import "host" "visit" (func $visit (param i32) (result i32)))
      (import "host" "read" (func $read (param i32) (result i32 i64)))
      (import "host" "second" (func $second (param i32) (result i32)))
      ;; The region, between runs.
      (global $kept (mut i32) (i32.const 0))
      ;; Answers what the line holds in the end: how often it has been written.
      (func (export "run") (param $rounds i32) (result i64)
        (local $region i32) (local $line i64)
        (local.set $region (global.get $kept))
        (if (i32.eqz (local.get $region)) (then
          (call $allocate (i64.const SIZE) (i32.const 16))
          (if (i32.load8_u (i32.const 16)) (then unreachable))
          (local.set $region (i32.load (i32.const 20)))))
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
      (export "visit" (func $visitor "visit"))
      (export "read" (func $visitor "read"))
      (export "second" (func $lowered-second))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))

  (instance $b (instantiate $second
    (with "mappable" (type $mappable)) (with "mapping" (type $mapping)) (with "map-error" (type $map-error))
    (with "map" (func $map)) (with "unmap" (func $unmap))))
  (instance $a (instantiate $first
    (with "mappable" (type $mappable)) (with "mapping" (type $mapping)) (with "map-error" (type $map-error))
    (with "allocate-error" (type $allocate-error)) (with "allocate" (func $allocate))
    (with "map" (func $map)) (with "unmap" (func $unmap)) (with "second" (func $b "visit"))))
  (export "run" (func $a "run")))
