;; A stage that does no work: it maps the region that it is handed, touches nothing, unmaps it and hands it back. What a
;; call of it takes is what handing over takes.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))))
  (alias export $types "mappable" (type $mappable))
  (import "mappable:stage/format@0.1.0" (instance $format
    (type $cases (enum "encoded" "gray8" "rgba8"))
    (export "pixels" (type $pixels (eq $cases)))
    (type $fields (record
      (field "pixels" $pixels) (field "width" u32) (field "height" u32) (field "size" u64)))
    (export "header" (type (eq $fields)))))
  (alias export $format "header" (type $header))

  (core module $memory (memory (export "memory") 1))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem)))
  (core func $unmap (canon lower (func $types "[static]mapping.unmap") (memory $mem)))

  (core module $idle
    (import "host" "memory" (memory 1))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    ;; The handle in an answer of map's or unmap's.
    (func $ok (result i32)
      (if (i32.load8_u (i32.const 64)) (then unreachable))
      (i32.load (i32.const 68)))
    ;; The list of arguments, which is empty.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    ;; The region has as many granules as the header's size takes.
    (func (export "run")
      (param $region i32) (param $pixels i32) (param $width i32) (param $height i32) (param $size i64) (param i32 i32)
      (result i32)
      (local $length i32) (local $missing i32)
      (local.set $length (i32.and
        (i32.add (i32.wrap_i64 (local.get $size)) (i32.const 65535)) (i32.const -65536)))
      (local.set $missing (i32.sub
        (i32.add (i32.shr_u (local.get $length) (i32.const 16)) (i32.const 1)) (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0)) (then
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
      (call $map (local.get $region) (i32.const 65536) (local.get $length) (i32.const 64))
      (call $unmap (call $ok) (i32.const 65536) (local.get $length) (i32.const 64))
      (i32.store (i32.const 8) (call $ok))
      (i32.store8 (i32.const 16) (local.get $pixels))
      (i32.store (i32.const 20) (local.get $width))
      (i32.store (i32.const 24) (local.get $height))
      (i64.store (i32.const 32) (local.get $size))
      (i32.const 0)))
  (core instance $idle (instantiate $idle (with "host" (instance
    (export "memory" (memory $mem)) (export "map" (func $map)) (export "unmap" (func $unmap))))))

  (func $run
    (param "region" (own $mappable)) (param "header" $header) (param "args" (list string))
    (result (result (tuple (own $mappable) $header) (error string)))
    (canon lift (core func $idle "run") (memory $mem) (realloc (func $idle "realloc"))))
  (instance $step (export "run" (func $run)))
  (export "mappable:stage/step@0.1.0" (instance $step)))
