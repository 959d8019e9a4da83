;; A function lowered twice, with a memory each, gets a refresh for each lower, with that lower's memory.
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
  (core module $libc (memory (export "memory") 1))
  (core instance $libc-1 (instantiate $libc))
  (core instance $libc-2 (instantiate $libc))
  (alias core export $libc-1 "memory" (core memory $memory-1))
  (alias core export $libc-2 "memory" (core memory $memory-2))
  (alias export $types "[static]mappable.map" (func $map))
  (core func $map-1 (canon lower (func $map) (memory $memory-1)))
  (core func $map-2 (canon lower (func $map) (memory $memory-2)))
  (core module $main
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (func (export "run")
      (call $map (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))
      (call $unmap (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "map" (func $map-1))
    (export "unmap" (func $map-2))))))
)
