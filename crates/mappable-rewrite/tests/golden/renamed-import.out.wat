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
  (type (;0;)
    (instance
      (export (;0;) "mappable" (type (sub resource)))
      (export (;1;) "mapping" (type (sub resource)))
      (type (;2;) (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
      (export (;3;) "map-error" (type (eq 2)))
      (type (;4;) (func (result u32)))
      (export (;0;) "granule" (func (type 4)))
      (type (;5;) (own 0))
      (type (;6;) (list u8))
      (type (;7;) (own 1))
      (type (;8;) (own 0))
      (type (;9;) (tuple 8 3))
      (type (;10;) (result 7 (error 9)))
      (type (;11;) (func (param "x" 5) (param "y" 6) (result 10)))
      (export (;1;) "[static]mappable.map" (func (type 11)))
      (type (;12;) (own 1))
      (type (;13;) (list u8))
      (type (;14;) (own 0))
      (type (;15;) (own 1))
      (type (;16;) (tuple 15 3))
      (type (;17;) (result 14 (error 16)))
      (type (;18;) (func (param "x" 12) (param "y" 13) (result 17)))
      (export (;2;) "[static]mapping.unmap" (func (type 18)))
    )
  )
  (import "my:own/thing" (instance $types (;0;) (type 0)))
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
  (alias export $types "[static]mappable.map" (func $map (;0;)))
  (alias export $types "[static]mapping.unmap" (func $unmap (;1;)))
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
  (core func (;3;) (canon lower (func $unmap) (memory $memory)))
  (core instance (;3;)
    (export "lowered" (func 3))
    (export "memory" (memory $memory))
  )
  (core instance (;4;) (instantiate 0
      (with "" (instance 3))
    )
  )
  (alias core export 4 "refreshed" (core func $unmap' (;4;)))
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
  (core instance (;5;)
    (export "map" (func $map'))
    (export "unmap" (func $unmap'))
  )
  (core instance $main (;6;) (instantiate $main
      (with "host" (instance 5))
    )
  )
  (type (;1;) (func))
  (alias core export $main "run" (core func (;5;)))
  (func (;2;) (type 1) (canon lift (core func 5)))
  (export (;3;) "run" (func 2))
)
