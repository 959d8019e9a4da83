//! What other processes share: Zenoh asks for a descriptor's memory when a message says where it is.
//!
//! A *segment* is a part of another process: its number, and one of [`SLOTS`]. A *chunk* of it is the number of a descriptor
//! there. Zenoh keeps each segment that it was ever given, so a segment keeps what it has mapped only while Zenoh holds a buffer
//! of it: whoever holds a buffer holds the segment, so the count of references to the segment tells.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::{io, ptr};

use mappable::{Exported, Frozen, Runtime, Trust};
use zenoh::shm::{ChunkID, ProtocolID, SegmentID, ShmClient, ShmSegment, WithProtocolID};

use super::file;

/// How many segments a process is. Messages go round them, so that a segment is often without one.
pub(super) const SLOTS: u32 = 64;
const SLOT_BITS: u32 = SLOTS.ilog2();

/// The segment of a process. `None` for a number that Linux doesn't give.
pub(super) fn segment_id(process: u32, slot: u32) -> Option<SegmentID> {
    (process < 1 << (u32::BITS - SLOT_BITS)).then_some((process << SLOT_BITS) | (slot % SLOTS))
}

/// Shows this process what others share with it.
#[derive(Debug)]
pub(crate) struct Client {
    protocol: ProtocolID,
    runtime: Runtime,
    limit: u64,
    segments: Arc<Segments>,
}

/// All segments that Zenoh was given.
#[derive(Debug, Default)]
struct Segments(Mutex<Vec<Weak<Segment>>>);

#[derive(Debug)]
struct Segment {
    process: u32,
    runtime: Runtime,
    limit: u64,
    chunks: Mutex<Vec<Shared>>,
    all: Arc<Segments>,
}

/// Bytes of another process, which can't be changed.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) frozen: Frozen,
    /// Of the file.
    pub(crate) identity: u64,
}

impl Client {
    pub(super) fn new(protocol: ProtocolID, runtime: Runtime, limit: u64) -> Self {
        Self { protocol, runtime, limit, segments: Arc::default() }
    }

    /// What is shown at this address to Zenoh, which holds a buffer of it.
    pub(crate) fn at(&self, address: *const u8) -> Option<Shared> {
        self.segments.lock().iter().filter_map(Weak::upgrade).find_map(|segment| {
            let chunks = segment.chunks.lock().unwrap_or_else(PoisonError::into_inner);
            chunks.iter().find(|chunk| chunk.frozen.as_ptr() == address).cloned()
        })
    }

    /// Forgets what no buffer of Zenoh's shows any more.
    pub(crate) fn sweep(&self) {
        self.segments.sweep(None);
    }
}

impl Segments {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Segment>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what no buffer of Zenoh's shows any more. `mapping` is the segment of which Zenoh is mapping a chunk.
    fn sweep(&self, mapping: Option<&Segment>) {
        let mut segments = self.lock();
        segments.retain(|segment| segment.strong_count() > 0);
        for segment in segments.iter() {
            // Zenoh's table has one, and so has whoever is about to map one. A buffer has another.
            let idle = 1 + usize::from(mapping.is_some_and(|mapping| ptr::eq(segment.as_ptr(), mapping)));
            if segment.strong_count() > idle {
                continue;
            }
            let Some(segment) = segment.upgrade() else { continue };
            let mut chunks = segment.chunks.lock().unwrap_or_else(PoisonError::into_inner);
            // With the lock, since one may have been mapped meanwhile. One more is ours.
            if Arc::strong_count(&segment) == idle + 1 {
                chunks.clear();
            }
        }
    }
}

impl WithProtocolID for Client {
    fn id(&self) -> ProtocolID {
        self.protocol
    }
}

impl ShmClient for Client {
    fn attach(&self, segment: SegmentID) -> zenoh::Result<Arc<dyn ShmSegment>> {
        let (runtime, limit, all) = (self.runtime.clone(), self.limit, Arc::clone(&self.segments));
        let process = segment >> SLOT_BITS;
        let segment = Arc::new(Segment { process, runtime, limit, chunks: Mutex::default(), all });
        self.segments.lock().push(Arc::downgrade(&segment));
        Ok(segment)
    }
}

impl ShmSegment for Segment {
    fn map(&self, chunk: ChunkID) -> zenoh::Result<*mut u8> {
        // Nobody hears of a message to which nobody subscribes, so that only this ends what was mapped for it.
        self.all.sweep(Some(self));
        let shared = self.open(chunk).inspect_err(|error| {
            tracing::warn!("a message is lost: what process {} shares can't be mapped: {error}", self.process);
        })?;
        // For reading: a store there is a fault. Zenoh stores into buffers that it allocated itself.
        let address = shared.frozen.as_ptr().cast_mut();
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).push(shared);
        Ok(address)
    }
}

