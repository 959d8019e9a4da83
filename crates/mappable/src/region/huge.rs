//! Huge pages: when bytes lie in them, and how they get there.
//!
//! A huge page ([`HUGE_PAGE`](crate::sys::HUGE_PAGE)) is mapped as one where it begins at a multiple of its size in the
//! file and in the address space alike. So extents, windows and views are aligned for it wherever they have room
//! for one, at no cost, and placements that guests choose may be. Which bytes then are in huge pages is said here:
//! nobody's but those that the embedder asks for.

use std::io;

use super::FileRange;
use crate::sys::Space;

/// Which regions lie in huge pages, of 2 MiB on most machines. Regions that are smaller never do.
///
/// One huge page takes the place of 512 small ones: of so many faults when it is first touched, and of 4 KiB of page tables
/// in each memory that maps it. But whoever touches one byte takes all of it. Mapped in a guest, it is one huge page
/// only if the placement begins at a multiple of 2 MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// Those of which it was asked for: [`Frozen::collapse`](crate::Frozen::collapse),
    /// [`Mappable::collapse`](crate::Mappable::collapse).
    #[default]
    Collapsed,
    /// These, and all new ones where the administrator leaves it to programs (on Linux, with `advise` in
    /// `/sys/kernel/mm/transparent_hugepage/shmem_enabled`): one system call more for each that is shown somewhere for
    /// the first time. A region then takes memory by whole huge pages.
    ///
    /// So are the pages of files that are mapped ([`FileBytes::shared`](crate::FileBytes::shared)), where the file system has such (ext4
    /// from Linux 6.16 on, XFS; with `madvise` or `always` in `/sys/kernel/mm/transparent_hugepage/enabled`): what isn't in the system's
    /// cache is then read by 2 MiB, which is good for a file of which most is wanted by many.
    Advised,
}

/// Moves `part` of the bytes that a window shows all of into huge pages, as far as it has whole ones.
pub(super) fn collapse(window: &Space, all: FileRange, part: FileRange) -> io::Result<()> {
    let offset = (part.start() - all.start()) as usize;
    if part.huge_pages_at(window.base().addr().get() + offset) == 0 {
        return Ok(());
    }
    window.collapse(offset, part.len() as usize)
}
