;; Core functions and instances behind a refresh move up; those before it stay, within one canonical section too.
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
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (alias export $types "[static]mappable.map" (func $map))
  (alias export $types "[static]mapping.unmap" (func $unmap))
  (alias export $types "granule" (func $granule))
  (alias export $types "mapping" (type $mapping))
  (core func $granule-1 (canon lower (func $granule)))
  (core func $map' (canon lower (func $map) string-encoding=utf8 (memory $memory) (realloc $realloc)))
  (core func $granule-2 (canon lower (func $granule)))
  (core func $drop (canon resource.drop $mapping))
  (core func $unmap' (canon lower (func $unmap) string-encoding=utf16 (memory $memory)))
  (core func $granule-3 (canon lower (func $granule)))
  (core module $main
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (func (export "run")
      (call $map (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))
      (call $unmap (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))))
  (core module $other
    (import "host" "1" (func (result i32)))
    (import "host" "2" (func (result i32)))
    (import "host" "3" (func (result i32)))
    (import "host" "drop" (func (param i32))))
  (core instance $other (instantiate $other (with "host" (instance
    (export "1" (func $granule-1))
    (export "2" (func $granule-2))
    (export "3" (func $granule-3))
    (export "drop" (func $drop))))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "map" (func $map'))
    (export "unmap" (func $unmap'))))))
  (func (export "run") (canon lift (core func $main "run")))
  (alias core export $main "run" (core func $run))
  (func (export "again") (canon lift (core func $run)))
)
