;; A stage that does no work on a list: it answers with as many of the list's bytes as the header's size says. What a
;; call of it takes is what handing over by copy takes.
(component
  (import "mappable:stage/format@0.1.0" (instance $format
    (type $cases (enum "encoded" "gray8" "rgba8"))
    (export "pixels" (type $pixels (eq $cases)))
    (type $fields (record
      (field "pixels" $pixels) (field "width" u32) (field "height" u32) (field "size" u64)))
    (export "header" (type (eq $fields)))))
  (alias export $format "header" (type $header))

  (core module $idle
    (memory (export "memory") 1)
    ;; Where the next list goes; all are forgotten after each call.
    (global $free (mut i32) (i32.const 65536))
    (func $reach (param $end i64)
      (local $missing i64)
      (local.set $missing (i64.sub
        (i64.shr_u (i64.add (local.get $end) (i64.const 65535)) (i64.const 16))
        (i64.extend_i32_u (memory.size))))
      (if (i64.gt_s (local.get $missing) (i64.const 0)) (then
        (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $missing))) (i32.const -1)) (then unreachable)))))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (global.get $free))
      (call $reach (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $size))))
      (global.set $free (i32.and
        (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 15)) (i32.const -16)))
      (local.get $at))
    (func (export "run")
      (param $list i32) (param $length i32)
      (param $pixels i32) (param $width i32) (param $height i32) (param $size i64) (param i32 i32)
      (result i32)
      (call $reach (i64.add (i64.extend_i32_u (local.get $list)) (local.get $size)))
      (i32.store (i32.const 8) (local.get $list))
      (i32.store (i32.const 12) (i32.wrap_i64 (local.get $size)))
      (i32.store8 (i32.const 16) (local.get $pixels))
      (i32.store (i32.const 20) (local.get $width))
      (i32.store (i32.const 24) (local.get $height))
      (i64.store (i32.const 32) (local.get $size))
      (i32.const 0))
    (func (export "after") (param i32) (global.set $free (i32.const 65536))))
  (core instance $idle (instantiate $idle))

  (func $run
    (param "bytes" (list u8)) (param "header" $header) (param "args" (list string))
    (result (result (tuple (list u8) $header) (error string)))
    (canon lift (core func $idle "run")
      (memory $idle "memory") (realloc (func $idle "realloc")) (post-return (func $idle "after"))))
  (instance $step (export "run" (func $run)))
  (export "mappable:stage/copying-step@0.1.0" (instance $step)))
