//! One end of a connection: what it sends, and what it gives to its application of what it receives.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Settings;
use super::error::{ReceiveError, SendError, SendFailed};
use super::link::{HeldHere, Link, keeper};
use super::message::{Message, VERSION, Words, flag, kind};
use super::tables::{Away, Name, Tables, Theirs};
use crate::host::runtime::Runtime;
use crate::region::{Exported, Frozen, FrozenRegion, Mappable, SharedFile, import_frozen, import_region};
use crate::sys::{Arrived, Socket, Until};

/// What becomes of a region that the other end drops, or that it has when its process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Afterwards {
    /// It comes back: [`Received::Returned`]. Its bytes are whatever the other end, or what it was killed at, has left there. If the
    /// peer is not trusted, it comes back as it was sent, if that peer is gone before it has made its copy, and else not at all.
    /// A peer that is trusted and maps regions by copying has its copy, and gives the region back, as soon as it receives it.
    GiveBack,
    /// Its memory is freed.
    #[default]
    Free,
}

/// What a connection has brought.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// A region, which is this process's from here on.
    Region {
        /// The region.
        region: Mappable,
        /// What it was sent with.
        tag: u64,
    },
    /// A reference to frozen bytes, which may be those of a reference that this process has sent.
    Frozen {
        /// The reference.
        frozen: Frozen,
        /// What it was sent with.
        tag: u64,
    },
    /// A region that this process has sent, and that the other end is done with ([`Afterwards::GiveBack`]).
    Returned {
        /// The region.
        region: Mappable,
        /// What it was sent with.
        tag: u64,
    },
}

/// One end of a connection between two processes, over which regions and frozen bytes are handed over.
///
/// See [`ipc`](super).
pub struct Connection {
    link: Arc<Link>,
    runtime: Runtime,
    settings: Settings,
    tables: Mutex<Tables>,
    /// Is told when a thread has received something, if others wait for that.
    received: Condvar,
}

/// A region on its way out.
#[allow(clippy::large_enum_variant, reason = "lives for the time of a call")]
enum Parcel {
    /// Its file.
    Region { file: Arc<SharedFile>, len: u64 },
    /// A copy for the peer, and the region until that is sent; whether it may come back.
    Given { file: Arc<SharedFile>, region: Option<Mappable>, back: bool },
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to who listens at a path.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn connect(runtime: &Runtime, path: impl AsRef<Path>, settings: Settings) -> io::Result<Self> {
        Self::new(runtime, Socket::connect(path.as_ref())?, settings)
    }

