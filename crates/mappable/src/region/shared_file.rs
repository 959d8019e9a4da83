//! Files beside the backing's own: those of others, and files in memory that have one region each, so that another process
//! may be given them.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::mappable::window;
use super::{Backing, FileId, FileRange, Source};
use crate::sys::{Access, File, Guard, Space};

/// Where a file is from that is lent, and goes back when its owner is done with it.
pub(crate) trait Keeper: Send + Sync {
    /// Hears that the owner of all of the file is done with it, or one who reads it.
    fn done(&self);

    /// Whether the owner may have the file for good.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    fn may_leave(&self) -> bool;

    /// Lets the owner have the file for good: whoever has lent it forgets it, and this hears no more. `false` if that can't be.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    fn leave(&self) -> bool;
}

/// A file that is shown, and is not the backing's own.
pub(crate) struct SharedFile {
    backing: Arc<Backing>,
    id: FileId,
    file: Arc<File>,
    /// What of it may be shown.
    range: FileRange,
    /// Where the host sees all of the range to read it, once it has looked. Pages that are gone read as zero.
    read: OnceLock<ReadWindow>,
    /// Where the last owner saw it, for the next.
    left: Mutex<Option<Space>>,
    /// Who has it when its owner is done. Without one, what an owner drops is freed.
    keeper: Option<Box<dyn Keeper>>,
    /// Whether the keeper has left it to its owner.
    is_left: AtomicBool,
    /// Of threads that ask the keeper to, one does.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    leaving: Mutex<()>,
    /// How many bytes the owner has dropped, where there is a keeper.
    dropped: AtomicU64,
    /// Whether a process that nothing more is heard of may read it. Then its bytes stay as they are for good.
    is_read_elsewhere: AtomicBool,
    /// Whether its size is sealed, once that was asked.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    keeps_size: OnceLock<bool>,
}

impl fmt::Debug for SharedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFile").field("id", &self.id).field("range", &self.range).finish_non_exhaustive()
    }
}

/// A private window, for reading.
struct ReadWindow {
    /// Goes before the addresses do, which may then be others'.
    _guard: Guard,
    space: Space,
}

impl SharedFile {
    /// Makes a file one that can be shown, for as long as this value lives.
    pub(crate) fn new(
        backing: &Arc<Backing>,
        file: File,
        range: FileRange,
        keeper: Option<Box<dyn Keeper>>,
    ) -> Arc<Self> {
        let (id, file) = backing.admit(file);
        Arc::new(Self {
            backing: Arc::clone(backing),
            id,
            file,
            range,
            read: OnceLock::new(),
            left: Mutex::new(None),
            keeper,
            is_left: AtomicBool::new(false),
            #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
            leaving: Mutex::new(()),
            dropped: AtomicU64::new(0),
            is_read_elsewhere: AtomicBool::new(false),
            #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
            keeps_size: OnceLock::new(),
        })
    }

    pub(crate) fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn range(&self) -> FileRange {
        self.range
    }

    /// Whether somebody else has it when its owner is done: it is lent, and not its owner's to pass on.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn is_lent(&self) -> bool {
        self.lender().is_some()
    }

    /// Where it goes when its owner is done with it, if that is not its owner's affair.
    fn lender(&self) -> Option<&dyn Keeper> {
        self.keeper.as_deref().filter(|_| !self.is_left.load(Ordering::Acquire))
    }

    /// Whether [`SharedFile::take_over`] makes it its owner's.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(super) fn is_own_or_may_be(&self) -> bool {
        self.lender().is_none_or(Keeper::may_leave)
    }

    /// Makes it its owner's for good. `false` if whoever has lent it wants it back.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn take_over(&self) -> bool {
        let _leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lender) = self.lender() else { return true };
        let is_left = lender.leave();
        self.is_left.store(is_left, Ordering::Release);
        is_left
    }

    /// Whether it is a file in memory that stays as long as it is. Others' files on a disk are not.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(super) fn keeps_size(&self) -> io::Result<bool> {
        if let Some(known) = self.keeps_size.get() {
            return Ok(*known);
        }
        let is_so = self.file.seals()?.is_some_and(|seals| seals.size);
        Ok(*self.keeps_size.get_or_init(|| is_so))
    }

    /// Notes that a process reads it of which nobody will say that it is done.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn note_read_elsewhere(&self) {
        self.is_read_elsewhere.store(true, Ordering::Release);
    }

    pub(super) fn is_read_elsewhere(&self) -> bool {
        self.is_read_elsewhere.load(Ordering::Acquire)
    }

    pub(super) fn source(&self) -> Source {
        Source { file: self.id, range: self.range }
    }

    /// Where the host reads it.
    pub(super) fn read_window(&self) -> io::Result<&Space> {
        if self.read.get().is_none() {
            let space = window(&self.backing, self.source(), Access::Read)?;
            let start = space.base().addr().get();
            self.read.get_or_init(|| ReadWindow { _guard: Guard::of_window(start..start + space.len()), space });
        }
        let read = self.read.get().ok_or_else(|| io::Error::other("bug: a window that was opened is gone"))?;
        Ok(&read.space)
    }

    /// Keeps an owner's window of all of it for the next.
    pub(super) fn leave(&self, window: Option<Space>) {
        if window.is_some() {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = window;
        }
    }

    /// The window that the last owner left.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(super) fn take_left(&self) -> Option<Space> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Hears that the owner of a part is done with it.
    pub(super) fn free(&self, part: FileRange) {
        let Some(lender) = self.lender() else {
            if self.is_read_elsewhere() {
                // The memory goes with the last descriptor and mapping.
                return;
            }
            // Views that are cached may show it for a while.
            if let Err(error) = self.file.punch(part.start(), part.len()) {
                tracing::warn!(%error, "the memory of a region was not given back yet");
            }
            return;
        };
        let dropped = self.dropped.fetch_add(part.len(), Ordering::AcqRel) + part.len();
        if dropped >= self.range.len() {
            self.dropped.store(0, Ordering::Release);
            lender.done();
        }
    }

    /// Hears that nobody reads it any more.
    pub(super) fn release(&self) {
        if let Some(lender) = self.lender() {
            lender.done();
        }
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        self.backing.dismiss(self.id);
    }
}
