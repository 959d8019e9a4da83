;; A guest that inverts the first 64 KiB of a region: it takes the region, maps it, works on it, and gives it back.
(component
  ;; What it uses of the WIT package.
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $errors (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch"
      "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $errors)))
    (export "[static]mappable.map" (func (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))))
  (alias export $types "mappable" (type $mappable))

  (core module $Memory (memory (export "memory") 2))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem)))
  (core func $unmap (canon lower (func $types "[static]mapping.unmap") (memory $mem)))

  (core module $Guest
    (import "env" "memory" (memory 2))
    ;; A handle, the placement as address and length, and where the result goes.
    (import "env" "map" (func $map (param i32 i32 i32 i32)))
    (import "env" "unmap" (func $unmap (param i32 i32 i32 i32)))

    (func (export "invert") (param $region i32) (result i32)
      (local $at i32)
      (call $map (local.get $region) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))      ;; an error: not handled here
      (local.set $at (i32.const 0x10000))
      (loop $next
        (i64.store (local.get $at) (i64.xor (i64.load (local.get $at)) (i64.const -1)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 0x20000))))
      (call $unmap (i32.load (i32.const 4)) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))
      (i32.load (i32.const 4))))                                ;; the region's handle
  (core instance $guest (instantiate $Guest (with "env" (instance
    (export "memory" (memory $mem)) (export "map" (func $map)) (export "unmap" (func $unmap))))))

  (func (export "invert") (param "region" (own $mappable)) (result (own $mappable))
    (canon lift (core func $guest "invert"))))