    /// Two ends in one process, for tests, or for a process that is forked.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn pair(here: &Runtime, there: &Runtime, settings: Settings) -> io::Result<(Self, Self)> {
        let [one, other] = Socket::pair()?;
        Ok((Self::new(here, one, settings)?, Self::new(there, other, settings)?))
    }

    /// A connection over a socket that was made elsewhere: a Unix socket of the type `SOCK_SEQPACKET`, of which nobody else has a
    /// descriptor.
    ///
    /// # Errors
    ///
    /// The operating system's, and [`io::ErrorKind::InvalidInput`] for a descriptor of another kind.
    pub fn over(runtime: &Runtime, socket: OwnedFd, settings: Settings) -> io::Result<Self> {
        Self::new(runtime, Socket::of(socket)?, settings)
    }

    pub(super) fn new(runtime: &Runtime, socket: Socket, settings: Settings) -> io::Result<Self> {
        let flags = if settings.trust.is_peer { flag::TRUSTS } else { 0 };
        let hello = Message { kind: kind::HELLO, flags, block: VERSION, blocks: settings.blocks, ..Message::default() };
        match socket.send(bytemuck::bytes_of(&hello.words()), None) {
            // Whoever is gone already is found gone when something is sent or received.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
        let tables = Mutex::new(Tables::new(settings.blocks));
        Ok(Self { link: Link::new(socket)?, runtime: runtime.clone(), settings, tables, received: Condvar::new() })
    }

    /// Sends a region, with a number of the application's. It is the other end's from here on: it comes back when the other end
    /// sends it back, or by what is to happen `afterwards`. Waits while there is no room, until the other end receives.
    ///
    /// Where the peer is trusted, a region that is [exportable](Mappable::is_exportable) or was received over this connection is not
    /// copied. Any other is copied into a file of its own, which it has when it comes back; one that was received over another connection goes back there. Otherwise a copy is sent, of which the other end makes
    /// another, see [`Trust`](crate::Trust); so it comes back as it was, and only if the other end was gone before it had the copy.
    ///
    /// # Errors
    ///
    /// [`SendFailed`], which gives the region back.
    #[allow(clippy::result_large_err, reason = "the region comes back, without an allocation that could fail")]
    pub fn send(&self, region: Mappable, tag: u64, afterwards: Afterwards) -> Result<(), SendFailed> {
        self.send_region(region, tag, afterwards, true)
    }

    /// The same without waiting: [`SendError::Full`] if there is no room.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    #[allow(clippy::result_large_err, reason = "as above")]
    pub fn try_send(&self, region: Mappable, tag: u64, afterwards: Afterwards) -> Result<(), SendFailed> {
        self.send_region(region, tag, afterwards, false)
    }

    /// Sends a reference to frozen bytes, with a number of the application's. The bytes are kept until the other end is done with
    /// them. Waits while there is no room.
    ///
    /// Where the peer is trusted, bytes that have a file to themselves are not copied, unless they were received over another connection. Otherwise they are if they are not
    /// [sealed](Frozen::seal) yet, with each call.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn send_frozen(&self, frozen: &Frozen, tag: u64) -> Result<(), SendError> {
        self.send_reference(frozen, tag, true)
    }

    /// The same without waiting: [`SendError::Full`] if there is no room.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn try_send_frozen(&self, frozen: &Frozen, tag: u64) -> Result<(), SendError> {
        self.send_reference(frozen, tag, false)
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn receive(&self) -> Result<Received, ReceiveError> {
        loop {
            if let Some(received) = self.next(true, false)? {
                return Ok(received);
            }
        }
    }

    /// What has come already, or [`ReceiveError::Empty`].
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn try_receive(&self) -> Result<Received, ReceiveError> {
        loop {
            if let Some(received) = self.next(false, false)? {
                return Ok(received);
            }
        }
    }

    /// Waits no longer than that for what comes next.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn receive_within(&self, within: Duration) -> Result<Received, ReceiveError> {
        let end = Instant::now() + within;
        loop {
            match self.try_receive() {
                Err(ReceiveError::Empty) => {}
                received => return received,
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ReceiveError::Empty);
            }
            self.wait(left)?;
        }
    }

    /// Waits until the other end has nothing of this one any more: the last reference to frozen bytes that were sent can be thawed then.
    /// `false` if something else has come first, which [`Connection::receive`] gives.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]. If the other end is gone, it has nothing. If it was cut off, nobody knows what it has: [`ReceiveError::Closed`].
    pub fn settle(&self) -> Result<bool, ReceiveError> {
        loop {
            if !self.tables().waiting.is_empty() {
                return Ok(false);
            }
            if self.tables().is_cut_off {
                return Err(ReceiveError::Closed);
            }
            if self.away() == 0 {
                return Ok(true);
            }
            self.next(true, true)?;
        }
    }

    /// Waits until something may be there, or no longer than that.
    fn wait(&self, within: Duration) -> io::Result<()> {
        let tables = self.tables();
        if tables.is_receiving {
            self.wait_for_other(tables, within);
            return Ok(());
        }
        drop(tables);
        self.link.wait(Some(within))
    }

    /// How many regions and frozen bytes the other end has of this one.
    pub fn away(&self) -> usize {
        self.tables().away()
    }

    #[allow(clippy::result_large_err, reason = "as above")]
    fn send_region(&self, region: Mappable, tag: u64, afterwards: Afterwards, waits: bool) -> Result<(), SendFailed> {
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
                // What came by another connection goes back there, and so must not be the third process's.
                Ok((file, len)) if file.is_lent() && !self.is_theirs(&file) => {
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
        let message = Message { kind: kind::REGION, size: file.range().len(), len, tag, ..Message::default() };
        let away = || Away::Region { file: Arc::clone(file), len, tag, afterwards };
        let tables = &mut *self.open_tables()?;
        match tables.name(file.id()) {
            Some(Name::Theirs(block)) => {
                // Not held before the other end may have it, and send it again.
                let held = tables.theirs(block).map(|theirs| Arc::clone(&theirs.held));
                held.iter().for_each(|held| held.let_go());
                let sent = self.say(Message { block, flags: flag::RECEIVERS, ..message }, None);
                if sent.is_err() {
                    held.iter().for_each(|held| _ = held.take_region());
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

    fn send_reference(&self, frozen: &Frozen, tag: u64, waits: bool) -> Result<(), SendError> {
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
        self.say(Message { block, flags: flag::DESCRIPTOR, ..message }, Some(descriptor.as_fd()))?;
        // What is copied once is not known by its file afterwards.
        let known = (!matches!(away, Away::Given { .. })).then_some(file);
        tables.set_mine(block, known, away);
        Ok(block)
    }

    fn say(&self, message: Message, descriptor: Option<BorrowedFd<'_>>) -> Result<(), SendError> {
        self.link.flush();
        self.link.socket.send(bytemuck::bytes_of(&message.words()), descriptor).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SendError::Full,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => SendError::Closed,
            _ => SendError::Io(error),
        })
    }

    /// The next message, if it is one for the application. A thread that `keeps` it leaves it to be received. Messages count in the order in
    /// which they have come, so one thread receives at a time.
    fn next(&self, waits: bool, keeps: bool) -> Result<Option<Received>, ReceiveError> {
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
    fn wait_for_other(&self, mut tables: MutexGuard<'_, Tables>, within: Duration) {
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

    fn take(&self, message: Message, arrived: Arrived) -> Result<Option<Received>, ReceiveError> {
        let wrong = |what| Err(ReceiveError::Protocol(what));
        if arrived.len != size_of::<Words>() || arrived.is_too_much {
            return wrong("a message of another length, or with more than one descriptor");
        }
        if message.has(flag::DESCRIPTOR) != arrived.descriptor.is_some() {
            return wrong("a descriptor that was not announced, or the other way round");
        }
        if self.tables().was_greeted == (message.kind == kind::HELLO) {
            return wrong("no greeting, or a second one");
        }
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
            _ => wrong("a message of no known kind"),
        }
    }

    fn take_region(&self, message: Message, descriptor: Option<OwnedFd>) -> Result<Option<Received>, ReceiveError> {
        let Message { block, size, len, tag, .. } = message;
        let wrong = |what| Err(ReceiveError::Protocol(what));
        let received = |region| Ok(Some(Received::Region { region, tag }));
        if let Some(descriptor) = descriptor {
            if message.has(flag::RECEIVERS) || !self.tables().may_introduce(block) {
                return wrong("a new block in place of one that is held, or of this end's");
            }
            let exported = Exported::new(descriptor, 0, size, len);
            if !self.settings.trust.is_peer {
                let region =
                    import_region(self.runtime.backing(), exported, self.settings.trust, self.settings.max, None)?;
                // The copy is made: nothing of the peer's is held.
                self.link.done(block);
                return received(region);
            }
            let held = Arc::new(HeldHere::default());
            let keeper = keeper(&self.link, &held, block);
            held.take_region();
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
        if size != theirs.file.range().len() || len > size || !theirs.is_writable || !theirs.held.take_region() {
            return wrong("a region of another size, or one that is held");
        }
        received(Mappable::of_shared(Arc::clone(&theirs.file), len))
    }

    fn take_frozen(&self, message: Message, descriptor: Option<OwnedFd>) -> Result<Option<Received>, ReceiveError> {
        let Message { block, size, len, tag, .. } = message;
        let wrong = |what| Err(ReceiveError::Protocol(what));
        let received = |region| Ok(Some(Received::Frozen { frozen: Frozen::of(region)?, tag }));
        if let Some(descriptor) = descriptor {
            if message.has(flag::RECEIVERS) || !self.tables().may_introduce(block) {
                return wrong("a new block in place of one that is held, or of this end's");
            }
            let held = Arc::new(HeldHere::default());
            let keeper = keeper(&self.link, &held, block);
            held.take_frozen();
            let (trust, max) = (self.settings.trust, self.settings.max);
            let exported = Exported::new(descriptor, 0, size, len);
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

    /// The tables, to send by.
    fn open_tables(&self) -> Result<MutexGuard<'_, Tables>, SendError> {
        let tables = self.tables();
        if tables.is_over { Err(SendError::Closed) } else { Ok(tables) }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Connection {
    /// The socket, to wait for it together with others (`poll`): it is readable when [`Connection::try_receive`] may have something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.socket.as_fd()
    }
}

impl Drop for Connection {
    /// What is held that came by it stays whole, and goes back when it is dropped.
    fn drop(&mut self) {
        self.link.socket.shut();
        // What was not received goes back, or is freed, by the word of who sent it. Then comes the end, which is this one's.
        let mut words = Words::default();
        while let Ok(arrived) = self.link.socket.receive(bytemuck::bytes_of_mut(&mut words), false)
            && arrived.len > 0
            && self.take(Message::of(words), arrived).is_ok()
        {}
        self.tables().give_up();
    }
}