impl Segment {
    fn open(&self, descriptor: u32) -> io::Result<Shared> {
        let file = file::of_process(self.process, descriptor)?;
        let (identity, size) = (file::identity(&file)?, file.metadata()?.len());
        // Nothing of it is believed. How many bytes count is in the message.
        let exported = Exported::new(file.into(), 0, size, size);
        let frozen = Frozen::import(&self.runtime, exported, Trust::SEALS, self.limit).map_err(io::Error::other)?;
        Ok(Shared { frozen, identity })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    use mappable::GRANULE;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn granule(byte: u8) -> Vec<u8> {
        vec![byte; GRANULE as usize]
    }

    fn client() -> Client {
        Client::new(file::protocol().unwrap(), Runtime::new().unwrap(), LIMIT)
    }

    /// As Zenoh attaches to this very process.
    fn attach(client: &Client, slot: u32) -> Arc<dyn ShmSegment> {
        client.attach(segment_id(std::process::id(), slot).unwrap()).unwrap()
    }

    fn memory_file(bytes: &[u8], seals: SealFlags) -> File {
        let mut file = File::from(memfd_create("hostile", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap());
        file.write_all(bytes).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        file
    }

    #[test]
    fn a_file_that_its_sender_could_change_is_not_mapped() {
        let client = client();
        let segment = attach(&client, 0);
        let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
        for missing in [SealFlags::WRITE, SealFlags::GROW, SealFlags::SHRINK] {
            let file = memory_file(&granule(1), all - missing);
            assert!(segment.map(file.as_raw_fd() as u32).is_err(), "{missing:?}");
        }
        let sealed = memory_file(&granule(1), all);
        let address = segment.map(sealed.as_raw_fd() as u32).unwrap();
        let shared = client.at(address).unwrap();
        assert_eq!(shared.frozen[..], granule(1));
        assert_eq!(shared.identity, file::identity(&sealed).unwrap());
    }

    #[test]
    fn what_is_no_file_of_granules_and_what_is_too_long_is_not_mapped() {
        let client = client();
        let segment = attach(&client, 0);
        let (reader, _writer) = std::io::pipe().unwrap();
        let folder = File::open("/").unwrap();
        let device = File::open("/dev/zero").unwrap();
        for descriptor in [reader.as_raw_fd(), folder.as_raw_fd(), device.as_raw_fd(), 1 << 20] {
            assert!(segment.map(descriptor as u32).is_err(), "{descriptor}");
        }
        let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
        for len in [0, 1, GRANULE as usize + 1, LIMIT as usize + GRANULE as usize] {
            let file = memory_file(&vec![1; len], all);
            assert!(segment.map(file.as_raw_fd() as u32).is_err(), "{len}");
        }
        // No process has the highest number there is.
        let nobody = client.attach(segment_id((1 << 26) - 1, 0).unwrap()).unwrap();
        assert!(nobody.map(1).is_err());
        assert_eq!(segment_id(1 << 26, 0), None);
    }

    #[test]
    fn what_is_mapped_stays_as_long_as_a_buffer_of_it_and_no_longer() {
        let client = client();
        // Zenoh's table, which never forgets one.
        let segment = attach(&client, 0);
        let file = memory_file(&granule(1), SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK);
        let buffer = Arc::clone(&segment);
        let address = buffer.map(file.as_raw_fd() as u32).unwrap();
        client.sweep();
        assert!(client.at(address).is_some());
        drop(buffer);
        assert!(client.at(address).is_some());
        client.sweep();
        assert!(client.at(address).is_none());
    }

    #[test]
    fn of_messages_that_nobody_receives_no_more_than_the_last_stays_mapped() {
        let client = client();
        let segments = [attach(&client, 0), attach(&client, 1)];
        let file = memory_file(&granule(1), SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK);
        for message in 0..100 {
            // As Zenoh does, which finds then that nobody subscribes.
            let buffer = Arc::clone(&segments[message % 2]);
            buffer.map(file.as_raw_fd() as u32).unwrap();
            let segments = client.segments.lock();
            let mapped = |segment: Arc<Segment>| segment.chunks.lock().unwrap().len();
            assert_eq!(segments.iter().filter_map(Weak::upgrade).map(mapped).sum::<usize>(), 1, "{message}");
        }
    }
}
