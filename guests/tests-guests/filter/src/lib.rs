//! A component that changes frames in place and passes them on.

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "wit"],
        world: "example:filter/filter",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
    });

    use super::Filter;
    export!(Filter);
}

use mappable_guest::{Handle, Mappable};
use wit_bindgen::StreamReader;

struct Filter;

impl bindings::Guest for Filter {
    async fn apply(mut frames: StreamReader<Handle>, add: u8) -> StreamReader<Handle> {
        let (mut writer, reader) = bindings::wit_stream::new();
        wit_bindgen::spawn_local(async move {
            while let Some(frame) = frames.next().await {
                let mut pixels = Mappable::from(frame).map().expect("the memory has room for a placement");
                pixels.iter_mut().for_each(|byte| *byte = byte.wrapping_add(add));
                // A stream that nobody reads any more gives the frame back.
                if writer.write_one(pixels.unmap().into()).await.is_some() {
                    return;
                }
            }
        });
        reader
    }
}
