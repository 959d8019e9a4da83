//! Memory for another process: what it is given, and what is checked of what another gives.
//!
//! A region of a runtime lies in one file with all the others, of which a descriptor would show all. So what is exported is
//! alone in a file of its own: from the beginning ([`Runtime::allocate_exportable`](crate::Runtime::allocate_exportable)), or by
//! one copy.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::extent::copy_granules;
use super::shared_file::{Keeper, SharedFile};
use super::{AllocateError, Backing, FileRange, Frozen, FrozenRegion, GRANULE, Mappable, Trust};
use crate::sys::{File, Foreign};

/// What another process needs to have bytes of this one: a descriptor, and which bytes of it.
///
/// The descriptor goes by a Unix socket (`SCM_RIGHTS`, as `mappable::ipc` sends it) or to a child process. Nobody has to
/// believe what the numbers say: they are checked where they are used. [`Mappable::export`] has an example.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exported {
    /// A descriptor of a file in memory, which has these bytes and no others.
    pub descriptor: OwnedFd,
    /// Where in the file the bytes begin: a multiple of [`GRANULE`].
    pub offset: u64,
    /// The size in bytes, a positive multiple of [`GRANULE`].
    pub size: u64,
    /// How many of the bytes count.
    pub len: u64,
    /// Whether this has cost a copy of the bytes.
    pub was_copied: bool,
}

impl Exported {
    /// What was received from another process: [`Mappable::export`] has an example.
    pub fn new(descriptor: OwnedFd, offset: u64, size: u64, len: u64) -> Self {
        Self { descriptor, offset, size, len, was_copied: false }
    }
}

