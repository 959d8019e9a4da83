;; Reads frozen bytes: maps them, reads a line, unmaps them and is done with them. SIZE is their size, PAGES that of the memory.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "frozen" (type $frozen (sub resource)))
    (export "frozen-mapping" (type $frozen-mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (export "[static]frozen.map" (func
      (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
    (export "[static]frozen-mapping.unmap" (func
      (param "this" (own $frozen-mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))))
  (alias export $types "frozen" (type $frozen))
  (alias export $types "[static]frozen.map" (func $map))
  (alias export $types "[static]frozen-mapping.unmap" (func $unmap))
  (core module $memory (memory (export "memory") PAGES))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (core func $lowered-map (canon lower (func $map) (memory $mem)))
  (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
  (core func $drop (canon resource.drop $frozen))
  (core module $reader
    (import "host" "memory" (memory 1))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func $ok (result i32)
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (i32.load (i32.const 20)))
    (func (export "read") (param $frozen i32) (result i64)
      (local $line i64) (local $word i32)
      (call $map (local.get $frozen) (i32.const 65536) (i32.const SIZE) (i32.const 16))
      (local.set $frozen (call $ok))
      (local.set $line (i64.load (i32.const 65536)))
      (loop $next
        (if (i64.ne (i64.load offset=65536 (local.get $word)) (local.get $line)) (then unreachable))
        (br_if $next (i32.lt_u (local.tee $word (i32.add (local.get $word) (i32.const 8))) (i32.const 64))))
      (call $unmap (local.get $frozen) (i32.const 65536) (i32.const SIZE) (i32.const 16))
      (call $drop (call $ok))
      (local.get $line)))
  (core instance $i (instantiate $reader (with "host" (instance
    (export "memory" (memory $mem))
    (export "map" (func $lowered-map))
    (export "unmap" (func $lowered-unmap))
    (export "drop" (func $drop))))))
  (func (export "read") (param "frozen" (own $frozen)) (result u64)
    (canon lift (core func $i "read"))))
