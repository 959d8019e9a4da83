;; The mark is looked for in records, and those in variants, in options, in lists.
(component
  (import "host" (instance $host
    (export "r" (type $r (sub resource)))
    (export "s" (type $s (sub resource)))
    (type $cases (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $e (eq $cases)))
    (type $record (record (field "a" u8) (field "e" $e)))
    (export "record" (type $rec (eq $record)))
    (type $variant (variant (case "a") (case "b" $rec)))
    (export "variant" (type $v (eq $variant)))
    (export "f" (func (param "e" (list (option $v)))))
  ))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func (canon lower (func $host "f") (memory $memory)))
)
