;; Two components that hand regions back and forth, one after the other: a closed composition, whose exports don't know of
;; regions. CYCLE regions take turns. Of all REGIONS that there are, the others are kept, and MAPPED less one of these stay
;; mapped in each component. PAGES is the size of their memories, AT where the region is mapped that is handed over; those
;; that stay are mapped behind it. Each region is one granule.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (export "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (export "[static]mappable.allocate" (func
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "mapping" (type $mapping))
  (alias export $types "map-error" (type $map-error))
  (alias export $types "allocate-error" (type $allocate-error))
  (alias export $types "[static]mappable.allocate" (func $allocate))
  (alias export $types "[static]mappable.map" (func $map))
  (alias export $types "[static]mapping.unmap" (func $unmap))

  (core module $visitor
    (import "host" "memory" (memory 1))
    (import "host" "map" (func $map (param i32 i32 i32 i32)))
    (import "host" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (func $ok (result i32)
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (i32.load (i32.const 20)))
    ;; Maps the region that it is given, whose line must hold what is expected, adds 1 to all its words, unmaps the region,
    ;; and gives it back.
    (func (export "visit") (param $region i32) (param $line i64) (result i32)
      (call $map (local.get $region) (i32.const AT) (i32.const 65536) (i32.const 16))
      (local.set $region (call $ok))
      (if (i64.ne (i64.load offset=0 (i32.const AT)) (local.get $line)) (then unreachable))
      (if (i64.ne (i64.load offset=56 (i32.const AT)) (local.get $line)) (then unreachable))
      (local.set $line (i64.add (local.get $line) (i64.const 1)))
      (i64.store offset=0 (i32.const AT) (local.get $line))
      (i64.store offset=8 (i32.const AT) (local.get $line))
      (i64.store offset=16 (i32.const AT) (local.get $line))
      (i64.store offset=24 (i32.const AT) (local.get $line))
      (i64.store offset=32 (i32.const AT) (local.get $line))
      (i64.store offset=40 (i32.const AT) (local.get $line))
      (i64.store offset=48 (i32.const AT) (local.get $line))
      (i64.store offset=56 (i32.const AT) (local.get $line))
      (call $unmap (local.get $region) (i32.const AT) (i32.const 65536) (i32.const 16))
      (call $ok))
    ;; Maps a region, for good.
    (func (export "pin") (param $region i32) (param $at i32)
      (call $map (local.get $region) (local.get $at) (i32.const 65536) (i32.const 16))
      (drop (call $ok))))
  (core module $memory (memory (export "memory") PAGES))

  (component $second
    (import "mappable" (type $mappable (sub resource)))
    (import "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (import "map-error" (type $map-error (eq $cases)))
    (import "map" (func $map
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (import "unmap" (func $unmap
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $visitor (core module $visitor))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $lowered-map (canon lower (func $map) (memory $mem)))
    (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))))))
    (func (export "visit") (param "region" (own $mappable)) (param "line" u64) (result (own $mappable))
      (canon lift (core func $visitor "visit")))
    (func (export "pin") (param "region" (own $mappable)) (param "at" u32)
      (canon lift (core func $visitor "pin"))))

  (component $first
    (import "mappable" (type $mappable (sub resource)))
    (import "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (import "map-error" (type $map-error (eq $cases)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (import "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (import "allocate" (func $allocate
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (import "map" (func $map
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (import "unmap" (func $unmap
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
    (import "second" (func $second
      (param "region" (own $mappable)) (param "line" u64) (result (own $mappable))))
    (import "pin-second" (func $pin-second (param "region" (own $mappable)) (param "at" u32)))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $visitor (core module $visitor))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $lowered-allocate (canon lower (func $allocate) (memory $mem)))
    (core func $lowered-map (canon lower (func $map) (memory $mem)))
    (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
    (core func $lowered-second (canon lower (func $second)))
    (core func $lowered-pin-second (canon lower (func $pin-second)))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))))))
    (core module $driver
      (import "host" "memory" (memory 1))
      (import "host" "allocate" (func $allocate (param i64 i32)))
      (import "host" "visit" (func $visit (param i32 i64) (result i32)))
      (import "host" "pin" (func $pin (param i32 i32)))
      (import "host" "second" (func $second (param i32 i64) (result i32)))
      (import "host" "pin-second" (func $pin-second (param i32 i32)))
      (global $ready (mut i32) (i32.const 0))
      ;; Whose turn it is.
      (global $turn (mut i32) (i32.const 0))
      ;; How often a line has been written.
      (global $written (mut i64) (i64.const 0))
      (func $new (result i32)
        (call $allocate (i64.const 65536) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then unreachable))
        (i32.load (i32.const 20)))
      ;; Handles of those that take turns are from 1,024 on, what their lines hold from 32,768 on.
      (func $make-ready
        (local $at i32)
        (block $all (loop $more
          (br_if $all (i32.ge_u (local.get $at) (i32.const CYCLE)))
          (i32.store offset=1024 (i32.shl (local.get $at) (i32.const 2)) (call $new))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more)))
        (local.set $at (i32.const 1))
        (block $all (loop $more
          (br_if $all (i32.ge_u (local.get $at) (i32.const MAPPED)))
          (call $pin (call $new) (i32.add (i32.const AT) (i32.shl (local.get $at) (i32.const 16))))
          (call $pin-second (call $new) (i32.add (i32.const AT) (i32.shl (local.get $at) (i32.const 16))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more)))
        (local.set $at (i32.add (i32.const CYCLE) (i32.mul (i32.const 2) (i32.sub (i32.const MAPPED) (i32.const 1)))))
        (block $all (loop $more
          (br_if $all (i32.ge_u (local.get $at) (i32.const REGIONS)))
          (drop (call $new))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $more)))
        (global.set $ready (i32.const 1)))
      ;; Answers how often a line has been written.
      (func (export "run") (param $rounds i32) (result i64)
        (local $handle i32) (local $count i32) (local $line i64)
        (if (i32.eqz (global.get $ready)) (then (call $make-ready)))
        (loop $again
          (local.set $handle (i32.shl (global.get $turn) (i32.const 2)))
          (local.set $count (i32.shl (global.get $turn) (i32.const 3)))
          (local.set $line (i64.load offset=32768 (local.get $count)))
          (i32.store offset=1024 (local.get $handle)
            (call $second
              (call $visit (i32.load offset=1024 (local.get $handle)) (local.get $line))
              (i64.add (local.get $line) (i64.const 1))))
          (i64.store offset=32768 (local.get $count) (i64.add (local.get $line) (i64.const 2)))
          (global.set $written (i64.add (global.get $written) (i64.const 2)))
          (global.set $turn (i32.rem_u (i32.add (global.get $turn) (i32.const 1)) (i32.const CYCLE)))
          (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
        (global.get $written)))
    (core instance $driver (instantiate $driver (with "host" (instance
      (export "memory" (memory $mem))
      (export "allocate" (func $lowered-allocate))
      (export "visit" (func $visitor "visit"))
      (export "pin" (func $visitor "pin"))
      (export "second" (func $lowered-second))
      (export "pin-second" (func $lowered-pin-second))))))
    (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $driver "run"))))

  (instance $b (instantiate $second
    (with "mappable" (type $mappable)) (with "mapping" (type $mapping)) (with "map-error" (type $map-error))
    (with "map" (func $map)) (with "unmap" (func $unmap))))
  (instance $a (instantiate $first
    (with "mappable" (type $mappable)) (with "mapping" (type $mapping)) (with "map-error" (type $map-error))
    (with "allocate-error" (type $allocate-error)) (with "allocate" (func $allocate))
    (with "map" (func $map)) (with "unmap" (func $unmap))
    (with "second" (func $b "visit")) (with "pin-second" (func $b "pin"))))
  (export "run" (func $a "run")))
