//! Which way of mapping a memory can take, decided by its type alone.

use std::fmt;

use wasmtime::MemoryType;

use crate::GRANULE;
use crate::region::RESERVATION;

/// How regions get into a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Another view is made current, which takes no system call once the view is there. A view is built when the same regions
    /// are mapped for the second time. The first time is by remapping, or by exchanging bytes if the region is small
    /// and was used before.
    Swap,
    /// The region's pages are mapped into the one view: one system call, and page faults on first touch. For
    /// memories whose base can't move.
    Remap,
    /// The region's bytes are exchanged with what they hide, or copied in if it is frozen. For memories of a runtime that
    /// has no pages to map: another platform, or [`MappingMode::Copy`](crate::MappingMode::Copy).
    Copy,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Swap => "swap",
            Self::Remap => "remap",
            Self::Copy => "copy",
        })
    }
}

/// Why regions can't be mapped into a memory at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmappable {
    /// Its addresses have 64 bits.
    #[error("it is a 64-bit memory")]
    Memory64,
    /// Several threads may be in it.
    #[error("it is a shared memory")]
    Shared,
    /// Its pages are not granules.
    #[error("its pages have {0} bytes, not {GRANULE}")]
    PageSize(u64),
}

/// What of a memory's type decides how regions get into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShape {
    /// The least size, in pages.
    pub minimum: u64,
    /// The largest size, in pages, if it has been declared.
    pub maximum: Option<u64>,
    /// Whether its addresses have 64 bits.
    pub is_64: bool,
    /// Whether it is shared between threads.
    pub is_shared: bool,
    /// The size of a page in bytes.
    pub page_size: u64,
}

impl From<&MemoryType> for MemoryShape {
    fn from(ty: &MemoryType) -> Self {
        Self {
            minimum: ty.minimum(),
            maximum: ty.maximum(),
            is_64: ty.is_64(),
            is_shared: ty.is_shared(),
            page_size: ty.page_size(),
        }
    }
}

/// How regions get into a memory of this shape, where pages can be mapped. (Where they can't, they are copied into the
/// same memories.)
///
/// A memory is swapped only if the engine holds that its base may move, or else compiled code takes the base for a
/// constant. That is so for a memory whose maximum exceeds the reservation and is not its minimum; the rule is the
/// engine's (`Memory::memory_may_move` in `wasmtime-environ`, `src/types.rs`), and [`Runtime`](crate::Runtime) tries
/// it when it starts.
///
/// # Errors
///
/// Why regions can't be mapped into it; its component still has `read` and `write`.
#[cfg_attr(
    not(feature = "internals"),
    allow(unreachable_pub, reason = "public where the project's own tools ask for it")
)]
pub fn strategy_for(shape: &MemoryShape) -> Result<Strategy, Unmappable> {
    if shape.is_64 {
        return Err(Unmappable::Memory64);
    }
    if shape.is_shared {
        return Err(Unmappable::Shared);
    }
    if shape.page_size != GRANULE {
        return Err(Unmappable::PageSize(shape.page_size));
    }
    let may_move = match shape.maximum {
        None => true,
        Some(maximum) => maximum != shape.minimum && maximum.saturating_mul(GRANULE) > RESERVATION,
    };
    Ok(if may_move { Strategy::Swap } else { Strategy::Remap })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: MemoryShape =
        MemoryShape { minimum: 1, maximum: None, is_64: false, is_shared: false, page_size: GRANULE };

    #[test]
    fn only_a_memory_whose_base_may_move_is_swapped() {
        let with_maximum = |minimum, maximum| MemoryShape { minimum, maximum: Some(maximum), ..PLAIN };
        assert_eq!(strategy_for(&PLAIN), Ok(Strategy::Swap));
        assert_eq!(strategy_for(&with_maximum(1, 65_536)), Ok(Strategy::Swap));
        assert_eq!(strategy_for(&with_maximum(1, 65_535)), Ok(Strategy::Remap));
        assert_eq!(strategy_for(&with_maximum(65_536, 65_536)), Ok(Strategy::Remap));
        assert_eq!(strategy_for(&with_maximum(3, 3)), Ok(Strategy::Remap));
    }

    #[test]
    fn memories_of_another_kind_are_not_mapped_into() {
        assert_eq!(strategy_for(&MemoryShape { is_64: true, ..PLAIN }), Err(Unmappable::Memory64));
        assert_eq!(strategy_for(&MemoryShape { is_shared: true, ..PLAIN }), Err(Unmappable::Shared));
        assert_eq!(strategy_for(&MemoryShape { page_size: 1, ..PLAIN }), Err(Unmappable::PageSize(1)));
    }
}
