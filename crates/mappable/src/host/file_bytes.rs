//! Parts of files, for components that ask for them: any offset, any length.
//!
//! # Safety
//!
//! [`FileBytes::shared`] shows pages that others could change; that they don't is its caller's word.

#![allow(unsafe_code)]

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use wasmtime::component::Resource;

use super::context::MappableCtx;
use super::handle::HandleError;
use super::runtime::Runtime;
use super::snapshot;
use crate::region::{FileRange, Frozen, FrozenRegion, GRANULE};
use crate::sys::File;

/// Why no bytes of a file were frozen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is a directory.
    #[error("a directory has no bytes")]
    Directory,
    /// It is a pipe, a socket or a device; or a file whose bytes are made up as they are read (`/proc`), of which there are no
    /// pages to map.
    #[error("there are no pages of the file to map: {0}")]
    NoPages(String),
    /// They would take more than the limit.
    #[error("{size} bytes of a file are over the limit of {limit}")]
    OverLimit {
        /// What they would take, in bytes. For a file that does not say its length, what was read of it.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file can be changed.
    #[error(
        "the file can be changed: it is not sealed (F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW), immutable on ext4, or under fs-verity"
    )]
    NotSealed,
    /// The operating system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Bytes of a file, frozen: what a component is given that maps a part of a file.
///
/// A range of a file may begin and end anywhere. The frozen bytes may begin before it, since pages are shown whole:
/// [`FileBytes::start`] says where in them the range begins. They end with it. A range that goes past the file's end has the bytes
/// that are there, which may be none.
///
/// There are three ways to have them:
///
/// | | bytes | who may write to the file meanwhile |
/// | --- | --- | --- |
/// | [`snapshot`](FileBytes::snapshot) | are copied once | anybody: it makes no difference |
/// | [`sealed`](FileBytes::sealed) | are the file's own pages | nobody can, says the operating system; any other file is refused |
/// | [`shared`](FileBytes::shared) | are the file's own pages | nobody will, says the caller |
///
/// ```
/// use mappable::{FileBytes, Runtime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("mappable-doc-bytes-{}", std::process::id()));
/// # std::fs::write(&path, b"model weights")?;
/// let runtime = Runtime::new()?;
/// let file = std::sync::Arc::new(std::fs::File::open(&path)?);
/// let bytes = FileBytes::snapshot(&runtime, &file, 6..100, u64::MAX)?;
/// assert_eq!((bytes.len(), bytes.is_empty()), (7, false));
///
/// // To the host:
/// let (start, frozen) = (bytes.start(), bytes.show()?);
/// assert_eq!(frozen[start as usize..], *b"weights");
///
/// // To a component, as `frozen`:
/// let mut context = runtime.context();
/// let handle = context.try_insert_file_bytes(bytes)?;
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileBytes {
    pub(super) region: FrozenRegion,
    /// Its length, or less.
    pub(super) start: u64,
}

impl FileBytes {
    /// A copy of the bytes in `range`. What becomes of the file later is of no consequence. Holes of the file, and what is all zero,
    /// take no memory.
    ///
    /// From 16 MiB on, where the file system is XFS or Btrfs and its folder can be written to, the copy is a file without a name that
    /// shares the blocks (`FICLONE`), and is mapped. It takes no memory then but the system's cache, and its pages are read from the
    /// disk when they are touched. Such bytes can't be thawed, only copied. Elsewhere the bytes are copied into memory.
    ///
    /// Reads until the range or the file ends, whatever the file's length is said to be (`/proc`). If somebody
    /// writes to the file meanwhile, the copy may have some bytes from before and some from after. Takes at most `limit` bytes, in whole granules.
    ///
    /// # Errors
    ///
    /// [`FileError`]. No memory is an [`io::ErrorKind::OutOfMemory`].
    pub fn snapshot(runtime: &Runtime, file: &Arc<fs::File>, range: Range<u64>, limit: u64) -> Result<Self, FileError> {
        let said = said_len(file)?;
        let asked = range.end.saturating_sub(range.start);
        let expected = asked.min(said.saturating_sub(range.start));
        check_limit(expected, limit)?;
        if snapshot::is_cloned(expected)
            && let Some(cloned) = snapshot::cloned(runtime, file, &range, limit)
        {
            return Ok(cloned);
        }
        if let Some(region) = snapshot::copied(runtime, file, range.start, expected)?
            && (expected == asked || !has_bytes(file, range.start.saturating_add(expected))?)
        {
            return Ok(Self::of_copy(region));
        }
        // It is as long as it turns out to be.
        let reader = At { file, offset: range.start }.take(asked.min(limit.saturating_add(1)));
        let region = runtime.allocate_from_reader(reader, expected)?;
        check_limit(region.len(), limit)?;
        Ok(Self::of_copy(region))
    }

