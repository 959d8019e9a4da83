;; A guest that works on an Arrow array of strings where it lies: it makes the ASCII letters of those that are valid
;; capitals. The array is in the first 64 KiB of a region, and said to be where: its validity bits, its offsets, its values.
(component
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
    (import "env" "map" (func $map (param i32 i32 i32 i32)))
    (import "env" "unmap" (func $unmap (param i32 i32 i32 i32)))

    (func (export "upper") (param $region i32) (param $validity i32) (param $offsets i32) (param $values i32)
      (param $count i32) (result i32)
      (local $index i32)
      (call $map (local.get $region) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))      ;; an error: not handled here
      (local.set $validity (i32.add (local.get $validity) (i32.const 0x10000)))
      (local.set $offsets (i32.add (local.get $offsets) (i32.const 0x10000)))
      (local.set $values (i32.add (local.get $values) (i32.const 0x10000)))
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $index) (local.get $count)))
        (if (i32.and (i32.const 1) (i32.shr_u
              (i32.load8_u (i32.add (local.get $validity) (i32.shr_u (local.get $index) (i32.const 3))))
              (i32.and (local.get $index) (i32.const 7))))
          (then (call $capitals
            (i32.add (local.get $values) (i32.load (local.get $offsets)))
            (i32.add (local.get $values) (i32.load offset=4 (local.get $offsets))))))
        (local.set $offsets (i32.add (local.get $offsets) (i32.const 4)))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next)))
      (call $unmap (i32.load (i32.const 4)) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))
      (i32.load (i32.const 4)))                                 ;; the region's handle

    (func $capitals (param $at i32) (param $end i32)
      (local $letter i32)
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $letter (i32.load8_u (local.get $at)))
        (if (i32.lt_u (i32.sub (local.get $letter) (i32.const 97)) (i32.const 26))
          (then (i32.store8 (local.get $at) (i32.sub (local.get $letter) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))))
  (core instance $guest (instantiate $Guest (with "env" (instance
    (export "memory" (memory $mem)) (export "map" (func $map)) (export "unmap" (func $unmap))))))

  (func (export "upper") (param "region" (own $mappable)) (param "validity" u32) (param "offsets" u32)
    (param "values" u32) (param "count" u32) (result (own $mappable))
    (canon lift (core func $guest "upper"))))
