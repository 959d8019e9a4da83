//! Components to begin from: the guests that were built, the rewriter's golden inputs, and what becomes of both.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};
use mappable_rewrite::rewrite_with;

use crate::soundness::{BASELINE, gate};

/// A guest that is longer is left out: it has no shape that a shorter one has not.
const LONGEST: u64 = 64 << 10;

/// The golden inputs are shorter.
const SHORT: usize = 4 << 10;

/// All of them, the shortest first.
pub static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut inputs = built();
    inputs.extend(golden());
    let rewritten =
        |input: &Vec<u8>| rewrite_with(input, &gate(), BASELINE).ok().map(|rewritten| rewritten.bytes.into_owned());
    let mut outputs: Vec<_> = inputs.iter().filter_map(rewritten).collect();
    inputs.append(&mut outputs);
    inputs.sort_by_key(|input| (input.len(), input.clone()));
    inputs.dedup();
    inputs
});

/// One of them: mostly a short one, with which more can be tried in the same time.
///
/// # Errors
///
/// Those of `u`.
pub fn choose(u: &mut Unstructured<'_>) -> Result<&'static [u8]> {
    let short = CORPUS.partition_point(|input| input.len() < SHORT);
    let among = if u.ratio(15, 16)? { &CORPUS[..short] } else { &CORPUS[..] };
    u.choose(among).map(Vec::as_slice)
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn built() -> Vec<Vec<u8>> {
    let mut guests = Vec::new();
    for entry in fs::read_dir(root().join("guests/built")).expect("the built guests are there") {
        let path = entry.expect("a folder can be read").path();
        let short = fs::metadata(&path).is_ok_and(|file| file.len() < LONGEST);
        if short && path.extension().is_some_and(|extension| extension == "wasm") {
            guests.push(fs::read(path).expect("a guest can be read"));
        }
    }
    assert!(guests.len() > 5, "the built guests were found");
    guests
}

fn golden() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(root().join("crates/mappable-rewrite/tests/golden")).expect("golden files are there") {
        let path = entry.expect("a folder can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".wat") && !name.ends_with(".out.wat") {
            inputs.push(wat::parse_file(&path).expect("a golden input is well formed"));
        }
    }
    assert!(inputs.len() > 30, "the golden files were found");
    inputs
}
