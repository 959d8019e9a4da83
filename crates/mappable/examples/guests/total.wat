;; A guest that maps frozen bytes and adds them up: 64 KiB, as words of 8 bytes.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "frozen" (type $frozen (sub resource)))
    (export "frozen-mapping" (type $frozen-mapping (sub resource)))
    (type $errors (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch"
      "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $errors)))
    (export "[static]frozen.map" (func (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
    (export "[static]frozen-mapping.unmap" (func (param "this" (own $frozen-mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))))
  (alias export $types "frozen" (type $frozen))

  (core module $Memory (memory (export "memory") 2))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $map (canon lower (func $types "[static]frozen.map") (memory $mem)))
  (core func $unmap (canon lower (func $types "[static]frozen-mapping.unmap") (memory $mem)))
  (core func $drop (canon resource.drop $frozen))

  (core module $Guest
    (import "env" "memory" (memory 2))
    (import "env" "map" (func $map (param i32 i32 i32 i32)))
    (import "env" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "env" "drop" (func $drop (param i32)))
    (func (export "total") (param $frozen i32) (result i64)
      (local $at i32) (local $total i64)
      (call $map (local.get $frozen) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))
      (local.set $at (i32.const 0x10000))
      (loop $next
        (local.set $total (i64.add (local.get $total) (i64.load (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 0x20000))))
      (call $unmap (i32.load (i32.const 4)) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then unreachable))
      (call $drop (i32.load (i32.const 4)))
      (local.get $total)))
  (core instance $guest (instantiate $Guest (with "env" (instance
    (export "memory" (memory $mem)) (export "map" (func $map)) (export "unmap" (func $unmap))
    (export "drop" (func $drop))))))

  (func (export "total") (param "weights" (own $frozen)) (result u64) (canon lift (core func $guest "total"))))