/// A region was not exported.
#[derive(Debug, thiserror::Error)]
#[error("a region of {} bytes was not exported", region.size())]
#[non_exhaustive]
pub struct ExportFailed {
    /// The region, as it was.
    pub region: Mappable,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

/// Frozen bytes were not sealed.
#[derive(Debug, thiserror::Error)]
#[error("{} frozen bytes were not sealed", frozen.size())]
#[non_exhaustive]
pub struct SealFailed {
    /// The reference, as it was.
    pub frozen: Frozen,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

/// Why what another process has exported was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is a pipe, a device, a directory, a file on a disk or a mere path.
    #[error("the descriptor is not that of a file in memory (memfd_create), which has seals")]
    NoMemoryFile,
    /// The kernel maps whole huge pages of it, over what is beside them.
    #[error("the descriptor is that of a file of huge pages")]
    HugePages,
    /// It can be made shorter while it is mapped.
    #[error("the file can be made shorter: it has no seals F_SEAL_SHRINK and F_SEAL_GROW")]
    SizeNotSealed,
    /// Others can write to it.
    #[error("the file can be written to: it has no seal F_SEAL_WRITE, and the peer is not trusted")]
    NotSealed,
    /// A region would have to be written to.
    #[error("the file can't be written to: the descriptor is for reading, or there is a seal F_SEAL_WRITE")]
    NotWritable,
    /// The bytes are not whole granules.
    #[error("{size} bytes at {offset} are not whole granules of {GRANULE}, one at the least")]
    Misaligned {
        /// Where they would begin.
        offset: u64,
        /// How many they would be.
        size: u64,
    },
    /// More bytes count than there are.
    #[error("of {size} bytes {len} can't count")]
    Length {
        /// How many would count.
        len: u64,
        /// How many there would be.
        size: u64,
    },
    /// The bytes are not all in the file.
    #[error("{size} bytes at {offset} are not all in a file of {file_len} bytes")]
    OutsideFile {
        /// Where they would begin.
        offset: u64,
        /// How many they would be.
        size: u64,
        /// How many the file has.
        file_len: u64,
    },
    /// They are more than the limit.
    #[error("{size} bytes of another process are over the limit of {limit}")]
    OverLimit {
        /// How many they would be.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// There is no room for a copy.
    #[error(transparent)]
    Allocate(#[from] AllocateError),
    /// The operating system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A new file of `size` bytes, which `read` copies.
fn copied(size: u64, read: impl Fn(u64, &mut [u8]) -> io::Result<()>) -> io::Result<File> {
    let file = File::create_sealable(size)?;
    copy_granules(size, read, |offset, chunk| file.write(offset, chunk))?;
    Ok(file)
}

/// Copies what of a file's range is no hole to where all reads as zero.
fn copy_data(file: &File, range: FileRange, mut write: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut granule = vec![0; GRANULE as usize];
    let (mut at, end) = (range.start(), range.end());
    while at < end
        && let Some(data) = file.data(at..end)?
    {
        // Goes on by a granule at the least, whoever punches holes meanwhile.
        let hole = file.hole(data..end)?.max((data / GRANULE + 1) * GRANULE).min(end);
        for from in (data..hole).step_by(granule.len()) {
            let part = &mut granule[..GRANULE.min(hole - from) as usize];
            file.read(from, part)?;
            if part.iter().any(|&byte| byte != 0) {
                write(from - range.start(), part)?;
            }
        }
        at = hole;
    }
    Ok(())
}

/// An error for a file that could not be sealed though nobody else has it.
fn in_use() -> io::Error {
    io::Error::other("bug: a file that nobody has mapped can't be sealed")
}

impl Mappable {
    /// A region that is alone in its file, all of which reads as zero.
    pub(crate) fn allocate_exportable(backing: &Arc<Backing>, len: u64) -> Result<Self, AllocateError> {
        if !backing.is_in_file() {
            return Self::allocate(backing, len);
        }
        let exhausted = |error| {
            tracing::debug!(%error, "no file for a region");
            AllocateError::RegionsExhausted(len)
        };
        let size = Self::size_for(len)?;
        let range = FileRange::around(0..size).ok_or(AllocateError::RegionsExhausted(len))?;
        let file = File::create_sealable(size).map_err(exhausted)?;
        Ok(Self::of_shared(SharedFile::new(backing, file, range, None), len))
    }

    /// A copy that is alone in a file.
    #[cfg(feature = "ipc")]
    pub(crate) fn copied_alone(&self) -> io::Result<Arc<SharedFile>> {
        let file = copied(self.size(), |offset, into| self.extent().read(offset, into))?;
        Ok(whole(self.extent().backing(), file))
    }

    /// Whether the region is alone in a file of this process's, so that [`Mappable::export`] for a trusted peer costs no copy. Those of
    /// [`Runtime::allocate_exportable`](crate::Runtime::allocate_exportable) are. One that came over a connection is not: it
    /// goes back over that without a copy, and elsewhere as a copy.
    pub fn is_exportable(&self) -> bool {
        self.extent().whole_file().is_some_and(|file| !file.is_lent())
    }

    /// Gives the region away, for another process.
    ///
    /// A trusted peer gets the region's own bytes. It gets a copy if the region is not
    /// [exportable](Mappable::is_exportable), or came over a connection, where it then goes back. Any other peer gets sealed
    /// bytes: the region's own if it is exportable and no component has mapped it yet, and a copy if not.
    ///
    /// ```
    /// use mappable::{Exported, Mappable, Runtime, Trust};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // In one process:
    /// let here = Runtime::new()?;
    /// let mut region = here.allocate_exportable(100_000)?;
    /// region.bytes_mut()?[..5].copy_from_slice(b"hello");
    /// let Exported { descriptor, offset, size, len, .. } = region.export(Trust::SEALS)?;
    ///
    /// // In another, which has got the descriptor and the numbers, and takes 1 MiB at the most:
    /// let there = Runtime::new()?;
    /// let exported = Exported::new(descriptor, offset, size, len);
    /// let region = Mappable::import(&there, exported, Trust::SEALS, 1 << 20)?;
    /// assert_eq!((&region.bytes()?[..5], region.len()), (&b"hello"[..], 100_000));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ExportFailed`], which gives the region back.
    #[allow(clippy::result_large_err, reason = "the region comes back, without an allocation that could fail")]
    pub fn export(self, trust: Trust) -> Result<Exported, ExportFailed> {
        let (size, len) = (self.size(), self.len());
        let done = |descriptor, was_copied| Exported { descriptor, offset: 0, size, len, was_copied };
        let region = match self.into_shared() {
            // It goes back to the process that it is from, which would have it while the other has it too.
            Ok((file, len)) if file.is_lent() => Self::of_shared(file, len),
            Ok((file, len)) => match export_file(&file, trust) {
                Ok(Some(descriptor)) => return Ok(done(descriptor, false)),
                Ok(None) => Self::of_shared(file, len),
                Err(source) => return Err(ExportFailed { region: Self::of_shared(file, len), source }),
            },
            Err(region) => region,
        };
        let copy = copied(size, |offset, into| region.extent().read(offset, into)).and_then(|file| {
            let is_done = trust.is_peer || file.seal()?;
            if is_done { file.descriptor() } else { Err(in_use()) }
        });
        match copy {
            Ok(descriptor) => Ok(done(descriptor, true)),
            Err(source) => Err(ExportFailed { region, source }),
        }
    }
}

/// Seals a file that its only owner gives up. `false` if it is mapped for writing.
fn seal(file: &SharedFile) -> io::Result<bool> {
    // The last owner's window is one for writing.
    drop(file.take_left());
    file.file().seal()
}

/// All of a new file.
fn whole(backing: &Arc<Backing>, file: File) -> Arc<SharedFile> {
    let range = FileRange::around(0..file.len()).unwrap_or_default();
    SharedFile::new(backing, file, range, None)
}

/// A descriptor of a file that is given away. `None` if it would have to be sealed, and is mapped for writing.
fn export_file(file: &SharedFile, trust: Trust) -> io::Result<Option<OwnedFd>> {
    if !trust.is_peer && !seal(file)? {
        return Ok(None);
    }
    file.file().descriptor().map(Some)
}

/// A region that another process has given away. `keeper` hears when a region that was not copied is dropped.
pub(crate) fn import_region(
    backing: &Arc<Backing>,
    exported: Exported,
    trust: Trust,
    limit: u64,
    keeper: Option<Keeper>,
) -> Result<Mappable, ImportError> {
    let checked = Checked::new(exported, limit)?;
    if trust.is_peer && backing.is_in_file() {
        checked.is_writable()?;
        let Checked { file, range, len } = checked;
        return Ok(Mappable::of_shared(SharedFile::new(backing, file, range, keeper), len));
    }
    let mut region = Mappable::allocate(backing, checked.range.len())?;
    copy_data(&checked.file, checked.range, |offset, part| region.extent_mut().write(offset, part))?;
    region.set_len(checked.len).map_err(io::Error::from)?;
    Ok(region)
}

/// Bytes that another process has frozen. `keeper` hears when the last reference to what was not copied is dropped.
pub(crate) fn import_frozen(
    backing: &Arc<Backing>,
    exported: Exported,
    trust: Trust,
    limit: u64,
    keeper: Option<Keeper>,
) -> Result<FrozenRegion, ImportError> {
    let checked = Checked::new(exported, limit)?;
    if !trust.is_peer && !checked.is_sealed()? {
        return Err(ImportError::NotSealed);
    }
    let Checked { file, range, len } = checked;
    let frozen = FrozenRegion::of_shared(SharedFile::new(backing, file, range, keeper), len);
    if backing.is_in_file() {
        return Ok(frozen);
    }
    Ok(FrozenRegion::new(frozen.copy()?))
}

impl FrozenRegion {
    /// Whether the bytes are all of a file of this process's, and as they should be for a peer of that kind.
    fn is_alone(&self, trust: Trust) -> io::Result<bool> {
        let Some(file) = self.whole_file() else { return Ok(false) };
        let is_whole = file.range().start() == 0 && file.file().len() == file.range().len();
        Ok(is_whole && !file.is_lent() && file.keeps_size()? && (trust.is_peer || is_sealed(file.file())?))
    }

    /// The same bytes, as they should be for a peer of that kind: copied if they have to be.
    #[cfg(feature = "ipc")]
    pub(crate) fn alone(&self, trust: Trust) -> io::Result<Self> {
        if self.is_alone(trust)? {
            return Ok(self.clone());
        }
        let file = copied(self.size(), |offset, into| self.read(offset, into))?;
        if !trust.is_peer && !file.seal()? {
            return Err(in_use());
        }
        Ok(Self::of_shared(whole(self.backing(), file), self.len()))
    }
}

impl Frozen {
    /// The bytes for another process. The reference stays: frozen bytes are read by any number of processes.
    ///
    /// A trusted peer gets the bytes themselves, or a copy if they are not alone in a file. Any other peer gets sealed bytes:
    /// if [`Frozen::seal`] was called before, that costs no copy, and otherwise each call copies them. Nobody says when that
    /// process is done with them, so bytes that were not copied can't be thawed any more, only copied. [`Trust`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn export(&self, trust: Trust) -> io::Result<Exported> {
        let region = self.region();
        let done = |descriptor, was_copied| Exported {
            descriptor,
            offset: 0,
            size: region.size(),
            len: region.len(),
            was_copied,
        };
        if let Some(file) = region.whole_file()
            && region.is_alone(trust)?
        {
            let descriptor = file.file().descriptor()?;
            region.note_read_elsewhere();
            return Ok(done(descriptor, false));
        }
        let file = copied(region.size(), |offset, into| region.read(offset, into))?;
        if !trust.is_peer && !file.seal()? {
            return Err(in_use());
        }
        Ok(done(file.descriptor()?, true))
    }

    /// The same bytes in a file that the kernel lets nobody change any more (`F_SEAL_WRITE`), not even this process. Sealed
    /// bytes can't be thawed, only copied.
    ///
    /// Copies the bytes once, unless they are in such a file already, or the file can be sealed where it is. It can be if they
    /// are alone in a file of this process's ([`Runtime::allocate_exportable`](crate::Runtime::allocate_exportable)), this is
    /// the only reference to them, and no component has mapped them for writing.
    ///
    /// ```
    /// use mappable::{Runtime, Trust};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::new()?;
    /// let mut region = runtime.allocate_exportable(100_000)?;
    /// region.bytes_mut()?.fill(7);
    /// let sealed = region.freeze()?.seal()?;
    /// // For any number of processes, none of them trusted, and without a copy.
    /// let exported = sealed.export(Trust::SEALS)?;
    /// # if runtime.frozen_stores_trap() {
    /// assert!(!exported.was_copied);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SealFailed`], which gives the reference back.
    pub fn seal(self) -> Result<Self, SealFailed> {
        let is_done = !self.region().backing().is_in_file()
            || match self.region().whole_file().map(|file| is_sealed(file.file())) {
                Some(Err(source)) => return Err(SealFailed { frozen: self, source }),
                Some(Ok(is_sealed)) => is_sealed,
                None => false,
            };
        if is_done {
            return Ok(self);
        }
        let frozen = match self.seal_in_place()? {
            Ok(sealed) => return Ok(sealed),
            Err(frozen) => frozen,
        };
        let region = frozen.region();
        let copy = copied(region.size(), |offset, into| region.read(offset, into)).and_then(|file| {
            if file.seal()? {
                Self::of(FrozenRegion::of_shared(whole(region.backing(), file), region.len()))
            } else {
                Err(in_use())
            }
        });
        copy.map_err(|source| SealFailed { frozen, source })
    }

    /// Seals the file of the bytes, if they are all of one that is this process's, and this is the only reference. Else, or if a component has mapped
    /// it for writing, the reference comes back.
    fn seal_in_place(self) -> Result<Result<Self, Self>, SealFailed> {
        // A file that is lent is to be written to again by the process that it is from.
        if self.region().whole_file().is_none_or(|file| file.is_lent()) {
            return Ok(Err(self));
        }
        match self.into_region().thaw().map(Mappable::into_shared) {
            Ok(Ok((file, len))) => match seal_own(&file) {
                Ok(true) => Ok(Ok(Self::of_shown(FrozenRegion::of_shared(file, len)))),
                Ok(false) => Ok(Err(shown_again(file, len))),
                Err(source) => Err(SealFailed { frozen: shown_again(file, len), source }),
            },
            // It was all of the file, so its window has not gone.
            Ok(Err(region)) => Ok(Err(Self::of_shown(FrozenRegion::new(region)))),
            Err(region) => Ok(Err(Self::of_shown(region))),
        }
    }
}

/// Seals the file of frozen bytes to which there is no other reference. `false` if a component has mapped it for writing.
fn seal_own(file: &SharedFile) -> io::Result<bool> {
    // The host goes on by this window, so it is there before the other one goes.
    file.read_window()?;
    seal(file)
}

/// Frozen bytes alone in a file, from which their owner's window may have been taken.
fn shown_again(file: Arc<SharedFile>, len: u64) -> Frozen {
    let region = Mappable::of_shared(file, len);
    if region.all_bytes().is_ok() {
        return Frozen::of_shown(FrozenRegion::new(region));
    }
    // No room for another window for writing: the one for reading is left, and the bytes can only be copied.
    match region.into_shared() {
        Ok((file, len)) => Frozen::of_shown(FrozenRegion::of_shared(file, len)),
        Err(region) => Frozen::of_shown(FrozenRegion::new(region)),
    }
}

fn is_sealed(file: &File) -> io::Result<bool> {
    Ok(file.seals()?.is_some_and(|seals| seals.writes && seals.size))
}

/// What was exported, once its numbers are known to be right and its file one that stays as long as it is.
struct Checked {
    file: File,
    range: FileRange,
    len: u64,
}

impl Checked {
    fn new(exported: Exported, limit: u64) -> Result<Self, ImportError> {
        let Exported { descriptor, offset, size, len, .. } = exported;
        let descriptor = Foreign::new(descriptor);
        if size > limit {
            return Err(ImportError::OverLimit { size, limit });
        }
        if size == 0 || !size.is_multiple_of(GRANULE) || !offset.is_multiple_of(GRANULE) {
            return Err(ImportError::Misaligned { offset, size });
        }
        if len > size {
            return Err(ImportError::Length { len, size });
        }
        // Before the length, which stays from then on; and before all that a file's server could answer late.
        let seals = File::seals_of(&descriptor)?.ok_or(ImportError::NoMemoryFile)?;
        // A file in memory is closed at once.
        let file = File::of(Arc::new(descriptor.into_known().into())).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => ImportError::HugePages,
            _ => ImportError::Io(error),
        })?;
        if !seals.size {
            return Err(ImportError::SizeNotSealed);
        }
        let outside = ImportError::OutsideFile { offset, size, file_len: file.len() };
        let Some(end) = offset.checked_add(size).filter(|end| *end <= file.len()) else { return Err(outside) };
        let range = FileRange::around(offset..end).ok_or(outside)?;
        Ok(Self { file, range, len })
    }

    fn is_sealed(&self) -> io::Result<bool> {
        is_sealed(&self.file)
    }

    /// An error if regions can't be made of it.
    fn is_writable(&self) -> Result<(), ImportError> {
        let is_writable = self.file.is_writable()? && !self.is_sealed()?;
        if is_writable { Ok(()) } else { Err(ImportError::NotWritable) }
    }
}
