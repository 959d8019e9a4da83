//! The guests, as text: one component whose exports are the interface's functions and plain accesses to its memory,
//! so that a test drives it step by step, and components made of several of it.

/// What the interface is imported as.
pub const TYPES: &str = "mappable:memory/types@0.1.0";

/// The interface as a component in text imports it; `$types` from then on, and its resources by their names.
pub fn import_types(name: &str) -> String {
    format!(
        r#"(import "{name}" (instance $types
            (export "mappable" (type $mappable (sub resource)))
            (export "mapping" (type $mapping (sub resource)))
            (export "frozen" (type $frozen (sub resource)))
            (export "frozen-mapping" (type $frozen-mapping (sub resource)))
            (type $map-error' (enum "placement-misaligned" "placement-too-small" "placement-overlaps"
                "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
            (export "map-error" (type $map-error (eq $map-error')))
            (type $allocate-error' (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
            (export "allocate-error" (type $allocate-error (eq $allocate-error')))
            (type $part-error' (enum "part-misaligned" "part-outside-region" "region-over-quota"))
            (export "part-error" (type $part-error (eq $part-error')))
            (type $access-error' (enum "range-outside-region" "list-too-long"))
            (export "access-error" (type $access-error (eq $access-error')))
            (export "granule" (func (result u32)))
            (export "[static]mappable.allocate"
                (func (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
            (export "[method]mappable.size" (func (param "self" (borrow $mappable)) (result u64)))
            (export "[method]mappable.len" (func (param "self" (borrow $mappable)) (result u64)))
            (export "[method]mappable.set-len" (func (param "self" (borrow $mappable)) (param "len" u64)
                (result (result (error $access-error)))))
            (export "[static]mappable.map" (func (param "this" (own $mappable)) (param "at" (list u8))
                (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))
            (export "[method]mappable.read"
                (func (param "self" (borrow $mappable)) (param "offset" u64) (param "len" u32)
                (result (result (list u8) (error $access-error)))))
            (export "[method]mappable.write"
                (func (param "self" (borrow $mappable)) (param "offset" u64) (param "bytes" (list u8))
                (result (result (error $access-error)))))
            (export "[static]mapping.unmap" (func (param "this" (own $mapping)) (param "at" (list u8))
                (result (result (own $mappable) (error (tuple (own $mapping) $map-error))))))
            (export "[static]mappable.freeze" (func (param "this" (own $mappable)) (result (own $frozen))))
            (export "[static]mappable.split" (func (param "this" (own $mappable)) (param "at" u64)
                (result (result (tuple (own $mappable) (own $mappable))
                    (error (tuple (own $mappable) $part-error))))))
            (export "[static]mappable.join" (func (param "low" (own $mappable)) (param "high" (own $mappable))
                (result (result (own $mappable) (error (tuple (own $mappable) (own $mappable)))))))
            (export "[method]frozen.size" (func (param "self" (borrow $frozen)) (result u64)))
            (export "[method]frozen.len" (func (param "self" (borrow $frozen)) (result u64)))
            (export "[method]frozen.clone" (func (param "self" (borrow $frozen))
                (result (result (own $frozen) (error $allocate-error)))))
            (export "[method]frozen.slice"
                (func (param "self" (borrow $frozen)) (param "offset" u64) (param "size" u64)
                (result (result (own $frozen) (error $part-error)))))
            (export "[static]frozen.map" (func (param "this" (own $frozen)) (param "at" (list u8))
                (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
            (export "[static]frozen.map-private" (func (param "this" (own $frozen)) (param "at" (list u8))
                (result (result (own $frozen-mapping) (error (tuple (own $frozen) $map-error))))))
            (export "[static]frozen.thaw" (func (param "this" (own $frozen))
                (result (result (own $mappable) (error (own $frozen))))))
            (export "[method]frozen.copy" (func (param "self" (borrow $frozen))
                (result (result (own $mappable) (error $allocate-error)))))
            (export "[method]frozen.read"
                (func (param "self" (borrow $frozen)) (param "offset" u64) (param "len" u32)
                (result (result (list u8) (error $access-error)))))
            (export "[static]frozen-mapping.unmap" (func (param "this" (own $frozen-mapping)) (param "at" (list u8))
                (result (result (own $frozen) (error (tuple (own $frozen-mapping) $map-error))))))))
        (alias export $types "mappable" (type $mappable))
        (alias export $types "mapping" (type $mapping))
        (alias export $types "frozen" (type $frozen))
        (alias export $types "frozen-mapping" (type $frozen-mapping))"#
    )
}

/// What the tests' host offers: something that takes a list, and something that calls back into the test.
pub const IMPORT_ENV: &str = r#"(import "test:host/env" (instance $env
    (export "sum" (func (param "bytes" (list u8)) (result u64)))
    (export "call-back" (func))))"#;

const IMPORT_PEER: &str = r#"(import "test:guest/peer" (instance $peer
    (alias outer 1 $mappable (type $m)) (export "mappable" (type $r (eq $m)))
    (alias outer 1 $mapping (type $g)) (export "mapping" (type $s (eq $g)))
    (alias outer 1 $frozen (type $f)) (export "frozen" (type $t (eq $f)))
    (alias outer 1 $frozen-mapping (type $h)) (export "frozen-mapping" (type $u (eq $h)))
    (export "accept" (func (param "region" (own $r)) (result u32)))
    (export "accept-mapping" (func (param "mapping" (own $s)) (result u32)))
    (export "lend" (func (param "region" (borrow $r)) (result u64)))
    (export "give-back" (func (param "handle" u32) (result (own $r))))
    (export "accept-frozen" (func (param "frozen" (own $t)) (result u32)))
    (export "accept-frozen-mapping" (func (param "mapping" (own $u)) (result u32)))
    (export "give-back-frozen" (func (param "handle" u32) (result (own $t))))
    (export "poke" (func (param "address" u32) (result u32)))))
  (core func $pass (canon lower (func $peer "accept")))
  (core func $pass-mapping (canon lower (func $peer "accept-mapping")))
  (core func $lend (canon lower (func $peer "lend")))
  (core func $fetch (canon lower (func $peer "give-back")))
  (core func $pass-frozen (canon lower (func $peer "accept-frozen")))
  (core func $pass-frozen-mapping (canon lower (func $peer "accept-frozen-mapping")))
  (core func $fetch-frozen (canon lower (func $peer "give-back-frozen")))
  (core func $poke (canon lower (func $peer "poke")))"#;

/// Without a peer, its functions trap.
const NO_PEER: &str = r#"(core module $nobody
    (func (export "pass") (param i32) (result i32) unreachable)
    (func (export "lend") (param i32) (result i64) unreachable))
  (core instance $nobody (instantiate $nobody))
  (alias core export $nobody "pass" (core func $pass))
  (alias core export $nobody "pass" (core func $pass-mapping))
  (alias core export $nobody "pass" (core func $fetch))
  (alias core export $nobody "pass" (core func $pass-frozen))
  (alias core export $nobody "pass" (core func $pass-frozen-mapping))
  (alias core export $nobody "pass" (core func $fetch-frozen))
  (alias core export $nobody "pass" (core func $poke))
  (alias core export $nobody "lend" (core func $lend))"#;

const BODY: &str = include_str!("wat/body.wat");

/// The guest, with a memory of this type, as the fields of a component.
fn fields(memory: &str, types: &str, peer: &str) -> String {
    let module = format!(
        r#"(core module $M
            (memory (export "mem") {memory})
            (global $buffer (export "buffer") (mut i32) (i32.const 4096))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (global.get $buffer)))"#
    );
    format!("{} {IMPORT_ENV} {peer} {module} {BODY}", import_types(types))
}

/// A guest by itself.
pub fn guest(memory: &str) -> String {
    guest_importing(TYPES, memory)
}

/// A guest that knows the interface by this name.
pub fn guest_importing(types: &str, memory: &str) -> String {
    format!("(component {})", fields(memory, types, NO_PEER))
}

/// A guest that calls another.
pub fn caller(memory: &str) -> String {
    format!("(component {})", fields(memory, TYPES, IMPORT_PEER))
}

/// What such a component instantiates its guests with.
pub const WITH: &str =
    r#"(with "mappable:memory/types@0.1.0" (instance $types)) (with "test:host/env" (instance $env))"#;

/// Two guests, exported as `a` and `b`; `a` calls `b`.
pub fn pair(memory: &str) -> String {
    format!(
        r#"(component {types} {IMPORT_ENV}
            (component $leaf {leaf}) (component $caller {caller})
            (instance $b (instantiate $leaf {WITH}))
            (alias export $b "test:guest/peer" (instance $peer))
            (instance $a (instantiate $caller {WITH} (with "test:guest/peer" (instance $peer))))
            (export "a" (instance $a)) (export "b" (instance $b)))"#,
        types = import_types(TYPES),
        leaf = fields(memory, TYPES, NO_PEER),
        caller = fields(memory, TYPES, IMPORT_PEER),
    )
}

/// [`pair`], this many components deep.
pub fn nested(memory: &str, depth: usize) -> String {
    let mut inner = pair(memory);
    for _ in 0..depth {
        let nested = inner.replacen("(component", "(component $inner", 1);
        inner = format!(
            r#"(component {types} {IMPORT_ENV} {nested}
                (instance $i (instantiate $inner {WITH}))
                (alias export $i "a" (instance $a)) (alias export $i "b" (instance $b))
                (export "a" (instance $a)) (export "b" (instance $b)))"#,
            types = import_types(TYPES),
        );
    }
    inner
}

/// `text` with more in each of its guests: `core` in the core module that has the interface's functions, `lifts` in the
/// component around it, where that module's instance is `$p`.
pub fn extended(text: &str, core: &str, lifts: &str) -> String {
    const CORE: &str = r#"(func (export "identity")"#;
    const LIFTS: &str = "(instance $self\n";
    assert!(text.contains(CORE) && text.contains(LIFTS));
    text.replace(CORE, &format!("{core} {CORE}")).replace(LIFTS, &format!("{lifts} {LIFTS}"))
}
