//! Files in memory that another process may be given, and what the seals of one from another process say.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fcntl_getfl, ftruncate, memfd_create,
};
use rustix::io::Errno;

use super::file::{File, check_file_size};
use crate::sys::{Call, count, enter};

/// What the seals of a file in memory rule out for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seals {
    /// That it gets shorter or longer.
    pub(crate) size: bool,
    /// That anybody writes to it, in whatever way.
    pub(crate) writes: bool,
}

impl File {
    /// A file of `len` bytes, all holes, which stays so long whoever gets it.
    pub(crate) fn create_sealable(len: u64) -> io::Result<Self> {
        check_file_size(len)?;
        enter(Call::Create)?;
        let file = memfd_create("mappable-region", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        enter(Call::Truncate)?;
        ftruncate(&file, len)?;
        enter(Call::Seal)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(Self { file: Arc::new(file.into()), len })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The seals. `None` if it is no file in memory: no other has them.
    pub(crate) fn seals(&self) -> io::Result<Option<Seals>> {
        Self::seals_of(&*self.file)
    }

    /// The seals of any file.
    pub(crate) fn seals_of(file: impl AsFd) -> io::Result<Option<Seals>> {
        count();
        match fcntl_get_seals(file) {
            Ok(seals) => Ok(Some(Seals {
                size: seals.contains(SealFlags::SHRINK | SealFlags::GROW),
                writes: seals.contains(SealFlags::WRITE),
            })),
            // A descriptor that is only a path (`O_PATH`) can be asked nothing.
            Err(Errno::INVAL | Errno::BADF) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Seals the file against all changes. `false` if it is mapped for writing somewhere, so that it can't be.
    pub(crate) fn seal(&self) -> io::Result<bool> {
        enter(Call::Seal)?;
        let all = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        match fcntl_add_seals(&self.file, all) {
            Ok(()) => Ok(true),
            Err(Errno::BUSY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the descriptor is one for writing.
    pub(crate) fn is_writable(&self) -> io::Result<bool> {
        count();
        Ok(fcntl_getfl(&self.file)?.contains(OFlags::RDWR))
    }

    /// Another descriptor of the file.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        count();
        Ok(self.file.try_clone()?.into())
    }
}
