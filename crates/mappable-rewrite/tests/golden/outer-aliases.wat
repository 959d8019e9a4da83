;; Outer aliases of core modules follow them to their new indices; other outer aliases stay.
;; Types within types count as levels too.
(component
  (core module $before (func (export "before")))
  (core type $core-type (func (param i32)))
  (type $record (record (field "x" u32)))
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
  (core func $map' (canon lower (func $map) (memory $memory)))
  (core func $unmap' (canon lower (func $unmap) (memory $memory)))
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
  (core module $after (func (export "after")))
  (type $deep (component
    (alias outer 1 $record (type $r))
    (import "r" (type (eq $r)))
    (import "m" (core module
      (alias outer 2 $core-type (type $t))
      (export "f" (func (type $t)))))
    (type (instance
      (alias outer 2 $record (type $r2))
      (export "r" (type (eq $r2)))))))
  (component $plain
    (alias outer 1 $before (core module $before))
    (alias outer 1 $after (core module $after))
    (alias outer 1 $record (type $record))
    (core instance (instantiate $before))
    (core instance (instantiate $after))
    (component $deeper
      (alias outer 1 $after (core module $from-plain))
      (alias outer 2 $after (core module $from-root))
      (alias outer 2 $main (core module $main))
      (core instance (instantiate $from-plain))
      (core instance (instantiate $from-root))
      (export "main" (core module $main)))
    (instance $deeper (instantiate $deeper))
    (export "main" (core module $deeper "main")))
  (instance $plain (instantiate $plain))
  (alias export $plain "main" (core module $main-again))
  (core instance (instantiate $main-again (with "host" (instance
    (export "map" (func $unmap'))
    (export "unmap" (func $map'))))))
)
