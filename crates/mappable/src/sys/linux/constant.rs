//! Files that nobody can change: sealed ones in memory, immutable ones, and those that their file system verifies (fs-verity).

use std::io;

use rustix::fs::{IFlags, SealFlags, fcntl_get_seals, ioctl_getflags};
use rustix::io::Errno;

use super::file::{BTRFS, File, file_system};
use crate::sys::count;

/// The flag of a file that is under fs-verity.
const VERITY: IFlags = IFlags::from_bits_retain(0x0010_0000);

/// File systems that have it, besides Btrfs.
const EXT4: i64 = 0xef53;
const F2FS: i64 = 0xf2f5_2010;

/// Whether nobody can change a file that has these flags in this file system.
///
/// A flag is believed of file systems that are known to keep to it. What a FUSE server says is its own affair, and on tmpfs and XFS
/// who opened a file before it became immutable goes on writing.
fn keeps(file_system: i64, flags: IFlags) -> bool {
    match file_system {
        EXT4 => flags.intersects(IFlags::IMMUTABLE | VERITY),
        F2FS | BTRFS => flags.intersects(VERITY),
        _ => false,
    }
}

impl File {
    /// Whether the system says that nobody can change the bytes. A seal and verification stay; an administrator can make an
    /// immutable file an ordinary one.
    pub(crate) fn is_constant(&self) -> io::Result<bool> {
        count();
        match fcntl_get_seals(&self.file) {
            Ok(seals) if seals.contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW) => return Ok(true),
            // Not a file that has seals.
            Ok(_) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
        let file_system = file_system(&self.file)?;
        // No flag would do.
        if !keeps(file_system, IFlags::IMMUTABLE | VERITY) {
            return Ok(false);
        }
        count();
        match ioctl_getflags(&self.file) {
            Ok(flags) => Ok(keeps(file_system, flags)),
            // Not a file system that has flags.
            Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::linux::file::XFS;

    const TMPFS: i64 = 0x0102_1994;
    const FUSE: i64 = 0x6573_5546;

    #[test]
    fn a_flag_is_believed_of_file_systems_that_keep_to_it() {
        // As `FS_IOC_GETFLAGS` answers on ext4, with what an ordinary file has besides.
        let ordinary = IFlags::from_bits_retain(0x0008_0000);
        for (file_system, immutable, verity) in [
            (EXT4, true, true),
            (F2FS, false, true),
            (BTRFS, false, true),
            (XFS, false, false),
            (TMPFS, false, false),
            (FUSE, false, false),
        ] {
            assert!(!keeps(file_system, ordinary), "{file_system:x}");
            assert_eq!(keeps(file_system, ordinary | IFlags::IMMUTABLE), immutable, "{file_system:x}");
            assert_eq!(keeps(file_system, ordinary | VERITY), verity, "{file_system:x}");
            assert_eq!(VERITY.bits(), 0x0010_0000, "FS_VERITY_FL of linux/fs.h");
        }
    }
}
