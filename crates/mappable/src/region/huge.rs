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
    /// Those that the embedder moves into them, by [`Frozen::collapse`](crate::Frozen::collapse) or
    /// [`Mappable::collapse`](crate::Mappable::collapse).
    #[default]
    Collapsed,
    /// These, and all new regions, if the administrator leaves the choice to programs: on Linux, with `advise` in
    /// `/sys/kernel/mm/transparent_hugepage/shmem_enabled`. A region then takes memory by whole huge pages. It costs one system
    /// call more when a region is first shown somewhere.
    ///
    /// Files that are mapped ([`FileBytes::shared`](crate::FileBytes::shared)) lie in huge pages, too, if the file system has
    /// them (XFS, and ext4 from Linux 6.16 on) and `/sys/kernel/mm/transparent_hugepage/enabled` says `madvise` or `always`.
    /// What isn't in the system's cache is then read by 2 MiB, which is good for a file of which many want most.
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
