;; A lower to garbage-collected types names no memory to refresh.
(component
  (import "host" (instance $host
    (export "r" (type $r (sub resource)))
    (export "s" (type $s (sub resource)))
    (type $cases (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $e (eq $cases)))
    (export "f" (func (param "this" (own $r)) (param "at" (list u8)) (result (result (own $s) (error (tuple (own $r) $e))))))
  ))
  (core rec
    (type $bytes (array i8))
    (type $sum (struct))
    (type $ct (func (param externref (ref $bytes)) (result (ref $sum)))))
  (core func (canon lower (func $host "f") gc (core-type $ct)))
)
