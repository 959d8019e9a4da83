//! A stage on streams: reads frame after frame into one buffer, and writes it from there to the next stage.

use core::marker::PhantomData;

use wit_bindgen::rt::async_support::{StreamReader, StreamResult};

use crate::bindings::exports::mappable::frames::stream_step::{Guest, Shape};
use crate::bindings::mappable::frames::stream_next;
use crate::bindings::wit_stream;
use crate::{Stage, work};

/// A [`Stage`] as the world `stream-stage` has it.
pub struct Adapter<S>(PhantomData<S>);

impl<S: Stage> Guest for Adapter<S> {
    async fn push(mut frames: StreamReader<u8>, shape: Shape) {
        let (mut writer, reader) = wit_stream::new::<u8>();
        wit_bindgen::spawn_local(async move {
            let size = shape.size().bytes();
            let mut frame = Vec::with_capacity(size);
            loop {
                frame.clear();
                while frame.len() < size {
                    let (result, read) = frames.read(frame).await;
                    frame = read;
                    if result == StreamResult::Dropped {
                        return;
                    }
                }
                work::<S>(&mut frame, shape);
                // The buffer comes back empty. What is left in it, nobody wants.
                frame = writer.write_all(frame).await;
                if !frame.is_empty() {
                    return;
                }
            }
        });
        stream_next::push(reader, shape).await;
    }
}
