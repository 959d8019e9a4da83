;; Maps a frozen region of SIZE bytes at START, and reads it. PAGES is the size of its memory, READER the module that
;; reads.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "frozen" (type $frozen (sub resource)))
    (export "frozen-mapping" (type $frozen-mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (export "[static]frozen.map" (func
      (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
    (export "[static]frozen-mapping.unmap" (func
      (param "this" (own $frozen-mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))))
  (alias export $types "frozen" (type $frozen))
  (alias export $types "[static]frozen.map" (func $map))
  (alias export $types "[static]frozen-mapping.unmap" (func $unmap))
  (core module $memory (memory (export "memory") PAGES))
READER
  (core module $guest
    (import "host" "memory" (memory 1))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (global $mapping (mut i32) (i32.const 0))
    (func $ok (result i32)
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (i32.load (i32.const 20)))
    (func (export "map") (param $frozen i32)
      (call $map (local.get $frozen) (i32.const START) (i32.const SIZE) (i32.const 16))
      (global.set $mapping (call $ok)))
    (func (export "unmap") (result i32)
      (call $unmap (global.get $mapping) (i32.const START) (i32.const SIZE) (i32.const 16))
      (call $ok)))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (core func $lowered-map (canon lower (func $map) (memory $mem)))
  (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
  (core instance $reader (instantiate $reader (with "host" (instance (export "memory" (memory $mem))))))
  (core instance $guest (instantiate $guest (with "host" (instance
    (export "memory" (memory $mem))
    (export "map" (func $lowered-map))
    (export "unmap" (func $lowered-unmap))))))
  (func (export "map") (param "region" (own $frozen)) (canon lift (core func $guest "map")))
  (func (export "unmap") (result (own $frozen)) (canon lift (core func $guest "unmap")))
  (func (export "sum") (result u64) (canon lift (core func $reader "sum"))))
