;; Is given a region of REGION bytes, maps it, goes through it up to END, and gives it back. PAGES is the size of its
;; memory, TOUCHER the module that goes through it.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "[static]mappable.map" (func $map))
  (alias export $types "[static]mapping.unmap" (func $unmap))
  (core module $memory (memory (export "memory") PAGES))
TOUCHER
  (core module $guest
    (import "host" "memory" (memory 1))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (global $mapping (mut i32) (i32.const 0))
    (func $ok (result i32)
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (i32.load (i32.const 20)))
    (func (export "take") (param $region i32)
      (call $map (local.get $region) (i32.const 65536) (i32.const REGION) (i32.const 16))
      (global.set $mapping (call $ok)))
    (func (export "give") (result i32)
      (call $unmap (global.get $mapping) (i32.const 65536) (i32.const REGION) (i32.const 16))
      (call $ok)))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (core func $lowered-map (canon lower (func $map) (memory $mem)))
  (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
  (core instance $toucher (instantiate $toucher (with "host" (instance (export "memory" (memory $mem))))))
  (core instance $guest (instantiate $guest (with "host" (instance
    (export "memory" (memory $mem))
    (export "map" (func $lowered-map))
    (export "unmap" (func $lowered-unmap))))))
  (func (export "take") (param "region" (own $mappable)) (canon lift (core func $guest "take")))
  (func (export "touch") (result u64) (canon lift (core func $toucher "touch")))
  (func (export "give") (result (own $mappable)) (canon lift (core func $guest "give"))))
