//! The WIT package, and what is linked.

use std::path::{Path, PathBuf};

use wit_component::StringEncoding;
use wit_parser::Resolve;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A package holds only files of its own folder, so each that needs the text has a copy.
#[test]
fn each_copy_of_the_package_is_the_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let original = root.join("wit/files");
    let texts = |folder: &Path| {
        let text =
            |path: &PathBuf| (path.strip_prefix(folder).unwrap().to_owned(), std::fs::read_to_string(path).unwrap());
        files(folder).iter().map(text).collect::<Vec<_>>()
    };
    assert!(texts(&original).len() == 4);
    let copies = ["crates/mappable-wasi/wit", "crates/mappable-guest/wit/files"].map(|copy| root.join(copy));
    for copy in copies {
        assert!(texts(&copy) == texts(&original), "{}: copy wit/files there", copy.display());
    }
    let memory = std::fs::read_to_string(root.join("wit/mappable.wit")).unwrap();
    let copy = std::fs::read_to_string(original.join("deps/mappable-memory/mappable.wit")).unwrap();
    assert!(copy == memory, "copy wit/mappable.wit to wit/files/deps/mappable-memory");
}

/// The tests' guest calls all of them, of both versions. (It would not link if WASI's packages, which are here in part, were
/// other than the host's.)
#[test]
fn the_package_has_these_functions() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wit")).unwrap();
    let interfaces = &resolve.packages[package].interfaces;
    assert_eq!(interfaces.keys().collect::<Vec<_>>(), ["p2", "p3"]);
    for id in interfaces.values() {
        assert_eq!(resolve.interfaces[*id].functions.keys().collect::<Vec<_>>(), ["freeze", "freeze-at"]);
    }
}

#[test]
fn every_item_is_documented() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wit")).unwrap();
    for id in resolve.packages[package].interfaces.values() {
        let interface = &resolve.interfaces[*id];
        assert!(interface.docs.contents.is_some(), "{:?}", interface.name);
        for function in interface.functions.values() {
            assert!(function.docs.contents.is_some(), "{}", function.name);
        }
    }
}

/// The world that the library for C has in a section of its own. `BLESS=1` writes it anew.
#[test]
fn the_library_for_c_has_the_types_of_the_package() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wit")).unwrap();
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let types = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/c/src/component-type.bin");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &types).unwrap();
    }
    assert!(std::fs::read(&file).unwrap() == types, "BLESS=1 cargo test -p mappable-wasi -- the_library_for_c");
}
