//! Mapping by copying, for memories whose pages can't be changed: a region's bytes are put where the memory's are, and
//! taken out again.
//!
//! A region that can be written is exchanged with what it hides, so that nothing needs room of its own: while it is
//! mapped its block has the heap's bytes. A frozen one is copied in, and what it hides is kept here.

use std::io;

use super::{Memory, Mount};
use crate::region::Held;

/// What is mapped in a memory by copying.
#[derive(Default)]
pub(super) struct CopiedMounts {
    /// In order, as in a view.
    mounts: Vec<Mount>,
    /// What frozen regions hide.
    hidden: Vec<(Mount, Vec<u8>)>,
}

impl CopiedMounts {
    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// What is to be known before anything is changed: room for what a frozen region hides.
    pub(super) fn room_for(mount: &Mount, held: &Held) -> io::Result<Vec<u8>> {
        let mut room = vec![];
        if held.is_frozen() {
            let len = usize::try_from(mount.len()).map_err(io::Error::other)?;
            room.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
            room.resize(len, 0);
        }
        Ok(room)
    }

    /// Puts a region's bytes into the memory. `room` is what [`CopiedMounts::room_for`] gave for it.
    pub(super) fn show(&mut self, memory: &Memory, mount: Mount, held: &mut Held, mut room: Vec<u8>) -> io::Result<()> {
        match held {
            Held::Mappable(region) => {
                memory.exchange(mount.offset(), region.extent_mut().block_mut().ok_or_else(bug)?)?
            }
            Held::Frozen(region) => {
                memory.copy_out(mount.offset(), &mut room)?;
                memory.copy_in(mount.offset(), region.block().ok_or_else(bug)?)?;
                self.hidden.push((mount, room));
            }
        }
        let index = self.mounts.partition_point(|other| other < &mount);
        self.mounts.insert(index, mount);
        Ok(())
    }

    /// Takes a region's bytes out of the memory.
    pub(super) fn hide(&mut self, memory: &Memory, mount: Mount, held: &mut Held) -> io::Result<()> {
        match held {
            Held::Mappable(region) => {
                memory.exchange(mount.offset(), region.extent_mut().block_mut().ok_or_else(bug)?)?
            }
            Held::Frozen(_) => {
                let index = self.hidden.iter().position(|(other, _)| *other == mount).ok_or_else(bug)?;
                memory.copy_in(mount.offset(), &self.hidden[index].1)?;
                self.hidden.swap_remove(index);
            }
        }
        self.mounts.retain(|other| *other != mount);
        Ok(())
    }
}

fn bug() -> io::Error {
    io::Error::other("bug: bytes that were to be copied are not there")
}
