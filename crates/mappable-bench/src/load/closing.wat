;; Closes a pipeline: is plugged with what a stage exports, and itself exports nothing that knows of regions.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (export "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (export "[static]mappable.allocate" (func
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))))
  (import "mappable:stage/format@0.1.0" (instance $format
    (type $pixel-cases (enum "encoded" "gray8" "rgba8"))
    (export "pixels" (type $pixels (eq $pixel-cases)))
    (type $fields (record (field "pixels" $pixels) (field "width" u32) (field "height" u32) (field "size" u64)))
    (export "header" (type $header (eq $fields)))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "[static]mappable.allocate" (func $allocate))
  (alias export $format "header" (type $header))
  (import "mappable:stage/step@0.1.0" (instance $step
    (export "mappable" (type $region (eq $mappable)))
    (export "header" (type $geometry (eq $header)))
    (export "run" (func
      (param "region" (own $region)) (param "header" $geometry) (param "args" (list string))
      (result (result (tuple (own $region) $geometry) (error string)))))))
  (alias export $step "run" (func $run))
  (core module $memory
    (memory (export "memory") 2)
    ;; ARGUMENTS strings: where each lies and how long it is, then what they say.
    (data (i32.const 1024) "DATA")
    ;; Only what is given back comes here: a header, or a sentence.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (core func $lowered-allocate (canon lower (func $allocate) (memory $mem)))
  (core func $lowered-run (canon lower (func $run) (memory $mem) (realloc (func $memory "realloc"))))
  (core func $drop (canon resource.drop $mappable))
  (core module $driver
    (import "host" "memory" (memory 1))
    (import "host" "allocate" (func $allocate (param i64 i32)))
    (import "host" "run" (func $step (param i32 i32 i32 i32 i64 i32 i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    ;; Sends a blank picture of 128 by 128 pixels through, and answers how many bytes come out.
    (func (export "run") (result i64)
      (call $allocate (i64.const 65536) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then unreachable))
      (call $step
        (i32.load (i32.const 20))
        (i32.const 2) (i32.const 128) (i32.const 128) (i64.const 65536)
        (i32.const 1024) (i32.const ARGUMENTS)
        (i32.const 32))
      (if (i32.load8_u (i32.const 32)) (then unreachable))
      (call $drop (i32.load (i32.const 40)))
      (i64.load (i32.const 64))))
  (core instance $driver (instantiate $driver (with "host" (instance
    (export "memory" (memory $mem))
    (export "allocate" (func $lowered-allocate))
    (export "run" (func $lowered-run))
    (export "drop" (func $drop))))))
  (func (export "run") (result u64) (canon lift (core func $driver "run"))))
