//! Frozen values as messages, and messages as frozen values.

use bytes::Bytes;
use mappable::{AllocateError, Frozen, Runtime};
use zenoh::Wait as _;
use zenoh::bytes::ZBytes;
use zenoh::sample::Sample;

use crate::bus::Inner;
use crate::shared::{Client, NotPlaced, Placed, Shared};

/// A value, and the key that it was published under.
#[derive(Clone, Debug)]
pub struct Message {
    /// The key.
    pub key: String,
    /// The bytes.
    pub payload: Frozen,
}

/// Why a message that has come was not received. It is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// It is longer than the bus takes, or the answers to a query are together, which count as whole granules.
    #[error(
        "{len} bytes of a message, or of all that a query got, are over the limit of {limit} (Options::message_bytes)"
    )]
    TooLarge {
        /// Its length in bytes.
        len: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// There is no region for it.
    #[error("no region for a message: {0}")]
    Allocate(#[from] AllocateError),
    /// There is no memory for it.
    #[error("no memory for a message: {0}")]
    Io(#[from] std::io::Error),
    /// Its sender said that it shares memory, and doesn't share what it said.
    #[error("a message on this host is not what its sender says: {0}")]
    Damaged(&'static str),
    /// The bus, or this subscription, has ended.
    #[error("the bus is closed")]
    Closed,
}

/// A message that has come and was not received yet.
#[derive(Debug)]
pub(crate) struct Arrived {
    sample: Sample,
    /// The payload's length in bytes.
    len: u64,
    /// The payload, or why there is none, if a peer of this host shares it. The sample has none then.
    shared: Option<Result<Frozen, &'static str>>,
}

/// What a message has: the bytes, and what tells shared ones from others.
pub(crate) struct Outgoing {
    pub(crate) bytes: ZBytes,
    pub(crate) attachment: Option<[u8; 8]>,
}

impl From<Placed> for Outgoing {
    fn from(placed: Placed) -> Self {
        Self { bytes: placed.bytes, attachment: Some(placed.identity.to_le_bytes()) }
    }
}

/// There is no room for another shared value, and nobody waits.
pub(crate) struct Congested;

impl Inner {
    /// A message with the bytes of a frozen value. They are copied once if a peer of this host may have them that way and they are not
    /// sealed, and else not at all.
    pub(crate) fn outgoing(&self, value: &Frozen, waits: bool) -> Result<Outgoing, Congested> {
        match self.placed(value, waits) {
            Some(Ok(placed)) => return Ok(placed.into()),
            // Who doesn't wait is told. Who waited long enough sends the bytes.
            Some(Err(NotPlaced::NoRoom)) if !waits => return Err(Congested),
            Some(Err(NotPlaced::NoRoom)) | None => {}
            Some(Err(NotPlaced::Io(error))) => {
                tracing::warn!("a message is sent as bytes, since it can't be shared: {error}")
            }
        }
        Ok(self.as_bytes(value))
    }

    /// A message with the bytes where they are.
    pub(crate) fn as_bytes(&self, value: &Frozen) -> Outgoing {
        let on_the_way = self.in_process.send(value.clone());
        Outgoing { bytes: Bytes::from_owner(on_the_way).into(), attachment: None }
    }

    /// The value in memory that peers of this host share, if there may be such peers and it is worth it.
    pub(crate) fn placed(&self, value: &Frozen, waits: bool) -> Option<Result<Placed, NotPlaced>> {
        let (len, limits) = (value.len() as u64, self.limits);
        // A file of no bytes is none.
        let is_worth_it = (limits.shared_from.max(1)..=limits.shared_bytes).contains(&len);
        let shared = self.shared.as_ref().filter(|_| is_worth_it && self.has_peer_that_shares())?;
        Some(shared.place(value, waits, self.in_process.send(value.clone())))
    }

    fn has_peer_that_shares(&self) -> bool {
        self.session.info().transports().wait().any(|transport| transport.is_shm())
    }

    pub(crate) fn message(&self, arrived: Arrived) -> Result<Message, ReceiveError> {
        let Arrived { sample, len, shared } = arrived;
        let payload = match shared {
            _ if len > self.limits.message_bytes => {
                return Err(ReceiveError::TooLarge { len, limit: self.limits.message_bytes });
            }
            Some(shared) => shared.map_err(ReceiveError::Damaged)?,
            None => self.incoming(sample.payload())?,
        };
        Ok(Message { key: sample.key_expr().as_str().to_owned(), payload })
    }

    /// The bytes of a message: what was sent within this process as it is, all else copied once.
    fn incoming(&self, bytes: &ZBytes) -> Result<Frozen, ReceiveError> {
        let mut slices = bytes.slices();
        if let (Some(only), None) = (slices.next(), slices.next())
            && let Some(value) = self.in_process.find(only)
        {
            return Ok(value);
        }
        if bytes.as_shm().is_some() {
            return Err(ReceiveError::Damaged("it is in memory that is not shared with this process"));
        }
        copied(&self.runtime, bytes)
    }
}

impl Arrived {
    /// What Zenoh has read, where it reads. What is shared is taken over here: as long as Zenoh has a buffer of one message, nobody can
    /// tell which others it has, so that all would stay mapped which came by the same segment.
    pub(crate) fn new(mut sample: Sample, client: Option<&Client>) -> Self {
        let len = sample.payload().len() as u64;
        let address = sample.payload().as_shm().map(|buffer| buffer.as_ptr());
        let shared = address.and_then(|address| client?.at(address)).map(|shared| taken_over(&shared, &sample, len));
        if shared.is_some() {
            *sample.payload_mut() = ZBytes::new();
        }
        Self { sample, len, shared }
    }

    /// The length of the payload.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// All bytes that are kept until it is received.
    pub(crate) fn all_bytes(&self) -> u64 {
        let attached = self.sample.attachment().map_or(0, |attachment| attachment.len());
        self.len + (attached + self.sample.key_expr().as_str().len()) as u64
    }

    /// Lets go of what is attached, unless it can be that of a value that is shared.
    pub(crate) fn forget_long_attachment(&mut self) {
        if let Some(attachment) = self.sample.attachment_mut()
            && attachment.len() > size_of::<u64>()
        {
            *attachment = ZBytes::new();
        }
    }
}

fn taken_over(shared: &Shared, sample: &Sample, len: u64) -> Result<Frozen, &'static str> {
    if sample.attachment().is_none_or(|said| said.to_bytes()[..] != shared.identity.to_le_bytes()) {
        return Err("the descriptor is of another file");
    }
    shared.frozen.slice(0..len).map_err(|_| "the file is shorter")
}

/// A frozen value with a copy of what came over the network, which Zenoh has in the pieces in which it came.
fn copied(runtime: &Runtime, bytes: &ZBytes) -> Result<Frozen, ReceiveError> {
    let pieces: Vec<&[u8]> = bytes.slices().collect();
    runtime.allocate_from_slices(&pieces)?.freeze().map_err(|failed| failed.source.into())
}
