;; A placement is a list of bytes of any length.
(component
  (import "host" (instance $host
    (export "r" (type $r (sub resource)))
    (export "s" (type $s (sub resource)))
    (type $cases (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $e (eq $cases)))
    (export "f" (func (param "this" (own $r)) (param "at" (list u8 2)) (result (result (own $s) (error (tuple (own $r) $e))))))
  ))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func (canon lower (func $host "f") (memory $memory)))
)
