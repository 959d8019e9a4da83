//! Memory that processes of one host share: sealed memory files, by Zenoh's interface for shared memory.
//!
//! Zenoh says in each message where its bytes are, and sends the bytes themselves to peers that can't have them that way. It
//! counts who still needs them. What is shared is what a frozen value exports: a memory file, sealed, so that the operating
//! system lets nobody change it, its maker included. So what a receiver maps is constant, whoever sent it.
//!
//! # Safety
//!
//! [`ShmProvider::garbage_collect_unsafe`] closes files that receivers may have mapped. A mapping outlives the descriptor.

#![allow(unsafe_code)]

mod client;
mod file;
mod provider;

use std::num::NonZeroUsize;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{io, process, thread};

use mappable::{Frozen, GRANULE, Runtime, Trust};
use zenoh::Wait as _;
use zenoh::bytes::ZBytes;
use zenoh::shm::{AllocatedChunk, PtrInSegment, ShmClientStorage, ShmProvider, ShmProviderBuilder};

pub(crate) use self::client::{Client, Shared};
use self::provider::{Backend, Files};

/// How often is looked whether files that are shared are still needed.
const SWEEP: Duration = Duration::from_millis(50);

/// How long a publisher that blocks waits for room, as long as Zenoh waits before it gives up a peer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shares frozen values with other processes, and has what they share.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    pub(crate) client: Arc<Client>,
    provider: Arc<ShmProvider<Backend>>,
    files: Arc<Files>,
    slot: AtomicU32,
}

/// A value that is shared, as a message has it.
#[derive(Clone)]
pub(crate) struct Placed {
    pub(crate) bytes: ZBytes,
    pub(crate) identity: u64,
}

/// Why a value was not shared.
#[derive(Debug)]
pub(crate) enum NotPlaced {
    /// Receivers still hold as much as may be shared.
    NoRoom,
    Io(io::Error),
}

impl SharedMemory {
    /// `None` if this system doesn't let processes share.
    pub(crate) fn new(runtime: &Runtime, budget: u64, limit: u64) -> Option<Self> {
        let protocol = file::protocol().ok().filter(|_| file::may_be_opened_by_others())?;
        let files = Arc::new(Files::new(budget));
        let backend = Backend { protocol, files: Arc::clone(&files) };
        let provider = Arc::new(ShmProviderBuilder::backend(backend).wait());
        let client = Arc::new(Client::new(protocol, runtime.clone(), limit));
        let (closing, kept) = (Arc::clone(&files), Arc::clone(&provider));
        let sweep = move || {
            while closing.wait_for_one() {
                thread::sleep(SWEEP);
                collect(&kept);
            }
        };
        thread::Builder::new().name("mappable-bus".into()).spawn(sweep).ok()?;
        Some(Self { client, provider, files, slot: AtomicU32::new(0) })
    }

    /// What a session needs to have what others share.
    pub(crate) fn clients(&self) -> Arc<ShmClientStorage> {
        let client: Arc<Client> = Arc::clone(&self.client);
        Arc::new(ShmClientStorage::builder().with_client(client).build())
    }

    /// Bytes of files that are shared now.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.bytes()
    }

    /// Waits until nothing is shared. `false` if the time is up.
    pub(crate) fn settle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            collect(&self.provider);
            if self.bytes() == 0 {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            self.files.wait(deadline);
        }
    }

    /// Shares a frozen value, of which some bytes count. They are copied, unless the value is sealed: it was received by a bus, for
    /// example, or is the result of [`Frozen::seal`]. `kept` is kept as long as this process has the message. `waits` says whether to
    /// wait for room.
    pub(crate) fn place<K>(&self, value: &Frozen, waits: bool, kept: K) -> Result<Placed, NotPlaced>
    where
        K: Send + Sync + 'static,
    {
        let size = (value.len() as u64).next_multiple_of(GRANULE);
        self.reserve(size, waits)?;
        let made = self.make(value, size, kept);
        if made.is_err() {
            self.files.unreserve(size);
        }
        made.map_err(NotPlaced::Io)
    }

    fn reserve(&self, len: u64, waits: bool) -> Result<(), NotPlaced> {
        if self.files.reserve(len) {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            collect(&self.provider);
            if self.files.reserve(len) {
                return Ok(());
            }
            if !waits || !self.files.could_fit(len) || Instant::now() >= deadline {
                return Err(NotPlaced::NoRoom);
            }
            self.files.wait(deadline);
        }
    }

    fn make<K>(&self, value: &Frozen, size: u64, kept: K) -> io::Result<Placed>
    where
        K: Send + Sync + 'static,
    {
        let out_of_range = || io::Error::from(io::ErrorKind::InvalidInput);
        let len = NonZeroUsize::new(value.len()).ok_or_else(out_of_range)?;
        let slot = self.slot.fetch_add(1, Ordering::Relaxed);
        let segment = client::segment_id(process::id(), slot).ok_or_else(out_of_range)?;

        // Without whole granules behind the length, which are nobody's business.
        let counted;
        let exported = if value.size() == size {
            value.export(Trust::SEALS)?
        } else {
            counted = value.slice(0..len.get() as u64).map_err(io::Error::other)?;
            counted.export(Trust::SEALS)?
        };
        let file = exported.descriptor;
        let identity = file::identity(&file)?;
        // What Zenoh reads when it sends the bytes themselves. It stores into buffers that it allocated itself.
        let address = value.as_ptr().cast_mut();

        let descriptor = file.as_raw_fd() as u32;
        let chunk = provider::chunk(segment, descriptor, len);
        let chunk = AllocatedChunk::new(chunk, PtrInSegment::new(address, Arc::new(kept)));
        self.files.keep(descriptor, file, size);
        match self.provider.map(chunk, len.get()) {
            Ok(buffer) => Ok(Placed { bytes: buffer.into(), identity }),
            Err(error) => {
                self.files.forget(descriptor);
                Err(io::Error::other(error.to_string()))
            }
        }
    }
}

/// Closes the files that nobody needs any more.
fn collect(provider: &ShmProvider<Backend>) {
    // SAFETY: what is collected is a descriptor of this process. A receiver that has mapped the file keeps its mapping. One that
    // was about to finds that the message is no longer valid, which is Zenoh's to check.
    unsafe { provider.garbage_collect_unsafe() };
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        self.files.end();
    }
}
