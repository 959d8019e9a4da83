//! What an end receives. Each message is checked against what this end knows: an end that lies is cut off.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Afterwards, Connection, Received};
use crate::host::ipc::error::ReceiveError;
use crate::host::ipc::held::{Block, HeldHere};
use crate::host::ipc::message::{Message, VERSION, Words, flag, kind};
use crate::host::ipc::tables::{Away, Tables, Theirs};
use crate::region::{Exported, Frozen, FrozenRegion, Mappable, import_frozen, import_region};
use crate::sys::{Arrived, File, Foreign};

impl Connection {
    /// The next message, if it is one for the application. A thread that `keeps` it leaves it to be received. Messages count in the order in
    /// which they have come, so one thread receives at a time.
    pub(super) fn next(&self, waits: bool, keeps: bool) -> Result<Option<Received>, ReceiveError> {
        self.link.flush();
        {
            let mut tables = self.tables();
            if !keeps && let Some(received) = tables.waiting.pop_front() {
                return Ok(Some(received));
            }
            if tables.is_over {
                return Err(ReceiveError::Closed);
            }
            if tables.is_receiving {
                if !waits {
                    return Err(ReceiveError::Empty);
                }
                self.wait_for_other(tables, Duration::MAX);
                return Ok(None);
            }
            tables.is_receiving = true;
        }
        let mut words = Words::default();
        let arrived = self.link.receive(bytemuck::bytes_of_mut(&mut words), waits);
        let mut taken = self.take_arrived(words, arrived, waits);
        let mut tables = self.tables();
        tables.is_receiving = false;
        if keeps && let Ok(received) = &mut taken {
            tables.waiting.extend(received.take());
        }
        if tables.others > 0 {
            self.received.notify_all();
        }
        taken
    }

    /// Waits until the thread that receives has received something, or no longer than that.
    pub(super) fn wait_for_other(&self, mut tables: MutexGuard<'_, Tables>, within: Duration) {
        tables.others += 1;
        let waited = self.received.wait_timeout(tables, within);
        let (mut tables, _) = waited.unwrap_or_else(PoisonError::into_inner);
        tables.others -= 1;
    }

    fn take_arrived(
        &self,
        words: Words,
        arrived: io::Result<Arrived>,
        waits: bool,
    ) -> Result<Option<Received>, ReceiveError> {
        let arrived = match arrived {
            Ok(arrived) => arrived,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return if waits { Ok(None) } else { Err(ReceiveError::Empty) };
            }
            // The other end was gone before it had read all. What it has sent before is there nevertheless.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // A peer that lives can send a message of no bytes, too.
        if arrived.len == 0 && arrived.descriptor.is_none() && self.link.socket.is_hung_up()? {
            self.take_back();
            return Ok(None);
        }
        let taken = self.take(Message::of(words), arrived);
        // A peer that lies may have kept what it was sent.
        taken.inspect_err(|_| self.break_off())
    }

    /// Gives up what nobody will receive. Its bytes are neither mapped nor copied.
    pub(super) fn decline(&self, message: Message, mut arrived: Arrived) -> Result<(), ReceiveError> {
        let is_offered = matches!(message.kind, kind::REGION | kind::FROZEN) && !message.has(flag::RECEIVERS);
        if !is_offered {
            return self.take(message, arrived).map(drop);
        }
        self.check(message, &arrived)?;
        let is_peer = self.settings.trust.is_peer;
        // A trusted peer's files in memory are closed at once, by this thread. Any other peer may have them take long.
        if let Some(descriptor) = arrived.descriptor.take_if(|_| is_peer)
            && File::seals_of(&descriptor)?.is_some()
        {
            drop(descriptor.into_known());
        }
        // Any other peer takes "done" with a region for "copied". Without it, it has the region back at the end of the socket.
        if is_peer || message.kind == kind::FROZEN {
            self.link.done(message.block);
        }
        Ok(())
    }

