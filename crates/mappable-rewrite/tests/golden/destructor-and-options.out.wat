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
      (type (;11;) (func (param "this" 5) (param "at" 6) (result 10)))
      (export (;1;) "[static]mappable.map" (func (type 11)))
      (type (;12;) (own 1))
      (type (;13;) (list u8))
      (type (;14;) (own 0))
      (type (;15;) (own 1))
      (type (;16;) (tuple 15 3))
      (type (;17;) (result 14 (error 16)))
      (type (;18;) (func (param "this" 12) (param "at" 13) (result 17)))
      (export (;2;) "[static]mapping.unmap" (func (type 18)))
    )
  )
  (import "mappable:k0/types@0.1.0" (instance $types (;0;) (type 0)))
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
  (core module $late (;2;)
    (type (;0;) (func (param i32)))
    (type (;1;) (func (param i32 i32 i32 i32) (result i32)))
    (type (;2;) (func (result i32)))
    (type (;3;) (func (param i32 i32 i32) (result i32)))
    (memory (;0;) 1)
    (export "memory" (memory 0))
    (export "dtor" (func 0))
    (export "realloc" (func 1))
    (export "string" (func 2))
    (export "post" (func 3))
    (export "start" (func 4))
    (export "callback" (func 5))
    (func (;0;) (type 0) (param i32))
    (func (;1;) (type 1) (param i32 i32 i32 i32) (result i32)
      unreachable
    )
    (func (;2;) (type 2) (result i32)
      unreachable
    )
    (func (;3;) (type 0) (param i32))
    (func (;4;) (type 2) (result i32)
      unreachable
    )
    (func (;5;) (type 3) (param i32 i32 i32) (result i32)
      unreachable
    )
  )
  (core instance $late (;5;) (instantiate $late))
  (alias core export $late "dtor" (core func (;5;)))
  (type $guest (;1;) (resource (rep i32) (dtor 5)))
  (export (;2;) "guest" (type $guest))
  (type (;3;) (func (result string)))
  (alias core export $late "string" (core func (;6;)))
  (alias core export $late "memory" (core memory (;1;)))
  (alias core export $late "realloc" (core func (;7;)))
  (alias core export $late "post" (core func (;8;)))
  (func (;2;) (type 3) (canon lift (core func 6) (memory 1) (realloc 7) (post-return 8)))
  (type (;4;) (func async (result string)))
  (alias core export $late "start" (core func (;9;)))
  (alias core export $late "memory" (core memory (;2;)))
  (alias core export $late "callback" (core func (;10;)))
  (func (;3;) (type 4) (canon lift (core func 9) async (memory 2) (callback 10)))
  (alias core export $late "memory" (core memory (;3;)))
  (core func (;11;) (canon task.return (result string) (memory 3)))
  (core module $main (;3;)
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
  (core instance (;6;)
    (export "map" (func $map'))
    (export "unmap" (func $unmap'))
  )
  (core instance $main (;7;) (instantiate $main
      (with "host" (instance 6))
    )
  )
  (type (;5;) (func))
  (alias core export $main "run" (core func (;12;)))
  (func (;4;) (type 5) (canon lift (core func 12)))
  (export (;5;) "string" (func 2))
  (export (;6;) "task" (func 3))
  (export (;7;) "run" (func 4))
)
