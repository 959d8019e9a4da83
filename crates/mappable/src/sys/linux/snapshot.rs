//! What snapshots of files of others are made with: clones that share a file's blocks, and a way to ask for its holes.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ioctl_ficlone, open};

use super::file::{BTRFS, XFS, file_system};
use crate::sys::{Call, enter};

/// The same file by a descriptor with a position of its own.
pub(crate) fn reopened(file: &fs::File) -> io::Result<fs::File> {
    enter(Call::Open)?;
    fs::File::open(of_process(file))
}

/// A file of the same bytes that shares its blocks with this one, until somebody writes to this one.
///
/// Nobody can ever write to the clone: it has no name and can't get one (`O_TMPFILE` with `O_EXCL`), nobody may open it by
/// `/proc` (its mode is 0; who may override that may write to the host's memory), and its only descriptor is ours.
pub(crate) fn unnamed_clone(file: &fs::File) -> io::Result<fs::File> {
    // Others refuse, which takes longer to find out.
    if !matches!(file_system(file)?, XFS | BTRFS) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // Where it is does not matter, but it must be in the same file system: if somebody moves folders meanwhile, it can't be cloned.
    let path = fs::read_link(of_process(file))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    enter(Call::Open)?;
    let clone = open(folder, OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    enter(Call::Clone)?;
    ioctl_ficlone(&clone, file)?;
    Ok(clone.into())
}

fn of_process(file: &fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
