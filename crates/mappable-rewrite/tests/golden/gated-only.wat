;; A component that imports the package and lowers no swapping function gets the gate and no refresh.
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "mapping" (type $mapping (sub resource)))
    (type $cases (enum "placement-misaligned" "placement-too-small" "placement-overlaps" "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
    (export "map-error" (type $map-error (eq $cases)))
    (export "granule" (func (result u32)))
    (export "[static]mappable.map" (func
      (param "this" (own $mappable)) (param "at" (list u8))
      (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
    (export "[static]mapping.unmap" (func
      (param "this" (own $mapping)) (param "at" (list u8))
      (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
  ))
  (alias export $types "granule" (func $granule))
  (core func $granule' (canon lower (func $granule)))
  (core module $main
    (import "host" "granule" (func (result i32))))
  (core instance (instantiate $main (with "host" (instance (export "granule" (func $granule'))))))
)
