;; A pipeline of components that each write into a region and pass it on; the host gives it to the first and has it back from
;; the last. SIZE is the region's size in bytes, PAGES that of their memories. What stages there are is put in at the end.
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
  (alias export $types "mapping" (type $mapping))
  (alias export $types "map-error" (type $map-error))
  (alias export $types "[static]mappable.map" (func $map))
  (alias export $types "[static]mapping.unmap" (func $unmap))

  (core module $visitor
    (import "host" "memory" (memory 1))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "host" "next" (func $next (param i32) (result i32)))
    (func $ok (result i32)
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (i32.load (i32.const 20)))
    ;; Maps the region that it is given, writes one cache line, unmaps it, and passes it on.
    (func (export "process") (param $region i32) (result i32)
      (local $line i64)
      (call $map (local.get $region) (i32.const 65536) (i32.const SIZE) (i32.const 16))
      (local.set $region (call $ok))
      (local.set $line (i64.add (i64.load (i32.const 65536)) (i64.const 1)))
      (i64.store offset=0 (i32.const 65536) (local.get $line))
      (i64.store offset=8 (i32.const 65536) (local.get $line))
      (i64.store offset=16 (i32.const 65536) (local.get $line))
      (i64.store offset=24 (i32.const 65536) (local.get $line))
      (i64.store offset=32 (i32.const 65536) (local.get $line))
      (i64.store offset=40 (i32.const 65536) (local.get $line))
      (i64.store offset=48 (i32.const 65536) (local.get $line))
      (i64.store offset=56 (i32.const 65536) (local.get $line))
      (call $unmap (local.get $region) (i32.const 65536) (i32.const SIZE) (i32.const 16))
      (call $next (call $ok))))
  (core module $memory (memory (export "memory") PAGES))
  (core module $end (func (export "next") (param i32) (result i32) (local.get 0)))

  (component $last
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
    (alias outer 1 $end (core module $end))
    (core instance $end (instantiate $end))
    (alias core export $end "next" (core func $next))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))
      (export "next" (func $next))))))
    (func (export "process") (param "region" (own $mappable)) (result (own $mappable))
      (canon lift (core func $visitor "process"))))

  STAGES
  (export "process" (func $s1 "process")))