    /// The bytes in `range` without a copy, of a file that nobody can change: a memory file with the seals `F_SEAL_WRITE`,
    /// `F_SEAL_SHRINK` and `F_SEAL_GROW`, an immutable file of ext4, or one verified by its file system (fs-verity of ext4, f2fs and
    /// btrfs). The operating system is asked; an administrator can make an immutable file an ordinary one, and is trusted not to
    /// while it is shown. Takes at most `limit` bytes, in whole granules.
    ///
    /// Where regions are mapped by copying, the same as [`FileBytes::snapshot`], of any file.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    /// use std::sync::Arc;
    ///
    /// use mappable::{FileBytes, FileError, Runtime};
    /// use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    ///
    /// let mut file = std::fs::File::from(memfd_create("index", MemfdFlags::ALLOW_SEALING)?);
    /// file.write_all(b"an index")?;
    /// let file = Arc::new(file);
    /// let runtime = Runtime::new()?;
    /// let sealed = || FileBytes::sealed(&runtime, &file, 0..8, u64::MAX);
    /// # if runtime.frozen_stores_trap() {
    /// assert!(matches!(sealed(), Err(FileError::NotSealed)));
    /// # }
    /// fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW)?;
    /// assert_eq!(sealed()?.show()?[..], *b"an index");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub fn sealed(runtime: &Runtime, file: &Arc<fs::File>, range: Range<u64>, limit: u64) -> Result<Self, FileError> {
        said_len(file)?;
        if runtime.backing().is_in_file() && !pages_of(file)?.is_constant()? {
            return Err(FileError::NotSealed);
        }
        Self::mapped(runtime, file, range, limit)
    }

    /// The bytes in `range` without a copy: the file's own pages are shown, which all processes share, and are read from
    /// the file when they are first touched. Takes at most `limit` bytes, in whole granules.
    ///
    /// Where regions are mapped by copying, the same as [`FileBytes::snapshot`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::{FileBytes, Runtime};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("index");
    /// # std::fs::write(&path, [7; 200_000])?;
    /// let runtime = Runtime::new()?;
    /// let file = std::sync::Arc::new(std::fs::File::open(&path)?);
    /// // SAFETY: nobody changes the file: it is this program's own.
    /// let bytes = unsafe { FileBytes::shared(&runtime, &file, 100_000..150_000, 1 << 20)? };
    /// assert!(!bytes.is_empty());
    /// let range = bytes.start() as usize..;
    /// assert_eq!(bytes.show()?[range], [7; 50_000]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Safety
    ///
    /// Until the last reference is gone, and the stores that mapped one, nobody writes to the file or makes it shorter, in this
    /// process or another: that would change bytes that are taken for constant, by Rust code and by components.
    ///
    /// If it is made shorter all the same, or its disk can't be read, the damage is bounded: a component that accesses a page
    /// which is gone traps, or reads zeroes in its place where stores into frozen bytes don't trap
    /// ([`Runtime::frozen_stores_trap`]); the host reads zeroes there, from the first such page on.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub unsafe fn shared(
        runtime: &Runtime,
        file: &Arc<fs::File>,
        range: Range<u64>,
        limit: u64,
    ) -> Result<Self, FileError> {
        Self::mapped(runtime, file, range, limit)
    }

    fn mapped(runtime: &Runtime, file: &Arc<fs::File>, range: Range<u64>, limit: u64) -> Result<Self, FileError> {
        let said = said_len(file)?;
        let bytes = range.start..range.end.min(said);
        if bytes.is_empty() {
            check_made_up(file, said)?;
        }
        if bytes.is_empty() || !runtime.backing().is_in_file() {
            return Self::snapshot(runtime, file, bytes, limit);
        }
        of_pages(runtime, file, bytes, limit)
    }

    /// Where in the frozen bytes the range begins: less than a granule.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes of the range there are.
    pub fn len(&self) -> u64 {
        self.region.len() - self.start
    }

    /// Whether there are none: the range was empty, or the file ends before it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reference to the frozen bytes, shown to the host. What is before [`FileBytes::start`] is there, too.
    ///
    /// # Errors
    ///
    /// The operating system's, when there is no address space or mapping left.
    pub fn show(&self) -> io::Result<Frozen> {
        Frozen::of(self.region.clone())
    }
}

