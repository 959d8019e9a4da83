//! Frames in a stream of bytes, on a stock engine with its default settings: async components, as WASI 0.3 has them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};

use anyhow::{Result, ensure};
use wasmtime::component::{
    Accessor, Component, Destination, Linker, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult,
    TypedFunc, VecBuffer,
};
use wasmtime::{Engine, Store, StoreContextMut};

use super::film::Film;
use super::lane::{Lane, Setting, Shape, Shared, compose, push_of, trapped, unloaded};

const STEP: &str = "mappable:frames/stream-step@0.1.0";
const NEXT: &str = "mappable:frames/stream-next@0.1.0";

pub(super) struct Streams {
    film: Arc<Film>,
    store: Store<Shared>,
    push: TypedFunc<(StreamReader<u8>, Shape), ()>,
    shape: Shape,
}

impl Streams {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::new(&engine, compose(|stage| stage.streams, STEP, NEXT)?).map_err(unloaded)?;
        let mut linker = Linker::new(&engine);
        let next = linker.instance(NEXT).and_then(|mut next| next.func_wrap_concurrent("push", show));
        next.map_err(unloaded)?;
        let mut store = Store::new(&engine, setting.screen.clone());
        let instance = block_on(linker.instantiate_async(&mut store, &component)).map_err(unloaded)?;
        let push = instance.get_typed_func(&mut store, push_of(&component, STEP)?).map_err(unloaded)?;
        Ok(Self { film: setting.film.clone(), store, push, shape: setting.shape() })
    }
}

impl Lane for Streams {
    /// A stream for the run, which ends with it.
    fn run(&mut self, frames: usize, work: bool) -> Result<()> {
        let shape = Shape { work, ..self.shape };
        let screen = self.store.data().clone();
        let camera = Camera { film: self.film.clone(), bytes: frames * self.film.frame_bytes(), at: 0 };
        let stream = StreamReader::new(&mut self.store, camera).map_err(unloaded)?;
        let push = &self.push;
        let ran = block_on(self.store.run_concurrent(async |accessor| {
            // It returns when the stages have begun.
            push.call_concurrent(accessor, (stream, shape)).await?;
            poll_fn(|context| ended(&screen, context)).await;
            wasmtime::error::Ok(())
        }));
        ran.and_then(|ran| ran).map_err(|error| trapped(&error))?;
        ensure!(screen.get().ended, "the stream has no end");
        Ok(())
    }
}

fn ended(screen: &Shared, context: &TaskContext<'_>) -> Poll<()> {
    let mut screen = screen.get();
    if screen.ended {
        return Poll::Ready(());
    }
    screen.waker = Some(context.waker().clone());
    Poll::Pending
}

/// What the last stage pushes to.
fn show<'a>(
    accessor: &'a Accessor<Shared>,
    (frames, _): (StreamReader<u8>, Shape),
) -> Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send + 'a>> {
    Box::pin(async move {
        accessor.with(|mut access| {
            let display = Display(access.get().clone());
            frames.pipe(access, display)
        })
    })
}

/// The stream's host end at the front: writes frames straight into the first stage's buffer.
struct Camera {
    film: Arc<Film>,
    /// In all.
    bytes: usize,
    at: usize,
}

impl StreamProducer<Shared> for Camera {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        store: StoreContextMut<'_, Shared>,
        to: Destination<'_, u8, VecBuffer<u8>>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let frame_bytes = self.film.frame_bytes();
        let mut to = to.as_direct(store, frame_bytes);
        let (number, at) = (self.at / frame_bytes, self.at % frame_bytes);
        let buffer = to.remaining();
        // Nobody asks for bytes yet.
        if buffer.is_empty() && self.at < self.bytes {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let count = buffer.len().min(frame_bytes - at).min(self.bytes - self.at);
        buffer[..count].copy_from_slice(&self.film.frame(number)[at..at + count]);
        to.mark_written(count);
        self.at += count;
        Poll::Ready(Ok(if self.at < self.bytes { StreamResult::Completed } else { StreamResult::Dropped }))
    }
}

/// The stream's host end at the back: looks at frames where the last stage has them.
struct Display(Shared);

impl StreamConsumer<Shared> for Display {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
        store: StoreContextMut<'_, Shared>,
        from: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut from = from.as_direct(store);
        let bytes = from.remaining();
        let count = bytes.len();
        self.0.get().show(bytes);
        from.mark_read(count);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.0.get().end();
    }
}

/// Runs a future to its end on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = TaskContext::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
