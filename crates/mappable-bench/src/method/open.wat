;; A component that the host hands a region, by an export that knows of regions. SIZE is the region's size in bytes, PAGES
;; that of its memory. The module `visitor` is put in from visitor.wat.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "[static]mappable.map" (func $map))
  (alias export $types "[static]mapping.unmap" (func $unmap))
  (core module $memory (memory (export "memory") PAGES))
  (core instance $own (instantiate $memory))
  (alias core export $own "memory" (core memory $mem))
  (core func $lowered-map (canon lower (func $map) (memory $mem)))
  (core func $lowered-unmap (canon lower (func $unmap) (memory $mem)))
  VISITOR
  (core instance $visitor (instantiate $visitor (with "host" (instance
    (export "memory" (memory $mem))
    (export "map" (func $lowered-map))
    (export "unmap" (func $lowered-unmap))))))
  (func (export "visit") (param "region" (own $mappable)) (result (own $mappable))
    (canon lift (core func $visitor "visit"))))
