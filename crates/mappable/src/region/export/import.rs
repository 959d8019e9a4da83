//! What is checked of memory that another process gives, and what becomes of it here.

use std::io;
use std::sync::Arc;

use super::{Exported, is_sealed};
use crate::region::shared_file::{Keeper, SharedFile};
use crate::region::{AllocateError, Backing, FileRange, FrozenRegion, GRANULE, Mappable, Trust};
use crate::sys::{File, Foreign};

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

/// A region that another process has given away. `keeper` hears when a region that was not copied is dropped.
pub(crate) fn import_region(
    backing: &Arc<Backing>,
    exported: Exported,
    trust: Trust,
    limit: u64,
    keeper: Option<Box<dyn Keeper>>,
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
    keeper: Option<Box<dyn Keeper>>,
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
