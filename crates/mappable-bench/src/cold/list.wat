;; Is given a list of BYTES bytes, goes through it up to END, and gives it back. PAGES is the size of its memory, TOUCHER
;; the module that goes through it.
(component
  (core module $guest
    (memory (export "memory") PAGES)
    ;; The list comes to where it is gone through.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
    (func (export "take") (param i32 i32))
    (func (export "give") (result i32)
      (i32.store (i32.const 16) (i32.const 65536))
      (i32.store (i32.const 20) (i32.const BYTES))
      (i32.const 16)))
TOUCHER
  (core instance $guest (instantiate $guest))
  (alias core export $guest "memory" (core memory $mem))
  (core instance $toucher (instantiate $toucher (with "host" (instance (export "memory" (memory $mem))))))
  (func (export "take") (param "bytes" (list u8))
    (canon lift (core func $guest "take") (memory $mem) (realloc (func $guest "realloc"))))
  (func (export "touch") (result u64) (canon lift (core func $toucher "touch")))
  (func (export "give") (result (list u8)) (canon lift (core func $guest "give") (memory $mem))))
