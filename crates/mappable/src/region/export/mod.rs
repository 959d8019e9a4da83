//! Memory for another process. What is checked of what another gives is in `import`, frozen bytes are in `frozen`.
//!
//! A region of a runtime lies in one file with all the others, of which a descriptor would show all. So what is exported is
//! alone in a file of its own: from the beginning ([`Runtime::allocate_exportable`](crate::Runtime::allocate_exportable)), or by
//! one copy.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::extent::copy_granules;
use super::shared_file::SharedFile;
use super::{AllocateError, Backing, FileRange, Mappable, Trust};
use crate::sys::File;

mod frozen;
mod import;

pub use frozen::SealFailed;
pub use import::ImportError;
pub(crate) use import::{import_frozen, import_region};

/// What another process needs to have bytes of this one: a descriptor, and which bytes of it.
///
/// The descriptor goes by a Unix socket (`SCM_RIGHTS`, as `mappable::ipc` sends it) or to a child process. Nobody has to
/// believe what the numbers say: they are checked where they are used. [`Mappable::export`] has an example.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exported {
    /// A descriptor of a file in memory, which has these bytes and no others.
    pub descriptor: OwnedFd,
    /// Where in the file the bytes begin: a multiple of [`GRANULE`](crate::GRANULE).
    pub offset: u64,
    /// The size in bytes, a positive multiple of [`GRANULE`](crate::GRANULE).
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

/// A new file of `size` bytes, which `read` copies.
fn copied(size: u64, read: impl Fn(u64, &mut [u8]) -> io::Result<()>) -> io::Result<File> {
    let file = File::create_sealable(size)?;
    copy_granules(size, read, |offset, chunk| file.write(offset, chunk))?;
    Ok(file)
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

    /// Whether the region is alone in a file that this process may pass on, so that [`Mappable::export`] for a trusted peer costs no copy. Those of
    /// [`Runtime::allocate_exportable`](crate::Runtime::allocate_exportable) are. One that came over a connection is if
    /// its sender doesn't want it back (`Afterwards::Free`). Any other goes back over that connection without a copy, and elsewhere as a copy.
    pub fn is_exportable(&self) -> bool {
        self.extent().whole_file().is_some_and(|file| file.is_own_or_may_be())
    }

    /// Gives the region away, for another process.
    ///
    /// A trusted peer gets the region's own bytes. It gets a copy if the region is not
    /// [exportable](Mappable::is_exportable): one that came over a connection goes back there then. Any other peer gets sealed
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
            Ok((file, len)) if !file.take_over() => Self::of_shared(file, len),
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

fn is_sealed(file: &File) -> io::Result<bool> {
    Ok(file.seals()?.is_some_and(|seals| seals.writes && seals.size))
}
