//! Closed compositions: a guest of [`wat`](crate::wat) in a component that offers the host nothing but numbers and
//! plain lists, so that its handles are the ledger's.
//!
//! What the host does with handles in an open one (puts regions into guests, takes them out, lends them), the *usher*
//! does here: one more guest, with the functions of the others that take and give handles. Where handles *cross*,
//! the host gives and takes regions and references itself, and the usher has the rest.

use wac_graph::types::{DefinedType, FuncType, InterfaceId, ItemKind, Package, Types, ValueType};

use crate::wat;

/// What an instance exports.
struct Exports {
    /// Of functions without handles of ours: names.
    plain: Vec<String>,
    /// Whether the usher can give it regions.
    takes: bool,
}

/// What an usher imports of each guest: name, parameter, result; and whether the result is a number of 64 bits.
const HANDED: [(&str, &str, &str); 10] = [
    ("take", r#"(param "region" (own $m))"#, "u32"),
    ("give", r#"(param "handle" u32)"#, "(own $m)"),
    ("take-mapping", r#"(param "mapping" (own $g))"#, "u32"),
    ("give-mapping", r#"(param "handle" u32)"#, "(own $g)"),
    ("take-frozen", r#"(param "frozen" (own $f))"#, "u32"),
    ("give-frozen", r#"(param "handle" u32)"#, "(own $f)"),
    ("take-frozen-mapping", r#"(param "mapping" (own $h))"#, "u32"),
    ("give-frozen-mapping", r#"(param "handle" u32)"#, "(own $h)"),
    ("keep-lent", r#"(param "region" (borrow $m))"#, "u64"),
    ("map-lent", r#"(param "region" (borrow $m))"#, "u64"),
];

/// Those of them that the host has itself where handles cross.
const CROSSING: [&str; 4] = ["take", "give", "take-frozen", "give-frozen"];

/// More in the usher: any bytes of its memory, as a list.
const BYTES: (&str, &str) = (
    r#"(func (export "bytes") (param i32 i32) (result i32)
        (i32.store (i32.const 2048) (local.get 0)) (i32.store (i32.const 2052) (local.get 1)) (i32.const 2048))"#,
    r#"(func (export "bytes") (param "at" u32) (param "len" u32) (result (list u8))
        (canon lift (core func $p "bytes") (memory $mem)))"#,
);

/// The composition that closes a component in text. Its own functions are exported as those of an instance `guest`,
/// those of its instances by their names; those of the usher as `usher`.
pub fn closed(text: &str, crossing: bool) -> String {
    let mut types = Types::default();
    let bytes = ::wat::parse_str(text).unwrap();
    let package = Package::from_bytes("test:inner", None, bytes, &mut types).unwrap();
    let world = &types[package.ty()];
    let with: String =
        world.imports.keys().map(|name| format!(r#"(with "{name}" (instance {}))"#, meant(name))).collect();
    let mut guests = vec![("guest".to_owned(), "$i".to_owned(), exports(&types, world.exports.iter()))];
    let mut aliases = String::new();
    for (name, kind) in &world.exports {
        if let ItemKind::Instance(id) = kind
            && name != "test:guest/peer"
        {
            let local = format!("$i{}", guests.len());
            aliases += &format!(r#"(alias export $i "{name}" (instance {local}))"#);
            guests.push((name.clone(), local, of_instance(&types, *id)));
        }
    }
    guests.retain(|(_, _, exports)| !exports.plain.is_empty());
    let taking: Vec<&str> = guests.iter().filter(|(.., it)| it.takes).map(|(_, local, _)| &**local).collect();
    let mut root = format!(
        "(component {types} {env} {inner} (instance $i (instantiate $inner {with})) {aliases}",
        types = wat::import_types(wat::TYPES),
        env = wat::IMPORT_ENV,
        inner = text.replacen("(component", "(component $inner", 1),
    );
    if !taking.is_empty() {
        let text = usher(taking.len());
        let bytes = ::wat::parse_str(&text).unwrap();
        let package = Package::from_bytes("test:usher", None, bytes, &mut types).unwrap();
        let exports = exports(&types, types[package.ty()].exports.iter());
        root += &text.replacen("(component", "(component $usher", 1);
        root += &format!("(instance $u (instantiate $usher {}", wat::WITH);
        for (side, local) in taking.iter().enumerate() {
            root += &format!(r#"(with "guest-{side}" (instance (export "mappable" (type $mappable))"#);
            root += r#"(export "mapping" (type $mapping)) (export "frozen" (type $frozen))"#;
            root += r#"(export "frozen-mapping" (type $frozen-mapping))"#;
            HANDED.iter().for_each(|(name, ..)| root += &format!(r#"(export "{name}" (func {local} "{name}"))"#));
            root += "))";
        }
        root += "))";
        guests.push(("usher".to_owned(), "$u".to_owned(), exports));
    }
    for (number, (name, local, exports)) in guests.iter().enumerate() {
        root += &format!("(instance $e{number} ");
        let crossing = CROSSING.iter().filter(|_| crossing && exports.takes && name != "usher");
        crossing.for_each(|it| root += &format!(r#"(export "{it}" (func {local} "{it}"))"#));
        exports.plain.iter().for_each(|it| root += &format!(r#"(export "{it}" (func {local} "{it}"))"#));
        root += &format!(r#") (export "{name}" (instance $e{number}))"#);
    }
    root + ")"
}

/// What of the root a guest imports under a name.
fn meant(name: &str) -> &'static str {
    match name {
        "test:host/env" => "$env",
        name if name.starts_with("mappable:memory/types") => "$types",
        name => panic!("nobody offers {name} to a closed guest"),
    }
}

/// A guest with a memory of its own, and the functions of so many others.
fn usher(sides: usize) -> String {
    let mut lifts = String::new();
    let mut imports = String::new();
    for side in 0..sides {
        let mut functions = String::new();
        for (number, (name, param, result)) in HANDED.into_iter().enumerate() {
            functions += &format!(r#"(export "{name}" (func {param} (result {result})))"#);
            let result = if result == "u64" { result } else { "u32" };
            lifts += &format!(
                r#"(core func $f{side}-{number} (canon lower (func $guest-{side} "{name}")))
                (func (export "{name}-{side}") (param "handle" u32) (result {result})
                  (canon lift (core func $f{side}-{number})))"#
            );
        }
        imports += &format!(
            r#"(import "guest-{side}" (instance $guest-{side}
                (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
                (alias outer 1 $mapping (type $g')) (export "mapping" (type $g (eq $g')))
                (alias outer 1 $frozen (type $f')) (export "frozen" (type $f (eq $f')))
                (alias outer 1 $frozen-mapping (type $h')) (export "frozen-mapping" (type $h (eq $h')))
                {functions}))"#
        );
    }
    wat::extended(&wat::guest("16"), BYTES.0, &format!("{imports} {lifts} {}", BYTES.1))
}

fn of_instance(types: &Types, id: InterfaceId) -> Exports {
    exports(types, types[id].exports.iter())
}

fn exports<'a>(types: &Types, all: impl Iterator<Item = (&'a String, &'a ItemKind)>) -> Exports {
    let mut found = Exports { plain: vec![], takes: false };
    for (name, kind) in all {
        let ItemKind::Func(id) = kind else { continue };
        if is_plain(types, &types[*id]) {
            found.plain.push(name.clone());
        }
        found.takes |= name == "take-frozen-mapping";
    }
    found
}

fn is_plain(types: &Types, ty: &FuncType) -> bool {
    ty.params.values().chain(&ty.result).all(|value| is_plain_value(types, *value))
}

fn is_plain_value(types: &Types, value: ValueType) -> bool {
    let is_plain = |value: &ValueType| is_plain_value(types, *value);
    match value {
        ValueType::Primitive(_) => true,
        ValueType::Own(_) | ValueType::Borrow(_) => false,
        ValueType::Defined(id) => match &types[id] {
            DefinedType::Tuple(all) => all.iter().all(is_plain),
            DefinedType::List(it) | DefinedType::Option(it) | DefinedType::Alias(it) => is_plain(it),
            DefinedType::Result { ok, err } => ok.iter().chain(err).all(is_plain),
            DefinedType::Record(record) => record.fields.values().all(is_plain),
            DefinedType::Variant(variant) => variant.cases.values().flatten().all(is_plain),
            DefinedType::Flags(_) | DefinedType::Enum(_) => true,
            _ => false,
        },
    }
}
