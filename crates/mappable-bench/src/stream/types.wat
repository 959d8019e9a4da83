(import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (export "frozen" (type $frozen (sub resource)))
    (export "frozen-mapping" (type $frozen-mapping (sub resource)))
    (type $cases (enum
      "placement-misaligned" "placement-too-small" "placement-overlaps"
      "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (type $allocate-cases (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (export "allocate-error" (type $allocate-error (eq $allocate-cases)))
    (export "[static]mappable.allocate" (func
      (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
    (export "[static]mappable.freeze" (func (param "this" (own $mappable)) (result (own $frozen))))
    (export "[method]frozen.clone" (func
      (param "self" (borrow $frozen)) (result (result (own $frozen) (error $allocate-error)))))
    (export "[static]frozen.map" (func
      (param "this" (own $frozen)) (param "at" (list u8))
      (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
    (export "[static]frozen-mapping.unmap" (func
      (param "this" (own $frozen-mapping)) (param "at" (list u8))
      (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))
    (export "[static]frozen.thaw" (func
      (param "this" (own $frozen)) (result (result (own $mappable) (error (own $frozen))))))))
  (alias export $types "mappable" (type $mappable))
  (alias export $types "frozen" (type $frozen))
