//! How a store's files are held.
//!
//! # Safety
//!
//! [`FilesCtx::shared`] passes on what [`FileBytes::shared`] asks of its caller, for the folders that a component may only read.
//! What is in folders that it may write to is not shared.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use mappable::{FileBytes, FileError, MappableView, Runtime};
use wasmtime_wasi::{FsPerms, WasiView};

/// How the files that a store's components map are held. Kept in the store's data and found through [`FilesView`].
///
/// | | bytes are | files that are taken |
/// | --- | --- | --- |
/// | [`FilesCtx::new`] | copied once for each request, into memory that nobody can write | all |
/// | [`sealed`](FilesCtx::sealed) | the file's own pages | those that nobody can change, says the operating system |
/// | [`shared`](FilesCtx::shared) | the file's own pages | all; those that a component may write to are copied |
///
/// Where regions are mapped by copying (`MappingMode::Copy`, other platforms), all three copy.
#[derive(Clone, Debug)]
pub struct FilesCtx {
    runtime: Runtime,
    holding: Holding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Snapshot,
    Sealed,
    Shared,
}

impl FilesCtx {
    /// For a store whose [`MappableCtx`](mappable::MappableCtx) is of that runtime. Files are copied, once for each request:
    /// [`FileBytes::snapshot`]. [The first example](crate) has all that a store needs.
    pub fn new(runtime: &Runtime) -> Self {
        Self { runtime: runtime.clone(), holding: Holding::Snapshot }
    }

    /// Takes files that nobody can change as they are, and no others: [`FileBytes::sealed`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let files = mappable_wasi::FilesCtx::new(&runtime).sealed();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sealed(self) -> Self {
        Self { holding: Holding::Sealed, ..self }
    }

    /// Takes files as they are: [`FileBytes::shared`]. Of files that a component could write to, by the permissions of the
    /// folder that they were opened in ([`FsPerms::ReadWrite`]), it gets a copy.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// // SAFETY: the folder that the store is given is on a disk that is mounted for reading alone.
    /// let files = unsafe { mappable_wasi::FilesCtx::new(&runtime).shared() };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Safety
    ///
    /// As long as components have them, nobody writes to the files of the folders that are given with
    /// [`FsPerms::ReadOnly`], or makes them shorter: no other process, and no component by another folder that has the same files
    /// with [`FsPerms::ReadWrite`], be it within the first, around it, or by a hard link.
    #[must_use]
    pub unsafe fn shared(self) -> Self {
        Self { holding: Holding::Shared, ..self }
    }

    /// Bytes of a file that was opened with these permissions.
    pub(crate) fn bytes(
        &self,
        file: &Arc<File>,
        permissions: FsPerms,
        range: Range<u64>,
        limit: u64,
    ) -> Result<FileBytes, FileError> {
        match self.holding {
            Holding::Sealed => FileBytes::sealed(&self.runtime, file, range, limit),
            Holding::Shared if permissions == FsPerms::ReadOnly => {
                // SAFETY: the word of who called `shared`, for just these files.
                unsafe { FileBytes::shared(&self.runtime, file, range, limit) }
            }
            _ => FileBytes::snapshot(&self.runtime, file, range, limit),
        }
    }
}

/// Gives the functions of `mappable:files` what a store has of files. Implemented by the store's data.
pub trait FilesView: MappableView + WasiView {
    /// How this store's files are held.
    fn files(&mut self) -> &mut FilesCtx;
}
