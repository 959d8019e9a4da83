//! An async guest streams frames through two others and back to the host. Three regions go around; none is copied.
//!
//! Run it: `cargo run -p mappable --example stream_frames`

use mappable::{Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Linker, StreamReader};

const FRAMES: u32 = 24;

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

async fn run() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let camera = runtime.compile(include_bytes!("../../../guests/built/camera.wasm"))?;
    let filter = runtime.compile(include_bytes!("../../../guests/built/filter.wasm"))?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;

    // ANCHOR: instances
    type Frames = StreamReader<Handle>;
    let mut store = runtime.store(State { mappable: runtime.context() });
    let camera = linker.instantiate_async(&mut store, &camera).await?;
    let film = camera.get_typed_func::<(u32, Frames), (Frames,)>(&mut store, "film")?;
    let brighten = linker.instantiate_async(&mut store, &filter).await?;
    let brighten = brighten.get_typed_func::<(Frames, u8), (Frames,)>(&mut store, "apply")?;
    let tint = linker.instantiate_async(&mut store, &filter).await?;
    let tint = tint.get_typed_func::<(Frames, u8), (Frames,)>(&mut store, "apply")?;
    // ANCHOR_END: instances

    // ANCHOR: channels
    // From the last filter to the host, and from the host back to the camera.
    let (sender, mut frames) = mappable::channel::<Mappable>(1);
    let (back, returned) = mappable::channel::<Mappable>(3);
    let returned = StreamReader::new(&mut store, returned)?;
    // ANCHOR_END: channels

    // ANCHOR: run
    let shown = store.run_concurrent(async |store| -> anyhow::Result<u32> {
        let (filmed,) = film.call_concurrent(store, (FRAMES, returned)).await?;
        let (brighter,) = brighten.call_concurrent(store, (filmed, 1)).await?;
        let (tinted,) = tint.call_concurrent(store, (brighter, 10)).await?;
        store.with(|store| tinted.pipe(store, sender))?;

        let mut shown = 0;
        while let Some(frame) = frames.recv().await {
            let expected = shown as u8 + 11;
            anyhow::ensure!(frame.bytes()?.iter().all(|&byte| byte == expected), "frame {shown} is wrong");
            shown += 1;
            // The camera may have finished: then the region is freed.
            let _ = back.send(frame).await;
        }
        Ok(shown)
    });
    let shown = shown.await??;
    // ANCHOR_END: run

    anyhow::ensure!(shown == FRAMES, "{shown} frames of {FRAMES}");
    anyhow::ensure!(store.data().mappable.held() == (0, 0), "the store holds regions");
    println!("{shown} frames went through three components, in three regions");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().build()?.block_on(run())
}
