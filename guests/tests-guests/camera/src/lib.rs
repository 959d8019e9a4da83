//! A component that streams frames. It has three regions, which go around: one is filled, others are on their way.

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "wit"],
        world: "example:camera/camera",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
    });

    use super::Camera;
    export!(Camera);
}

use mappable_guest::{Handle, Ring};
use wit_bindgen::{StreamReader, StreamWriter};

const REGIONS: usize = 3;
const FRAME_BYTES: u64 = 1920 * 1080 * 4;

struct Camera;

impl bindings::Guest for Camera {
    async fn film(frames: u32, back: StreamReader<Handle>) -> StreamReader<Handle> {
        let (writer, reader) = bindings::wit_stream::new();
        // Goes on after this function has returned.
        wit_bindgen::spawn_local(roll(frames, writer, back));
        reader
    }
}

/// Films until all frames are read, or nobody reads any more.
async fn roll(frames: u32, writer: StreamWriter<Handle>, back: StreamReader<Handle>) {
    let mut ring = Ring::new(writer, back, REGIONS, FRAME_BYTES);
    for number in 0..frames {
        // Waits while all regions are out.
        let Ok(Some(frame)) = ring.next().await else { return };
        let mut pixels = frame.map().expect("the memory has room for a placement");
        pixels.fill(number as u8);
        if ring.send(pixels.unmap()).await.is_err() {
            return;
        }
    }
}
