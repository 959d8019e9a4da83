(component $owner
    (type $inner (resource (rep i32)))
    (export $handle "handle" (type $inner))
    (core func $new (canon resource.new $inner))
    (core module $code
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (result i32) (call $new (i32.const 1))))
    (core instance $code (instantiate $code (with "" (instance (export "new" (func $new))))))
    (func (export "make") (result (own $handle)) (canon lift (core func $code "make"))))
  (instance $types (instantiate $owner))
  (alias export $types "handle" (type $handle))
