//! What an end sends: regions and references, each with the descriptor of its block where the other end does not know that yet.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::{Afterwards, Connection};
use crate::host::ipc::error::{SendError, SendFailed};
use crate::host::ipc::link::is_gone;
use crate::host::ipc::message::{Message, flag, kind};
use crate::host::ipc::tables::{Away, Name, Tables};
use crate::region::{Frozen, FrozenRegion, Mappable, SharedFile};
use crate::sys::Until;

/// A region on its way out.
enum Parcel {
    /// Its file.
    Region { file: Arc<SharedFile>, len: u64 },
    /// A copy for the peer, and the region until that is sent; whether it may come back.
    Given { file: Arc<SharedFile>, region: Option<Mappable>, back: bool },
}

impl Connection {
    #[allow(clippy::result_large_err, reason = "as above")]
    pub(super) fn send_region(
        &self,
        region: Mappable,
        tag: u64,
        afterwards: Afterwards,
        waits: bool,
    ) -> Result<(), SendFailed> {
        let mut parcel = match self.pack(region, afterwards) {
            Ok(parcel) => parcel,
            Err((region, error)) => return Err(SendFailed { region, reason: error.into() }),
        };
        loop {
            let sent = match &mut parcel {
                Parcel::Region { file, len } => self.hand_over(file, *len, tag, afterwards),
                Parcel::Given { file, region, back } => self.give(file, region, *back, tag),
            };
            let reason = match sent {
                Ok(()) => return Ok(()),
                Err(SendError::Full) if waits => match self.link.socket.wait(Until::Room, None) {
                    Ok(_) => continue,
                    Err(error) => error.into(),
                },
                Err(reason) => reason,
            };
            return match parcel {
                Parcel::Region { file, len } => Err(SendFailed { region: Mappable::of_shared(file, len), reason }),
                Parcel::Given { region: Some(region), .. } => Err(SendFailed { region, reason }),
                // Sent after all.
                Parcel::Given { region: None, .. } => Ok(()),
            };
        }
    }

    /// Makes a region ready for a peer of this kind.
    #[allow(clippy::result_large_err, reason = "as above")]
    fn pack(&self, region: Mappable, afterwards: Afterwards) -> Result<Parcel, (Mappable, io::Error)> {
        let len = region.len();
        if self.settings.trust.is_peer {
            let file = match region.into_shared() {
                // What came by another connection, and is wanted back there, must not be the third process's.
                Ok((file, len)) if !self.is_theirs(&file) && !file.take_over() => {
                    let region = Mappable::of_shared(file, len);
                    region.copied_alone().map_err(|error| (region, error))?
                }
                Ok((file, _)) => file,
                Err(region) => region.copied_alone().map_err(|error| (region, error))?,
            };
            return Ok(Parcel::Region { file, len });
        }
        // Whoever gets the file of a region may write to it for ever. So it is not the one that may come back.
        match region.copied_alone() {
            Ok(file) => Ok(Parcel::Given { file, region: Some(region), back: afterwards == Afterwards::GiveBack }),
            Err(error) => Err((region, error)),
        }
    }

    /// Whether a file came by this connection.
    fn is_theirs(&self, file: &SharedFile) -> bool {
        matches!(self.tables().name(file.id()), Some(Name::Theirs(_)))
    }

    /// Sends a region of which the peer gets the file.
    fn hand_over(&self, file: &Arc<SharedFile>, len: u64, tag: u64, afterwards: Afterwards) -> Result<(), SendError> {
        let flags = if afterwards == Afterwards::Free { flag::MAY_KEEP } else { 0 };
        let message = Message { kind: kind::REGION, flags, size: file.range().len(), len, tag, ..Message::default() };
        let away = || Away::Region { file: Arc::clone(file), len, tag, afterwards };
        let tables = &mut *self.open_tables()?;
        match tables.name(file.id()) {
            Some(Name::Theirs(block)) => {
                // Not held before the other end may have it, and send it again.
                let held = tables.theirs(block).map(|theirs| Arc::clone(&theirs.held));
                let may_keep = held.as_ref().is_some_and(|held| held.may_keep());
                held.iter().for_each(|held| held.let_go());
                let sent = self.say(Message { block, flags: flag::RECEIVERS, ..message }, None);
                if sent.is_err() {
                    held.iter().for_each(|held| _ = held.take_region(may_keep));
                }
                sent
            }
            Some(Name::Mine(block)) => {
                self.say(Message { block, ..message }, None)?;
                if let Some(mine) = tables.mine(block) {
                    mine.away = away();
                }
                Ok(())
            }
            None => self.introduce(tables, message, file, away()).map(drop),
        }
    }

