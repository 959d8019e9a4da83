;; Takes a list of SIZE bytes, keeps it at START, and reads it. PAGES is the size of its memory, READER the module that
;; reads.
(component
  (core module $memory
    (memory (export "memory") PAGES)
    ;; The list comes to where it is read.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const START))
    (func (export "take") (param i32 i32)))
READER
  (core instance $own (instantiate $memory))
  (core instance $reader (instantiate $reader (with "host" (instance (export "memory" (memory $own "memory"))))))
  (func (export "take") (param "bytes" (list u8))
    (canon lift (core func $own "take") (memory $own "memory") (realloc (func $own "realloc"))))
  (func (export "sum") (result u64) (canon lift (core func $reader "sum"))))
