;; A named record with a handle and plain lists both ways, between two components; a drop, and a map.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $m (sub resource)))
    (export "[method]mappable.size" (func (param "self" (borrow $m)) (result u64)))))
  (alias export $types "mappable" (type $mappable))
  (component $taker
    (import "mappable:memory/types@0.1.0" (instance $types
      (export "mappable" (type (sub resource)))))
    (alias export $types "mappable" (type $mappable))
    (core module $m (memory (export "m") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
      (func (export "take") (param i32 i32 i32) (result i32) unreachable)
      (func (export "done") (param i32)))
    (core instance $m (instantiate $m))
    (type $case (record (field "region" (own $mappable))))
    (export $case' "case" (type $case))
    (func $take (param "case" $case') (param "bytes" (list u8)) (result (list u8))
      (canon lift (core func $m "take") (memory $m "m") (realloc (func $m "realloc")) (post-return (func $m "done"))))
    (export "take" (func $take))
    (core func $drop (canon resource.drop $mappable))
    (core module $user (import "" "drop" (func (param i32))))
    (core instance $user (instantiate $user (with "" (instance (export "drop" (func $drop)))))))
  (component $giver
    (import "mappable:memory/types@0.1.0" (instance $types
      (export "mappable" (type $m (sub resource)))
      (export "[method]mappable.size" (func (param "self" (borrow $m)) (result u64)))))
    (alias export $types "mappable" (type $mappable))
    (import "taker" (instance $taker
      (alias outer 1 $mappable (type $m))
      (type $case (record (field "region" (own $m))))
      (export "case" (type $case' (eq $case)))
      (export "take" (func (param "case" $case') (param "bytes" (list u8)) (result (list u8))))))
    (core module $m (memory (export "m") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $m (instantiate $m))
    (core func $take (canon lower (func $taker "take") (memory $m "m") (realloc (func $m "realloc"))))
    (core func $size (canon lower (func $types "[method]mappable.size")))
    (core module $user (import "" "take" (func (param i32 i32 i32 i32))) (import "" "size" (func (param i32) (result i64))))
    (core instance $user (instantiate $user
      (with "" (instance (export "take" (func $take)) (export "size" (func $size)))))))
  (instance $taker (instantiate $taker (with "mappable:memory/types@0.1.0" (instance $types))))
  (instance $giver (instantiate $giver (with "mappable:memory/types@0.1.0" (instance $types))
    (with "taker" (instance $taker)))))