    /// Whether a message has what each has, and comes when it may.
    fn check(&self, message: Message, arrived: &Arrived) -> Result<(), ReceiveError> {
        let wrong = |what| Err(ReceiveError::Protocol(what));
        if arrived.len != size_of::<Words>() || arrived.is_too_much {
            return wrong("a message of another length, or with more than one descriptor");
        }
        if arrived.is_short_of_descriptors {
            return Err(ReceiveError::Descriptors);
        }
        if message.has(flag::DESCRIPTOR) != arrived.descriptor.is_some() {
            return wrong("a descriptor that was not announced, or the other way round");
        }
        if self.tables().was_greeted == (message.kind == kind::HELLO) {
            return wrong("no greeting, or a second one");
        }
        Ok(())
    }

    fn take(&self, message: Message, arrived: Arrived) -> Result<Option<Received>, ReceiveError> {
        let wrong = |what| Err(ReceiveError::Protocol(what));
        self.check(message, &arrived)?;
        match message.kind {
            kind::HELLO => {
                if message.block != VERSION || message.has(flag::TRUSTS) != self.settings.trust.is_peer {
                    return wrong("another version, or another trust: both ends take the same ipc::Settings::trust");
                }
                if message.blocks != self.settings.blocks {
                    return wrong("another number of blocks: both ends take the same ipc::Settings::blocks");
                }
                self.tables().was_greeted = true;
                Ok(None)
            }
            kind::REGION => self.take_region(message, arrived.descriptor),
            kind::FROZEN => self.take_frozen(message, arrived.descriptor),
            kind::DONE if arrived.descriptor.is_none() => self.take_done(message),
            kind::KEPT if arrived.descriptor.is_none() => self.take_kept(message),
            _ => wrong("a message of no known kind"),
        }
    }

    /// What is held of a block that is new here, and who hears of that.
    fn holding(&self, number: u32) -> (Arc<HeldHere>, Box<Block>) {
        let held = Arc::new(HeldHere::default());
        let (link, tables) = (Arc::clone(&self.link), Arc::downgrade(&self.tables));
        (Arc::clone(&held), Box::new(Block { link, held, number, tables }))
    }

    fn take_region(&self, message: Message, descriptor: Option<Foreign>) -> Result<Option<Received>, ReceiveError> {
        let Message { block, size, len, tag, .. } = message;
        let wrong = |what| Err(ReceiveError::Protocol(what));
        let received = |region| Ok(Some(Received::Region { region, tag }));
        if let Some(descriptor) = descriptor {
            if message.has(flag::RECEIVERS) || !self.tables().may_introduce(block) {
                return wrong("a new block in place of one that is held, or of this end's");
            }
            let exported = Exported::new(descriptor.into_known(), 0, size, len);
            if !self.settings.trust.is_peer {
                let region =
                    import_region(self.runtime.backing(), exported, self.settings.trust, self.settings.max, None)?;
                // The copy is made: nothing of the peer's is held.
                self.link.done(block);
                return received(region);
            }
            let (held, keeper) = self.holding(block);
            held.take_region(message.has(flag::MAY_KEEP));
            let region =
                import_region(self.runtime.backing(), exported, self.settings.trust, self.settings.max, Some(keeper))?;
            if let Some(file) = region.extent().whole_file() {
                self.tables().set_theirs(block, Theirs { file: Arc::clone(file), held, is_writable: true });
            } else {
                // Copied, where nothing can be mapped.
                self.link.done(block);
            }
            return received(region);
        }
        if !self.settings.trust.is_peer {
            return wrong("a region without its bytes");
        }
        let tables = &mut *self.tables();
        if message.has(flag::RECEIVERS) {
            let Some(mine) = tables.mine(block) else { return wrong("a block that this end does not have") };
            return match std::mem::replace(&mut mine.away, Away::Nothing) {
                Away::Region { file, .. } if size == file.range().len() && len <= size => {
                    received(Mappable::of_shared(file, len))
                }
                _ => wrong("a region that the other end did not have"),
            };
        }
        let Some(theirs) = tables.theirs(block) else { return wrong("a block that was not introduced") };
        let is_right = size == theirs.file.range().len() && len <= size && theirs.is_writable;
        if !is_right || !theirs.held.take_region(message.has(flag::MAY_KEEP)) {
            return wrong("a region of another size, or one that is held");
        }
        received(Mappable::of_shared(Arc::clone(&theirs.file), len))
    }

