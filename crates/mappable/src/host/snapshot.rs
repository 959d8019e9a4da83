//! Copies of parts of files: by sharing the file's blocks where its file system can do that, byte for byte elsewhere.

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::file_bytes::{At, FileError, of_pages};
use super::files::read_until_full;
use super::{FileBytes, Runtime};
use crate::region::{FrozenRegion, GRANULE, Mappable};
use crate::sys::{self, File};
use crate::tuning::{COPIED_AT_ONCE, SMALLEST_CLONE};

/// The bytes of a clone of the file. `None` if it is better copied, or can't be cloned.
pub(super) fn cloned(runtime: &Runtime, file: &fs::File, range: &Range<u64>, limit: u64) -> Option<FileBytes> {
    if !runtime.backing().is_in_file() {
        return None;
    }
    let clone = || -> Result<FileBytes, FileError> {
        let clone = Arc::new(sys::unnamed_clone(file)?);
        let bytes = range.start..range.end.min(clone.metadata()?.len());
        of_pages(runtime, &clone, bytes, limit)
    };
    clone().inspect_err(|error| tracing::debug!(%error, "a file is copied, since it can't be cloned")).ok()
}

/// Whether so many bytes are better cloned, where they can be.
pub(super) fn is_cloned(bytes: u64) -> bool {
    bytes >= SMALLEST_CLONE
}

/// A region with the `len` bytes from `start` of a file that says that it has them. What is a hole there, or all zero, takes no
/// memory. `None` if the file has become shorter.
pub(super) fn copied(runtime: &Runtime, file: &fs::File, start: u64, len: u64) -> io::Result<Option<Mappable>> {
    let out_of_memory = |error| io::Error::new(io::ErrorKind::OutOfMemory, error);
    let mut region = runtime.allocate(len.max(1)).map_err(out_of_memory)?;
    let holes = holes_of(file);
    let mut buffer = vec![0; COPIED_AT_ONCE.min(len.next_multiple_of(GRANULE) as usize)];
    let mut at = 0;
    while at < len {
        let end = match data_in(holes.as_ref(), start + at..start + len)? {
            Some(data) => {
                at = data.start - start;
                data.end - start
            }
            None => break,
        };
        while at < end {
            let wanted = (buffer.len() as u64).min(end - at) as usize;
            let piece = &mut buffer[..wanted];
            if read_until_full(&mut At { file, offset: start + at }, piece)? < wanted {
                return Ok(None);
            }
            if piece.iter().any(|&byte| byte != 0) {
                region.extent_mut().write(at, piece)?;
            }
            at += wanted as u64;
        }
    }
    // All that is left is a hole, if the file still is so long.
    if at < len && file.metadata()?.len() < start + len {
        return Ok(None);
    }
    region.set_len(len)?;
    Ok(Some(region))
}

/// The file, for being asked for its holes. `None` if it has none, or can't be asked.
fn holes_of(file: &fs::File) -> Option<File> {
    let metadata = file.metadata().ok()?;
    // To ask moves the position of a descriptor, which may be somebody's.
    if takes_all(&metadata) { None } else { File::of(Arc::new(sys::reopened(file).ok()?)).ok() }
}

/// Whether a file takes as much of its disk as it is long.
#[cfg(unix)]
fn takes_all(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks().saturating_mul(512) >= metadata.len()
}

#[cfg(not(unix))]
fn takes_all(_: &fs::Metadata) -> bool {
    true
}

/// The first bytes in a range, which is not empty, that are in no hole; all of it where that is not known.
fn data_in(holes: Option<&File>, within: Range<u64>) -> io::Result<Option<Range<u64>>> {
    let Some(file) = holes else { return Ok(Some(within)) };
    let Some(start) = file.data(within.clone())? else { return Ok(None) };
    Ok(Some(start..file.hole(start..within.end)?))
}

impl FileBytes {
    /// What was copied, which begins with the range.
    pub(super) fn of_copy(region: Mappable) -> Self {
        Self { region: FrozenRegion::new(region), start: 0 }
    }
}
