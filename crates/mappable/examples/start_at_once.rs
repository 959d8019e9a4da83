//! Compiled components that are kept: in a cache, and as artifacts.
//!
//! Run it: `cargo run -p mappable --example start_at_once`

use std::path::Path;
use std::time::{Duration, Instant};

use mappable::{ArtifactKey, CompileCache, DeserializeError, Runtime, Tier};
use wasmtime::component::Component;

const BYTES: &[u8] = include_bytes!("guests/invert.wat");

fn main() -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path().join("my-server");
    let (first, second) = (start(&folder)?, start(&folder)?);
    println!("the first start compiled in {first:?}, the second one loaded in {second:?}");
    ship()
}

/// Starts a host, and returns how long its component took.
fn start(folder: &Path) -> anyhow::Result<Duration> {
    // ANCHOR: cache
    let cache = CompileCache::new(folder, 512 << 20)?;
    let runtime = Runtime::builder().compile_cache(cache).build()?;
    let begin = Instant::now();
    runtime.compile(BYTES)?;
    // ANCHOR_END: cache
    anyhow::ensure!(std::fs::read_dir(folder)?.count() == 1, "one component is kept");
    Ok(begin.elapsed())
}

/// Compiles in one place for another.
fn ship() -> anyhow::Result<()> {
    // ANCHOR: artifact
    let key = ArtifactKey::from_bytes(*b"32 random bytes that few know of");
    let artifact = Runtime::new()?.precompile_with_key(BYTES, &key)?;
    // Elsewhere:
    let load = |runtime: &Runtime| -> anyhow::Result<Component> {
        match runtime.deserialize_with_key(&artifact, &key) {
            Ok(component) => Ok(component),
            // Made by another version, or for other settings: the error says which.
            Err(DeserializeError::Foreign { .. }) => Ok(runtime.compile(BYTES)?),
            Err(error) => Err(error.into()),
        }
    };
    // ANCHOR_END: artifact
    let other = Runtime::builder().tier(Tier::Baseline).build()?;
    let foreign = other.deserialize_with_key(&artifact, &key).err();
    anyhow::ensure!(matches!(foreign, Some(DeserializeError::Foreign { .. })), "{foreign:?}");
    for runtime in [Runtime::new()?, other] {
        let component = load(&runtime)?;
        anyhow::ensure!(component.get_export_index(None, "invert").is_some(), "another component");
    }
    println!("an artifact of {} bytes was loaded", artifact.len());
    Ok(())
}
