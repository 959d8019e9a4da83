//! `--map-files`: how files are held that an application maps.
//!
//! # Safety
//!
//! [`MapFiles::Shared`] is the word of who runs the command that nobody writes to those files: its help says so.

#![allow(unsafe_code)]

use clap::ValueEnum;
use mappable::Runtime;
use mappable_wasi::FilesCtx;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapFiles {
    /// Copied when they are mapped; whatever becomes of a file makes no difference
    #[default]
    Snapshot,
    /// As they are, read when touched and shared with other processes. You say that nobody writes to the files of --dir-ro, not by a hard link or another mount either; those of --dir are copied, since the application could write to them
    Shared,
    /// As they are, of files that nobody can change: immutable (chattr +i on ext4) or under fs-verity. Others are refused
    Sealed,
}

impl MapFiles {
    /// What a store has of it.
    pub(crate) fn of(self, runtime: &Runtime) -> FilesCtx {
        let files = FilesCtx::new(runtime);
        match self {
            Self::Snapshot => files,
            Self::Sealed => files.sealed(),
            // SAFETY: the word of who gave the option.
            Self::Shared => unsafe { files.shared() },
        }
    }
}
