;; Grows a memory of PAGES pages by nothing, twice a round: what any refresh of a base is made of.
(component
  (core module $grower
    (memory PAGES)
    (global $grown (mut i64) (i64.const 0))
    ;; Answers how often that has succeeded.
    (func (export "run") (param $rounds i32) (result i64)
      (local $grown i64)
      (local.set $grown (global.get $grown))
      (loop $again
        (local.set $grown
          (i64.add (local.get $grown) (i64.extend_i32_u (i32.ne (memory.grow (i32.const 0)) (i32.const -1)))))
        (local.set $grown
          (i64.add (local.get $grown) (i64.extend_i32_u (i32.ne (memory.grow (i32.const 0)) (i32.const -1)))))
        (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      (global.set $grown (local.get $grown))
      (local.get $grown)))
  (core instance $grower (instantiate $grower))
  (func (export "run") (param "rounds" u32) (result u64) (canon lift (core func $grower "run"))))
