//! What is said over a connection.

/// Of this protocol.
pub(super) const VERSION: u32 = 2;

/// A message. All numbers are the sender's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// One of [`kind`].
    pub(super) kind: u32,
    /// Any of [`flag`].
    pub(super) flags: u32,
    /// The number of a block, as the end counts that sent its descriptor. A hello has the version here.
    pub(super) block: u32,
    /// How many blocks the sender of a hello keeps.
    pub(super) blocks: u32,
    /// The bytes that the block has.
    pub(super) size: u64,
    /// How many of the bytes count. A message that says "done" has the number of references here.
    pub(super) len: u64,
    /// The application's.
    pub(super) tag: u64,
}

impl Message {
    /// The message as it goes over the socket. Both processes are on one machine, so the byte order is the same.
    pub(super) fn words(&self) -> Words {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [pair(self.kind, self.flags), pair(self.block, self.blocks), self.size, self.len, self.tag]
    }

    pub(super) fn of(words: Words) -> Self {
        let [what, which, size, len, tag] = words;
        let (low, high) = (|word: u64| word as u32, |word: u64| (word >> 32) as u32);
        Self { kind: low(what), flags: high(what), block: low(which), blocks: high(which), size, len, tag }
    }

    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// A message on its way.
pub(super) type Words = [u64; 5];

pub(super) mod kind {
    /// The first message of each end.
    pub(in super::super) const HELLO: u32 = 0x6d61_7001;
    /// A region, from here on the receiver's.
    pub(in super::super) const REGION: u32 = 2;
    /// A reference to frozen bytes.
    pub(in super::super) const FROZEN: u32 = 3;
    /// The receiver of a region or a reference is done with it.
    pub(in super::super) const DONE: u32 = 4;
    /// The receiver of a region that it may keep has it for good: its sender forgets the block.
    pub(in super::super) const KEPT: u32 = 5;
}

pub(super) mod flag {
    /// The block is one that the receiver of the message has sent a descriptor of, not the sender.
    pub(in super::super) const RECEIVERS: u32 = 1;
    /// A descriptor comes with the message.
    pub(in super::super) const DESCRIPTOR: u32 = 2;
    /// A hello has this flag if its sender trusts the peer.
    pub(in super::super) const TRUSTS: u32 = 4;
    /// The receiver of a region may keep it: its sender does not want it back.
    pub(in super::super) const MAY_KEEP: u32 = 8;
}
