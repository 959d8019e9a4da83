;; The refresh grows the memory that the lower names, with two memories in one instance.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $cases (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (export "granule" (func (result u32)))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
  ))
  (core module $libc
    (memory (export "first") 1)
    (memory (export "second") 2 3))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "first" (core memory $first))
  (alias core export $libc "second" (core memory $second))
  (alias export $types "[static]mappable.map" (func $map))
  (alias export $types "[static]mapping.unmap" (func $unmap))
  (core func $map' (canon lower (func $map) (memory $first)))
  (core func $unmap' (canon lower (func $unmap) (memory $second)))
  (core module $main
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (func (export "run")
      (call $map (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))
      (call $unmap (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "map" (func $map'))
    (export "unmap" (func $unmap'))))))
  (func (export "run") (canon lift (core func $main "run")))
)
