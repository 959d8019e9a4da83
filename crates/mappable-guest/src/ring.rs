//! [`Ring`]: a few regions that go around between a producer and who reads what it makes.

use alloc::vec::Vec;
use core::future::{Future as _, poll_fn};
use core::pin::pin;
use core::task::Poll;

use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

use crate::Handle;
use crate::error::AllocateError;
use crate::region::Mappable;

/// A producer's end of a ring: at most so many regions, which go out by one stream and come back by another.
///
/// [`next`](Ring::next) gives a region to fill, and waits where all are out; [`send`](Ring::send) sends it. Regions are
/// allocated until there are as many as the ring may have, and never after that. Who reads the stream sends each region
/// back when it has read it; a component that passes regions on to the next leaves that to the last.
///
/// ```ignore
/// async fn film(frames: u32, back: StreamReader<Handle>) -> StreamReader<Handle> {
///     let (writer, reader) = bindings::wit_stream::new();
///     wit_bindgen::spawn_local(async move {
///         let mut ring = Ring::new(writer, back, 3, 1920 * 1080 * 4);
///         for number in 0..frames {
///             let Ok(Some(frame)) = ring.next().await else { return };
///             let mut pixels = frame.map().expect("the memory has room for a placement");
///             pixels.fill(number as u8);
///             if ring.send(pixels.unmap()).await.is_err() {
///                 return; // Nobody reads any more.
///             }
///         }
///     });
///     reader
/// }
/// ```
///
/// Needs the feature `async`, and is there on WebAssembly alone. When a ring is dropped, the regions that it has are freed
/// and both streams are closed.
#[derive(Debug)]
pub struct Ring {
    out: StreamWriter<Handle>,
    back: StreamReader<Handle>,
    /// Whether nothing comes back any more.
    is_closed: bool,
    free: Vec<Handle>,
    /// How many regions may yet be allocated, and of how many bytes.
    unmade: usize,
    len: u64,
    /// What is written: empty, and kept for its room.
    outgoing: Vec<Handle>,
}

impl Ring {
    /// A ring of up to `regions` regions of `len` bytes each. With none, all regions come by `back`: then its other end
    /// owns the ring.
    pub fn new(out: StreamWriter<Handle>, back: StreamReader<Handle>, regions: usize, len: u64) -> Ring {
        let free = Vec::with_capacity(regions.max(1));
        Ring { out, back, is_closed: false, free, unmade: regions, len, outgoing: Vec::with_capacity(1) }
    }

    /// Returns a region that is free: one that came back, else a new one, else the next that comes back. Its bytes are
    /// zero if it is new, else what they were. Its length is what it was: the reader may have set another. Returns
    /// `None` when none is left and none comes back any more.
    ///
    /// # Errors
    ///
    /// As [`Mappable::allocate`].
    pub async fn next(&mut self) -> Result<Option<Mappable>, AllocateError> {
        if let Some(free) = self.free.pop() {
            return Ok(Some(free.into()));
        }
        if self.unmade > 0 {
            let region = Mappable::allocate(self.len)?;
            self.unmade -= 1;
            return Ok(Some(region));
        }
        let free = core::mem::take(&mut self.free);
        let (result, free) = self.back.read(free).await;
        self.is_closed |= matches!(result, StreamResult::Dropped);
        self.free = free;
        Ok(self.free.pop().map(Mappable::from))
    }

    /// Sends a region, and waits until it is read. Regions that come back meanwhile are taken, so that a reader which
    /// sends one back before it reads the next never waits for this end.
    ///
    /// # Errors
    ///
    /// The stream is closed: nobody reads any more. The error returns the region.
    pub async fn send(&mut self, region: Mappable) -> Result<(), Mappable> {
        let mut outgoing = core::mem::take(&mut self.outgoing);
        outgoing.push(region.into());
        let mut write = pin!(self.out.write(outgoing));
        let (_, unsent) = loop {
            // A buffer without room would read nothing.
            self.free.reserve(1);
            let free = core::mem::take(&mut self.free);
            let mut read = pin!(self.back.read(free));
            let mut came = None;
            let written = poll_fn(|cx| {
                if let Poll::Ready(written) = write.as_mut().poll(cx) {
                    return Poll::Ready(Some(written));
                }
                if self.is_closed {
                    return Poll::Pending;
                }
                read.as_mut().poll(cx).map(|result| {
                    came = Some(result);
                    None
                })
            })
            .await;
            let (result, free) = came.unwrap_or_else(|| read.as_mut().cancel());
            self.is_closed |= matches!(result, StreamResult::Dropped);
            self.free = free;
            if let Some(written) = written {
                break written;
            }
        };
        self.outgoing = unsent.into_vec();
        match self.outgoing.pop() {
            Some(unsent) => Err(unsent.into()),
            None => Ok(()),
        }
    }
}
