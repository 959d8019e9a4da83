;; A guest that asks its host for a region by name and publishes it under another name.
(component
  (import "mappable:memory/types@0.1.0" (instance $types (export "mappable" (type $mappable (sub resource)))))
  (alias export $types "mappable" (type $mappable))
  (import "open" (func $open (param "name" string) (result (result (own $mappable) (error string)))))
  (import "publish" (func $publish (param "name" string) (param "region" (own $mappable)) (result u64)))

  (core module $Memory
    (memory (export "memory") 1)
    (data (i32.const 64) "photo")
    (data (i32.const 80) "copy of photo")
    ;; A string that comes is put at 1024: there is one at a time.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $open (canon lower (func $open) (memory $mem) (realloc $realloc)))
  (core func $publish (canon lower (func $publish) (memory $mem)))

  (core module $Guest
    (import "env" "memory" (memory 1))
    (import "env" "open" (func $open (param i32 i32 i32)))
    (import "env" "publish" (func $publish (param i32 i32 i32) (result i64)))
    (func (export "run") (result i64)
      (call $open (i32.const 64) (i32.const 5) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then (return (i64.const 0))))     ;; the host had no such region
      (call $publish (i32.const 80) (i32.const 13) (i32.load (i32.const 4)))))
  (core instance $guest (instantiate $Guest (with "env" (instance
    (export "memory" (memory $mem)) (export "open" (func $open)) (export "publish" (func $publish))))))

  (func (export "run") (result u64) (canon lift (core func $guest "run"))))