impl MappableCtx {
    /// Gives bytes of a file to this store if its limits have room for them, as [`MappableCtx::try_insert_frozen`] does a
    /// reference. The host's address space is not used for them.
    ///
    /// ```
    /// use mappable::{FileBytes, HandleError, Limits, Runtime};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("mappable-doc-insert-{}", std::process::id()));
    /// # std::fs::write(&path, [7; 100_000])?;
    /// let runtime = Runtime::new()?;
    /// let file = std::sync::Arc::new(std::fs::File::open(&path)?);
    /// let mut context = runtime.context();
    /// context.set_limits(Limits::default().region_bytes(3 * mappable::GRANULE));
    /// let bytes = FileBytes::snapshot(&runtime, &file, 0..u64::MAX, u64::MAX)?;
    ///
    /// // 100,000 bytes are two granules: the store has room for them, and not for others besides.
    /// let handle = context.try_insert_file_bytes(bytes)?;
    /// let more = FileBytes::snapshot(&runtime, &file, 0..u64::MAX, u64::MAX)?;
    /// assert!(matches!(context.try_insert_file_bytes(more), Err(HandleError::OverQuota)));
    /// # std::fs::remove_file(path)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`MappableCtx::try_insert`].
    pub fn try_insert_file_bytes(&mut self, bytes: FileBytes) -> Result<Resource<Frozen>, HandleError> {
        self.try_insert_frozen_region(bytes.region)
    }
}

/// Some bytes of a file, which there are, by its own pages.
pub(super) fn of_pages(
    runtime: &Runtime,
    file: &Arc<fs::File>,
    bytes: Range<u64>,
    limit: u64,
) -> Result<FileBytes, FileError> {
    let needed = FileRange::around(bytes.clone()).map_or(u64::MAX, FileRange::len);
    check_limit(needed, limit)?;
    let file = pages_of(file)?;
    file.check_pages().map_err(|error| match error.kind() {
        io::ErrorKind::OutOfMemory | io::ErrorKind::PermissionDenied => FileError::Io(error),
        _ => FileError::NoPages(error.to_string()),
    })?;
    let start = bytes.start % GRANULE;
    Ok(FileBytes { region: FrozenRegion::of_file(runtime.backing(), file, bytes)?, start })
}

fn pages_of(file: &Arc<fs::File>) -> Result<File, FileError> {
    File::of(Arc::clone(file)).map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => FileError::NoPages(error.to_string()),
        _ => FileError::Io(error),
    })
}

/// The length that a regular file says it has.
fn said_len(file: &fs::File) -> Result<u64, FileError> {
    let metadata = file.metadata()?;
    match metadata.file_type() {
        kind if kind.is_file() => Ok(metadata.len()),
        kind if kind.is_dir() => Err(FileError::Directory),
        kind => Err(FileError::NoPages(format!("{kind:?}"))),
    }
}

/// An error for a file that says it is empty and has bytes.
fn check_made_up(file: &fs::File, said: u64) -> Result<(), FileError> {
    if said == 0 && has_bytes(file, 0)? {
        Err(FileError::NoPages("a file of length 0 that has bytes".to_owned()))
    } else {
        Ok(())
    }
}

/// Whether there is a byte from this one on.
fn has_bytes(file: &fs::File, offset: u64) -> io::Result<bool> {
    Ok(At { file, offset }.read(&mut [0])? > 0)
}

fn check_limit(bytes: u64, limit: u64) -> Result<(), FileError> {
    let size = bytes.max(1).checked_next_multiple_of(GRANULE).unwrap_or(u64::MAX);
    if size > limit { Err(FileError::OverLimit { size, limit }) } else { Ok(()) }
}

/// Reads a file from an offset on, and leaves its position alone, which others may use.
pub(super) struct At<'a> {
    pub(super) file: &'a fs::File,
    pub(super) offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Past the largest offset there is nothing.
        if i64::try_from(self.offset).is_err() {
            return Ok(0);
        }
        let count = read_at(self.file, into, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
fn read_at(file: &fs::File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(windows)]
fn read_at(file: &fs::File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset)
}
