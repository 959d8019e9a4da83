;; A function that goes through a component that only passes it on, under a type that an alias reaches out for.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "frozen" (type (sub resource)))))
  (alias export $types "frozen" (type $frozen))
  (component $shim
    (import "r" (type $r (sub resource)))
    (type $t (tuple (own $r) u8))
    (type $take (func (param "this" (list $t)) (result (option (own $r)))))
    (import "f" (func $f (type $take)))
    (export "take" (func $f) (func (type $take))))
  (component $taker
    (import "r" (type $r (sub resource)))
    (core module $m (memory (export "m") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
      (func (export "take") (param i32 i32) (result i32) unreachable))
    (core instance $m (instantiate $m))
    (func $take (param "this" (list (tuple (own $r) u8))) (result (option (own $r)))
      (canon lift (core func $m "take") (memory $m "m") (realloc (func $m "realloc"))))
    (export "take" (func $take)))
  (component $giver
    (import "r" (type $r (sub resource)))
    (import "take" (func $take (param "this" (list (tuple (own $r) u8))) (result (option (own $r)))))
    (core module $m (memory (export "m") 1))
    (core instance $m (instantiate $m))
    (core func $take (canon lower (func $take) (memory $m "m")))
    (core module $user (import "" "take" (func (param i32 i32 i32))))
    (core instance $user (instantiate $user (with "" (instance (export "take" (func $take)))))))
  (instance $t (instantiate $taker (with "r" (type $frozen))))
  (instance $s (instantiate $shim (with "r" (type $frozen)) (with "f" (func $t "take"))))
  (instance $g (instantiate $giver (with "r" (type $frozen)) (with "take" (func $s "take")))))
