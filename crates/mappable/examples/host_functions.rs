//! Host functions of the embedder's own that give regions to a guest and take regions from it.
//!
//! Run it: `cargo run -p mappable --example host_functions`

use std::collections::HashMap;

use mappable::{Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

/// The store's data. A host function that allocates needs the runtime, which is cheap to clone.
struct State {
    mappable: MappableCtx,
    runtime: Runtime,
    /// What guests can ask for.
    files: HashMap<String, Vec<u8>>,
    /// What guests have published.
    published: HashMap<String, Mappable>,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

// ANCHOR: open
/// `open: func(name: string) -> result<mappable, string>`
fn open(mut store: StoreContextMut<'_, State>, (name,): (String,)) -> wasmtime::Result<(Result<Handle, String>,)> {
    let state = store.data_mut();
    let Some(bytes) = state.files.get(&name) else {
        return Ok((Err(format!("no file {name}")),));
    };
    // `Limits` are for what guests allocate: a host function that allocates for them sets its own bound.
    if bytes.len() > 1 << 20 {
        return Ok((Err(format!("{name} is larger than 1 MiB")),));
    }
    let handle = match state.runtime.allocate_from(bytes) {
        Ok(region) => state.mappable.insert(region)?,
        Err(error) => return Ok((Err(error.to_string()),)),
    };
    Ok((Ok(handle),))
}
// ANCHOR_END: open

// ANCHOR: publish
/// `publish: func(name: string, region: mappable) -> u64`
fn publish(mut store: StoreContextMut<'_, State>, (name, handle): (String, Handle)) -> wasmtime::Result<(u64,)> {
    let state = store.data_mut();
    // The guest has lost the region; without `remove` the store would keep it until it is dropped.
    let region = state.mappable.remove(handle)?;
    let size = region.size();
    state.published.insert(name, region);
    Ok((size,))
}
// ANCHOR_END: publish

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let component = runtime.compile(include_bytes!("guests/ask.wat"))?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    linker.root().func_wrap("open", open)?;
    linker.root().func_wrap("publish", publish)?;

    let state = State {
        mappable: runtime.context(),
        runtime: runtime.clone(),
        files: HashMap::from([("photo".to_owned(), b"pixels".to_vec())]),
        published: HashMap::new(),
    };
    let mut store = runtime.store(state);
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), (u64,)>(&mut store, "run")?;
    let (size,) = run.call(&mut store, ())?;

    let published = &store.data().published["copy of photo"];
    anyhow::ensure!(size == published.size() && published.bytes()?.starts_with(b"pixels"), "another region came back");
    anyhow::ensure!(store.data().mappable.held() == (0, 0), "the store still holds a region");
    println!("a guest asked for a region and published it: {size} bytes");
    Ok(())
}
