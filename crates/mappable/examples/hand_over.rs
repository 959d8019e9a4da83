//! Hands a region to a component, which maps it, inverts its bytes and gives it back. No byte is copied.
//!
//! Run it: `cargo run -p mappable --example hand_over`

// ANCHOR: program
use mappable::{Handle, MappableCtx, MappableView, Runtime};
use wasmtime::component::Linker;

/// The store's data: whatever the embedder keeps, and the regions of the store's components.
struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

fn main() -> anyhow::Result<()> {
    // A Wasmtime engine, set up and checked for mapping.
    let runtime = Runtime::new()?;
    // Bytes of a component, or its text. `Component::new` would not do: `compile` makes mapping sound.
    let component = runtime.compile(include_bytes!("guests/invert.wat"))?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;

    let mut store = runtime.store(State { mappable: runtime.context() });
    let instance = linker.instantiate(&mut store, &component)?;
    let invert = instance.get_typed_func::<(Handle,), (Handle,)>(&mut store, "invert")?;

    let region = runtime.allocate_from(b"bytes to work on")?; // the host owns the region
    let handle = store.data_mut().mappable.insert(region)?; // now the store does
    let (handle,) = invert.call(&mut store, (handle,))?; // the component owned it, and gave it back
    let region = store.data_mut().mappable.remove(handle)?; // the host owns it again

    let inverted: Vec<u8> = b"bytes to work on".iter().map(|byte| !byte).collect();
    anyhow::ensure!(region.bytes()?.starts_with(&inverted), "the guest inverted something else");
    println!("{} bytes inverted in place, in a region of {} bytes", inverted.len(), region.size());
    Ok(())
}
// ANCHOR_END: program