    fn take_frozen(&self, message: Message, descriptor: Option<Foreign>) -> Result<Option<Received>, ReceiveError> {
        let Message { block, size, len, tag, .. } = message;
        let wrong = |what| Err(ReceiveError::Protocol(what));
        let received = |region| Ok(Some(Received::Frozen { frozen: Frozen::of(region)?, tag }));
        if let Some(descriptor) = descriptor {
            if message.has(flag::RECEIVERS) || !self.tables().may_introduce(block) {
                return wrong("a new block in place of one that is held, or of this end's");
            }
            let (held, keeper) = self.holding(block);
            held.take_frozen();
            let (trust, max) = (self.settings.trust, self.settings.max);
            let exported = Exported::new(descriptor.into_known(), 0, size, len);
            let region = import_frozen(self.runtime.backing(), exported, trust, max, Some(keeper))?;
            if let Some(file) = region.whole_file() {
                let is_writable = trust.is_peer && file.file().is_writable()?;
                self.tables().set_theirs(block, Theirs { file: Arc::clone(file), held, is_writable });
            }
            return received(region);
        }
        let tables = &mut *self.tables();
        if message.has(flag::RECEIVERS) {
            return match tables.mine(block).map(|mine| &mine.away) {
                Some(Away::Frozen { bytes, .. }) if size == bytes.size() && len <= size => received(bytes.of_len(len)),
                _ => wrong("a reference to bytes that the other end did not have"),
            };
        }
        let Some(theirs) = tables.theirs(block) else { return wrong("a block that was not introduced") };
        if size != theirs.file.range().len() || len > size || !theirs.held.take_frozen() {
            return wrong("frozen bytes of another size, or of a region that is held");
        }
        received(FrozenRegion::of_shared(Arc::clone(&theirs.file), len))
    }

    fn take_done(&self, message: Message) -> Result<Option<Received>, ReceiveError> {
        let wrong = || Err(ReceiveError::Protocol("done with what the other end did not have"));
        let tables = &mut *self.tables();
        let Message { block, len: count, .. } = message;
        let Some(mine) = tables.mine(block) else { return wrong() };
        match std::mem::replace(&mut mine.away, Away::Nothing) {
            Away::Frozen { bytes, references } if count > 0 && count <= u64::from(references) => {
                if count < u64::from(references) {
                    mine.away = Away::Frozen { bytes, references: references - count as u32 };
                }
                Ok(None)
            }
            Away::Nothing | Away::Frozen { .. } => wrong(),
            _ if count != 1 => wrong(),
            // The other end has its copy.
            Away::Given { .. } => {
                tables.forget(block);
                Ok(None)
            }
            Away::Region { file, len, tag, afterwards } => {
                let region = Mappable::of_shared(file, len);
                Ok((afterwards == Afterwards::GiveBack).then_some(Received::Returned { region, tag }))
            }
        }
    }

    /// The other end has a region for good that was not to come back.
    fn take_kept(&self, message: Message) -> Result<Option<Received>, ReceiveError> {
        let tables = &mut *self.tables();
        match tables.mine(message.block).map(|mine| &mine.away) {
            // Its memory is the other end's, so it is not freed here.
            Some(Away::Region { afterwards: Afterwards::Free, .. }) => tables.forget(message.block),
            _ => return Err(ReceiveError::Protocol("a region that was kept, and was not to be")),
        }
        Ok(None)
    }

    /// Deals with what the other end had, whose process is gone, or has dropped all that it had.
    fn take_back(&self) {
        let tables = &mut *self.tables();
        for away in tables.end() {
            match away {
                Away::Region { file, len, tag, afterwards } => {
                    let region = Mappable::of_shared(file, len);
                    if afterwards == Afterwards::GiveBack {
                        tables.waiting.push_back(Received::Returned { region, tag });
                    }
                }
                Away::Given { back } => {
                    tables.waiting.extend(back.map(|(region, tag)| Received::Returned { region, tag }));
                }
                Away::Nothing | Away::Frozen { .. } => {}
            }
        }
    }

    /// Ends the connection: the peer is not to be believed, or something that it sent was not to be had. It may have what it was sent for as long as it
    /// lives. It finds out when it sends; that nothing of its is held here any more it hears as always, by the end of the socket.
    fn break_off(&self) {
        self.link.socket.shut();
        let mut tables = self.tables();
        tables.give_up();
        tables.is_cut_off = true;
    }
}
