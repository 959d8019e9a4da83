;; A guest whose function takes and gives a record that holds a region and a string.
(component
  (import "mappable:memory/types@0.1.0" (instance $types (export "mappable" (type $mappable (sub resource)))))
  (alias export $types "mappable" (type $mappable))
  (type $record (record (field "pixels" (own $mappable)) (field "name" string)))
  (export $frame "frame" (type $record))

  (core module $Guest
    (import "env" "drop" (func $drop (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "a frame needs a name")
    ;; A string that comes is put at 1024: there is one at a time.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    ;; The frame with the overlay's pixels in place of its own, if there is an overlay.
    (func (export "develop")
      (param $pixels i32) (param $name i32) (param $len i32) (param $has-overlay i32) (param $overlay i32) (result i32)
      (if (i32.eqz (local.get $len)) (then
        (call $drop (local.get $pixels))
        (if (local.get $has-overlay) (then (call $drop (local.get $overlay))))
        (i32.store8 (i32.const 0) (i32.const 1))                    ;; an error, which is a string
        (i32.store (i32.const 4) (i32.const 64))
        (i32.store (i32.const 8) (i32.const 20))
        (return (i32.const 0))))
      (if (local.get $has-overlay) (then
        (call $drop (local.get $pixels))
        (local.set $pixels (local.get $overlay))))
      (i32.store8 (i32.const 0) (i32.const 0))                      ;; a frame
      (i32.store (i32.const 4) (local.get $pixels))
      (i32.store (i32.const 8) (local.get $name))
      (i32.store (i32.const 12) (local.get $len))
      (i32.const 0)))
  (core func $drop (canon resource.drop $mappable))
  (core instance $guest (instantiate $Guest (with "env" (instance (export "drop" (func $drop))))))
  (alias core export $guest "memory" (core memory $mem))
  (alias core export $guest "realloc" (core func $realloc))

  (func (export "develop") (param "frame" $frame) (param "overlay" (option (own $mappable)))
    (result (result $frame (error string)))
    (canon lift (core func $guest "develop") (memory $mem) (realloc $realloc))))
