;; A stage of the pipeline that is not the last.
  (component $stage
    (import "mappable" (type $mappable (sub resource)))
    (import "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (import "map-error" (type $map-error (eq $cases)))
    (import "map" (func $map
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (import "unmap" (func $unmap
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
    (alias outer 1 $memory (core module $memory))
    (alias outer 1 $visitor (core module $visitor))
    (core instance $own (instantiate $memory))
    (alias core export $own "memory" (core memory $mem))
    (core func $lowered-map (canon lower (func $map) (memory $mem)))
    (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
    (import "next" (func $on (param "region" (own $mappable)) (result (own $mappable))))
    (core func $next (canon lower (func $on)))
    (core instance $visitor (instantiate $visitor (with "host" (instance
      (export "memory" (memory $mem))
      (export "map" (func $lowered-map))
      (export "unmap" (func $lowered-unmap))
      (export "next" (func $next))))))
    (func (export "process") (param "region" (own $mappable)) (result (own $mappable))
      (canon lift (core func $visitor "process"))))
