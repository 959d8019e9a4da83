//! What the embedder holds: regions and references that are in no store, and handles for such as are in one.

use mappable::{Frozen, GRANULE, Mappable, MappableCtx, Runtime};
use wasmtime::component::{Resource, ResourceAny, Val};

use super::Cx;
use crate::trees::types::Kind;

/// Something, and the hash of its bytes, if the embedder may rely on that: nobody else changes them.
pub(super) struct Kept<T> {
    pub(super) what: T,
    pub(super) hash: Option<u64>,
}

impl<T: std::fmt::Debug> Kept<T> {
    /// What is to be said, if the bytes are others now.
    pub(super) fn hurt(&self, now: Option<u64>) -> Option<String> {
        let was = self.hash?;
        (now != Some(was)).then(|| format!("{:?} had bytes of the hash {was:x}, and now {now:x?}", self.what))
    }
}

impl Kept<Region> {
    pub(super) fn region(what: Region) -> Self {
        let hash = what.hash();
        Self { what, hash }
    }
}

/// A region or reference that is in no store.
#[derive(Debug)]
pub(super) enum Region {
    Mappable(Mappable),
    Frozen(Frozen),
}

impl Region {
    /// A new one.
    pub(super) fn new(runtime: &Runtime, kind: Kind, granules: usize, word: u64) -> wasmtime::Result<Self> {
        let mut region = runtime.allocate(granules as u64 * GRANULE)?;
        write(region.bytes_mut()?, word);
        Ok(match kind {
            Kind::Frozen => Self::Frozen(region.freeze()?),
            _ => Self::Mappable(region),
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Mappable(_) => Kind::Mappable,
            Self::Frozen(_) => Kind::Frozen,
        }
    }

    pub(super) fn hash(&self) -> Option<u64> {
        match self {
            Self::Mappable(region) => region.bytes().ok().map(hash),
            Self::Frozen(frozen) => Some(hash(frozen)),
        }
    }

    /// Another reference to the same bytes.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Mappable(_) => None,
            Self::Frozen(frozen) => Some(Self::Frozen(frozen.clone())),
        }
    }

    /// What it becomes: other bytes, parts, another kind, or what it was.
    pub(super) fn changed(self, word: u64) -> wasmtime::Result<Vec<Self>> {
        Ok(match (self, word % 4) {
            (Self::Mappable(mut region), 0) => {
                write(region.bytes_mut()?, word);
                vec![Self::Mappable(region)]
            }
            (Self::Mappable(region), 1) if region.size() > GRANULE => {
                let (low, high) = region.split(GRANULE)?;
                vec![Self::Mappable(low), Self::Mappable(high)]
            }
            (Self::Mappable(region), 2) => vec![Self::Frozen(region.freeze()?)],
            (Self::Frozen(frozen), 0 | 1) => match frozen.thaw() {
                Ok(region) => vec![Self::Mappable(region)],
                Err(failed) => vec![Self::Frozen(failed.frozen)],
            },
            (Self::Frozen(frozen), 2) => {
                let size = frozen.size();
                let part = frozen.slice(size - GRANULE..size)?;
                vec![Self::Frozen(part), Self::Frozen(frozen)]
            }
            (same, _) => vec![same],
        })
    }

    /// Gives it to the store.
    pub(super) fn insert(self, context: &mut MappableCtx) -> wasmtime::Result<Handle> {
        let kind = self.kind();
        let rep = match self {
            Self::Mappable(region) => context.insert(region)?.rep(),
            Self::Frozen(frozen) => context.insert_frozen(frozen)?.rep(),
        };
        Ok(Handle { kind, rep })
    }
}

/// A handle of the store's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    pub(super) kind: Kind,
    pub(super) rep: u32,
}

impl Handle {
    pub(super) fn of(cx: &mut Cx<'_>, kind: Kind, resource: ResourceAny) -> wasmtime::Result<Self> {
        let rep = match kind {
            Kind::Frozen => Resource::<Frozen>::try_from_resource_any(resource, &mut *cx)?.rep(),
            _ => Resource::<Mappable>::try_from_resource_any(resource, &mut *cx)?.rep(),
        };
        Ok(Self { kind, rep })
    }

    /// As a value that the tree is to own.
    pub(super) fn give(self, cx: &mut Cx<'_>) -> wasmtime::Result<Val> {
        Ok(Val::Resource(match self.kind {
            Kind::Frozen => Resource::<Frozen>::new_own(self.rep).try_into_resource_any(&mut *cx)?,
            _ => Resource::<Mappable>::new_own(self.rep).try_into_resource_any(&mut *cx)?,
        }))
    }

    /// As a value that the tree is to use.
    pub(super) fn lend(self, cx: &mut Cx<'_>) -> wasmtime::Result<Val> {
        Ok(Val::Resource(match self.kind {
            Kind::Frozen => Resource::<Frozen>::new_borrow(self.rep).try_into_resource_any(&mut *cx)?,
            _ => Resource::<Mappable>::new_borrow(self.rep).try_into_resource_any(&mut *cx)?,
        }))
    }

    /// Its bytes' hash, if it is for what is not mapped.
    pub(super) fn hash(self, context: &MappableCtx) -> Option<u64> {
        match self.kind {
            Kind::Frozen => context.get_frozen(&Resource::new_borrow(self.rep)).ok().map(|frozen| hash(&frozen)),
            _ => context.get(&Resource::new_borrow(self.rep)).ok()?.bytes().ok().map(hash),
        }
    }

    /// Changes its bytes, if they can be.
    pub(super) fn write(self, context: &mut MappableCtx, word: u64) -> wasmtime::Result<()> {
        if self.kind == Kind::Mappable {
            write(context.bytes_mut(&Resource::new_own(self.rep))?, word);
        }
        Ok(())
    }

    /// Takes what it is for out of the store.
    pub(super) fn take(self, context: &mut MappableCtx) -> wasmtime::Result<Region> {
        Ok(match self.kind {
            Kind::Frozen => Region::Frozen(context.remove_frozen(Resource::new_own(self.rep))?),
            _ => Region::Mappable(context.remove(Resource::new_own(self.rep))?),
        })
    }
}

/// Something that a store is left with, unmapped: its kind, and its bytes' hash.
pub type Left = (Kind, u64);

/// All that a store is left with, whosever it is.
pub(crate) fn left(context: &MappableCtx) -> Vec<Left> {
    let all = (0..512).flat_map(|rep| [Kind::Mappable, Kind::Frozen].map(|kind| Handle { kind, rep }));
    let mut left: Vec<_> = all.filter_map(|handle| Some((handle.kind, handle.hash(context)?))).collect();
    left.sort_unstable();
    left
}

fn write(bytes: &mut [u8], word: u64) {
    let len = bytes.len();
    for at in [0, 8, 4096, len - 8] {
        bytes[at..at + 8].copy_from_slice(&word.wrapping_add(at as u64).to_le_bytes());
    }
}

/// Of the beginning and the end of each page: all that a guest or the embedder writes is there.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut mix = |word: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        hash = (hash ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    };
    for page in bytes.chunks(4096) {
        page.chunks(8).take(4).for_each(&mut mix);
        mix(&page[page.len().saturating_sub(8)..]);
    }
    hash
}
