;; A component that begins with PAGES pages and the data DATA (once, or nothing), and grows. `work` grows by as many
;; pages as it is told, one at a time, touches every 4 KiB of the first so many bytes, and answers the size in pages.
(component
  (core module $m
    (memory (export "memory") PAGES)
    DATA
    (func (export "work") (param $grow i32) (param $touch i32) (result i32) (local $at i32)
      (block $grown
        (loop $next
          (br_if $grown (i32.eqz (local.get $grow)))
          (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
          (local.set $grow (i32.sub (local.get $grow) (i32.const 1)))
          (br $next)))
      (block $touched
        (loop $next
          (br_if $touched (i32.ge_u (local.get $at) (local.get $touch)))
          (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
          (local.set $at (i32.add (local.get $at) (i32.const 4096)))
          (br $next)))
      (memory.size)))
  (core instance $m (instantiate $m))
  (func (export "work") (param "grow" u32) (param "touch" u32) (result u32) (canon lift (core func $m "work"))))
