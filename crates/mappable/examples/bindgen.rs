//! A world of the embedder's own, by `wasmtime::component::bindgen!`: regions in a record, beside a string, in an option.
//!
//! Run it: `cargo run -p mappable --example bindgen`

use mappable::{MappableCtx, MappableView, Runtime};
use wasmtime::component::{HasSelf, Linker};

// ANCHOR: bindgen
/// In a module of its own, for `bindgen!` writes a module `mappable` beside its call. Hence `::mappable` for the crate.
mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        inline: "
            package example:camera;

            world camera {
                use mappable:memory/types@0.1.0.{mappable};

                record frame { pixels: mappable, name: string }
                export develop: func(frame: frame, overlay: option<mappable>) -> result<frame, string>;
            }
        ",
        world: "example:camera/camera",
        with: { "mappable:memory": ::mappable::bindings },
    });
}

// By name: `use bindings::*` would hide the crate `mappable` behind the generated module.
use bindings::{Camera, Frame};
// ANCHOR_END: bindgen

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let component = runtime.compile(include_bytes!("guests/develop.wat"))?;
    // ANCHOR: call
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?; // the functions on regions
    Camera::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?; // the world's own

    let mut store = runtime.store(State { mappable: runtime.context() });
    let camera = Camera::instantiate(&mut store, &component, &linker)?;

    let pixels = store.data_mut().mappable.insert(runtime.allocate_from(b"pixels")?)?;
    let overlay = store.data_mut().mappable.insert(runtime.allocate_from(b"overlay")?)?;
    let frame = Frame { pixels, name: "sunset".to_owned() };
    // Passing the record gives its region away, though Rust only lends it.
    let developed = camera.call_develop(&mut store, &frame, Some(overlay))?.map_err(anyhow::Error::msg)?;
    let region = store.data_mut().mappable.remove(developed.pixels)?;
    // ANCHOR_END: call

    anyhow::ensure!(developed.name == "sunset" && region.bytes()?.starts_with(b"overlay"), "another frame came back");
    anyhow::ensure!(store.data().mappable.held() == (0, 0), "the guest kept a region");

    let pixels = store.data_mut().mappable.insert(runtime.allocate_from(b"pixels")?)?;
    let nameless = Frame { pixels, name: String::new() };
    let refused = camera.call_develop(&mut store, &nameless, None)?;
    anyhow::ensure!(refused.err().as_deref() == Some("a frame needs a name"), "a nameless frame was developed");
    println!("{} was developed: {} bytes", developed.name, region.size());
    Ok(())
}
