;; A component that implements the interface lifts marked functions freely. Who calls them lowers them, and that
;; lower gets a refresh.
(component
  (component $provider
    (core module $m
      (memory (export "memory") 1)
      (func (export "map") (param i32 i32 i32) (result i32) unreachable)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $m (instantiate $m))
    (type $mappable' (resource (rep i32)))
    (type $mapping' (resource (rep i32)))
    (export $mappable "mappable" (type $mappable'))
    (export $mapping "mapping" (type $mapping'))
    (type $cases (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export $map-error "map-error" (type $cases))
    (type $map (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (func $map (type $map) (canon lift (core func $m "map") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
    (export "[static]mappable.map" (func $map)))
  (instance $provider (instantiate $provider))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (alias export $provider "[static]mappable.map" (func $map))
  (core func $map' (canon lower (func $map) (memory $memory)))
  (core module $main
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (func (export "run")
      (call $map (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))
      (call $unmap (i32.const 1) (i32.const 65536) (i32.const 65536) (i32.const 16))))
  (core instance (instantiate $main (with "host" (instance
    (export "map" (func $map'))
    (export "unmap" (func $map'))))))
)
