(component
  (core module (;0;)
    (type (;0;) (func (param i32 i32 i32 i32)))
    (import "" "lowered" (func $lowered (;0;) (type 0)))
    (import "" "memory" (memory (;0;) 0))
    (export "refreshed" (func $refreshed))
    (func $refreshed (;1;) (type 0) (param i32 i32 i32 i32)
      local.get 3
      i32.const 3
      i32.and
      if ;; label = @1
        unreachable
      end
      local.get 3
      i32.load8_u offset=11
      drop
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      call $lowered
      i32.const 0
      memory.grow
      i32.const -1
      i32.eq
      if ;; label = @1
        unreachable
      end
    )
  )
  (component $provider (;0;)
    (core module $m (;0;)
      (type (;0;) (func (param i32 i32 i32) (result i32)))
      (type (;1;) (func (param i32 i32 i32 i32) (result i32)))
      (memory (;0;) 1)
      (export "memory" (memory 0))
      (export "map" (func 0))
      (export "realloc" (func 1))
      (func (;0;) (type 0) (param i32 i32 i32) (result i32)
        unreachable
      )
      (func (;1;) (type 1) (param i32 i32 i32 i32) (result i32)
        unreachable
      )
    )
    (core instance $m (;0;) (instantiate $m))
    (type $mappable' (;0;) (resource (rep i32)))
    (type $mapping' (;1;) (resource (rep i32)))
    (export $mappable (;2;) "mappable" (type $mappable'))
    (export $mapping (;3;) "mapping" (type $mapping'))
    (type $cases (;4;) (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export $map-error (;5;) "map-error" (type $cases))
    (type (;6;) (own $mappable))
    (type (;7;) (list u8))
    (type (;8;) (own $mapping))
    (type (;9;) (own $mappable))
    (type (;10;) (tuple 9 $map-error))
    (type (;11;) (result 8 (error 10)))
    (type $map (;12;) (func (param "this" 6) (param "at" 7) (result 11)))
    (alias core export $m "map" (core func (;0;)))
    (alias core export $m "memory" (core memory (;0;)))
    (alias core export $m "realloc" (core func (;1;)))
    (func $map (;0;) (type $map) (canon lift (core func 0) (memory 0) (realloc 1)))
    (export (;1;) "[static]mappable.map" (func $map))
  )
  (instance $provider (;0;) (instantiate $provider))
  (core module $libc (;1;)
    (type (;0;) (func (param i32 i32 i32 i32) (result i32)))
    (memory (;0;) 1)
    (export "memory" (memory 0))
    (export "realloc" (func 0))
    (func (;0;) (type 0) (param i32 i32 i32 i32) (result i32)
      unreachable
    )
  )
  (core instance $libc (;0;) (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory (;0;)))
  (alias core export $libc "realloc" (core func $realloc (;0;)))
  (alias export $provider "[static]mappable.map" (func $map (;0;)))
  (core func (;1;) (canon lower (func $map) (memory $memory)))
  (core instance (;1;)
    (export "lowered" (func 1))
    (export "memory" (memory $memory))
  )
  (core instance (;2;) (instantiate 0
      (with "" (instance 1))
    )
  )
  (alias core export 2 "refreshed" (core func $map' (;2;)))
  (core module $main (;2;)
    (type (;0;) (func (param i32 i32 i32 i32)))
    (type (;1;) (func))
    (import "host" "map" (func $map (;0;) (type 0)))
    (import "host" "unmap" (func $unmap (;1;) (type 0)))
    (export "run" (func 2))
    (func (;2;) (type 1)
      i32.const 1
      i32.const 65536
      i32.const 65536
      i32.const 16
      call $map
      i32.const 1
      i32.const 65536
      i32.const 65536
      i32.const 16
      call $unmap
    )
  )
  (core instance (;3;)
    (export "map" (func $map'))
    (export "unmap" (func $map'))
  )
  (core instance (;4;) (instantiate $main
      (with "host" (instance 3))
    )
  )
)
