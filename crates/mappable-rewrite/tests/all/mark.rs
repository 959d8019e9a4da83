//! The mark is the WIT package's.

use mappable_rewrite::MARK;
use wit_parser::{Resolve, TypeDefKind};

#[test]
fn the_mark_is_the_enum_map_error_of_the_wit_package() {
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let (package, _) = resolve.push_path(wit).unwrap();
    let types = resolve.packages[package].interfaces["types"];
    let id = resolve.interfaces[types].types["map-error"];
    let TypeDefKind::Enum(cases) = &resolve.types[id].kind else {
        panic!("map-error is no enum");
    };
    let cases: Vec<_> = cases.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(cases, MARK);
}
