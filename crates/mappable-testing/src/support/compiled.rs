//! Compiles each component once for all setups that make the same machine code of it. Setups that differ in how they map
//! alone do: about half of all.
//!
//! # Safety
//!
//! Machine code is loaded that this process has just compiled, and that nobody has touched.

#![allow(unsafe_code)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use mappable::{GRANULE, MemoryShape, Runtime, Strategy};
use wasmtime::component::Component;

use super::Setup;

/// What machine code depends on: the text, the tier and whether bytes are copied, by which the rewriter differs, and the
/// settings of the engine.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    text: String,
    is_ledger: bool,
    copies: bool,
    engine: u64,
}

type Code = Arc<OnceLock<Vec<u8>>>;

static COMPILED: LazyLock<Mutex<HashMap<Key, Code>>> = LazyLock::new(Mutex::default);

/// The component of this text, compiled by `runtime` or by one that compiles it to the same code.
///
/// # Panics
///
/// When it does not compile.
pub(super) fn component(setup: Setup, runtime: &Runtime, text: &str) -> Component {
    let key =
        Key { text: text.to_owned(), is_ledger: setup.is_ledger(), copies: copies(runtime), engine: settings(runtime) };
    let code = COMPILED.lock().unwrap_or_else(|e| e.into_inner()).entry(key).or_default().clone();
    let mut fresh = None;
    let code = code.get_or_init(|| {
        let component = runtime.compile(text.as_bytes()).unwrap();
        let code = component.serialize().unwrap();
        fresh = Some(component);
        code
    });
    // SAFETY: `Component::serialize` made these bytes in this process, and nobody can change them.
    fresh.unwrap_or_else(|| unsafe { Component::deserialize(runtime.engine(), code) }.unwrap())
}

fn copies(runtime: &Runtime) -> bool {
    let ordinary = MemoryShape { minimum: 1, maximum: None, is_64: false, is_shared: false, page_size: GRANULE };
    runtime.strategy_for(&ordinary) == Ok(Strategy::Copy)
}

/// A hash of the engine's settings, as far as code depends on them.
fn settings(runtime: &Runtime) -> u64 {
    let mut hasher = DefaultHasher::new();
    runtime.engine().precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}
