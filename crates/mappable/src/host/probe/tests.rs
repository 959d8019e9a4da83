//! The probe's modules are kept assembled, so that no embedder's process needs a parser of text. Run this test with
//! `BLESS=1` when a text has changed.

use std::fs;
use std::path::Path;

#[test]
fn assembled_modules_are_those_of_the_texts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host/probe");
    for (name, kept) in [("guest", super::GUEST), ("bounded", super::BOUNDED), ("fixed", super::FIXED)] {
        let binary = wat::parse_file(folder.join(name).with_extension("wat")).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(folder.join(name).with_extension("wasm"), &binary).unwrap();
        } else {
            assert!(binary == kept, "`{name}` is not what its text says: run this test with BLESS=1");
        }
    }
}