    /// Sends a file of which the peer makes a copy. The region is kept until it has, or dropped.
    fn give(
        &self,
        file: &Arc<SharedFile>,
        region: &mut Option<Mappable>,
        back: bool,
        tag: u64,
    ) -> Result<(), SendError> {
        let len = region.as_ref().map_or(0, Mappable::len);
        let message = Message { kind: kind::REGION, size: file.range().len(), len, tag, ..Message::default() };
        let tables = &mut *self.open_tables()?;
        let block = self.introduce(tables, message, file, Away::Given { back: None })?;
        let kept = region.take().filter(|_| back);
        if let Some(mine) = tables.mine(block) {
            mine.away = Away::Given { back: kept.map(|region| (region, tag)) };
        }
        Ok(())
    }

    pub(super) fn send_reference(&self, frozen: &Frozen, tag: u64, waits: bool) -> Result<(), SendError> {
        let region = frozen.region();
        // The other end knows its own bytes. Those of a region that is held here are no reference of its.
        let is_back = region.whole_file().is_some_and(|file| self.is_lent_frozen(file));
        let bytes = if is_back { region.clone() } else { region.alone(self.settings.trust)? };
        loop {
            match self.lend(&bytes, tag) {
                Err(SendError::Full) if waits => drop(self.link.socket.wait(Until::Room, None)?),
                sent => return sent,
            }
        }
    }

    /// Whether a file came by this connection, and what is held of it is references.
    fn is_lent_frozen(&self, file: &SharedFile) -> bool {
        let tables = self.tables();
        let Some(Name::Theirs(block)) = tables.name(file.id()) else { return false };
        tables.theirs(block).is_some_and(|theirs| theirs.held.is_frozen())
    }

    /// Sends a reference to bytes that are alone in their file.
    fn lend(&self, bytes: &FrozenRegion, tag: u64) -> Result<(), SendError> {
        let Some(file) = bytes.whole_file().map(Arc::clone) else {
            return Err(io::Error::other("bug: bytes that are alone in a file are in none").into());
        };
        let message = Message { kind: kind::FROZEN, size: bytes.size(), len: bytes.len(), tag, ..Message::default() };
        let tables = &mut *self.open_tables()?;
        match tables.name(file.id()) {
            // The other end knows its own bytes.
            Some(Name::Theirs(block)) => self.say(Message { block, flags: flag::RECEIVERS, ..message }, None),
            Some(Name::Mine(block)) => {
                self.say(Message { block, ..message }, None)?;
                if let Some(mine) = tables.mine(block) {
                    match &mut mine.away {
                        Away::Frozen { references, .. } => *references += 1,
                        away => *away = Away::Frozen { bytes: bytes.clone(), references: 1 },
                    }
                }
                Ok(())
            }
            None => {
                let away = Away::Frozen { bytes: bytes.clone(), references: 1 };
                self.introduce(tables, message, &file, away).map(drop)
            }
        }
    }

    /// Sends a message with the descriptor of a block that the other end does not know.
    fn introduce(
        &self,
        tables: &mut Tables,
        message: Message,
        file: &Arc<SharedFile>,
        away: Away,
    ) -> Result<u32, SendError> {
        let block = tables.number().ok_or(SendError::Blocks(self.settings.blocks))?;
        let descriptor = file.file().descriptor()?;
        let flags = message.flags | flag::DESCRIPTOR;
        self.say(Message { block, flags, ..message }, Some(descriptor.as_fd()))?;
        // What is copied once is not known by its file afterwards.
        let known = (!matches!(away, Away::Given { .. })).then_some(file);
        tables.set_mine(block, known, away);
        Ok(block)
    }

    fn say(&self, message: Message, descriptor: Option<BorrowedFd<'_>>) -> Result<(), SendError> {
        self.link.flush();
        self.link.socket.send(bytemuck::bytes_of(&message.words()), descriptor).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SendError::Full,
            _ if is_gone(&error) => SendError::Closed,
            _ => SendError::Io(error),
        })
    }
}
