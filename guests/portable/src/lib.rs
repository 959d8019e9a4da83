//! `mappable:memory/types` in plain WebAssembly: regions in this component's own memory, reached by copying.
//!
//! Composed with components that import regions, it lets them run on any host of components. It can't map, since no
//! component reaches another's memory: `map` and `map-private` return `placement-unmappable` and the handle. (The SDK
//! for guests then copies. It asks once only, because asking copies the whole placement to this component.) All else is as
//! the interface says.
//!
//! Its quota is its memory, 4 GiB: beyond that, `allocate` returns `regions-exhausted`.

mod allocation;
mod reference;

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "mappable:portable/portable",
        generate_all,
    });

    use super::Portable;
    export!(Portable);
}

use core::convert::Infallible;

use allocation::{GRANULE_BYTES, Part};
use bindings::exports::mappable::memory::types::{
    AccessError, AllocateError, Frozen, FrozenMapping, Guest, GuestFrozen, GuestFrozenMapping, GuestMappable,
    GuestMapping, MapError, Mappable, Mapping, PartError,
};
use reference::Reference;

/// The largest `read`. Every host allows as much.
const MAX_READ_BYTES: u32 = 1 << 20;

struct Portable;

impl Guest for Portable {
    type Mappable = Part;
    type Mapping = NeverMapped;
    type Frozen = Reference;
    type FrozenMapping = NeverMapped;

    fn granule() -> u32 {
        GRANULE_BYTES as u32
    }
}

impl GuestMappable for Part {
    fn allocate(size: u64) -> Result<Mappable, AllocateError> {
        if size == 0 {
            return Err(AllocateError::InvalidRegionSize);
        }
        Part::allocate(size).map(Mappable::new).ok_or(AllocateError::RegionsExhausted)
    }

    fn size(&self) -> u64 {
        self.size_bytes()
    }

    fn len(&self) -> u64 {
        self.length()
    }

    fn set_len(&self, len: u64) -> Result<(), AccessError> {
        check_range(self.size_bytes(), 0, len)?;
        self.set_length(len);
        Ok(())
    }

    fn map(this: Mappable, at: Vec<u8>) -> Result<Mapping, (Mappable, MapError)> {
        Err((this, refusal(&at)))
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
        read(self, 0, self.size_bytes(), offset, len)
    }

    fn write(&self, offset: u64, bytes: Vec<u8>) -> Result<(), AccessError> {
        check_range(self.size_bytes(), offset, bytes.len() as u64)?;
        self.write_at(offset, &bytes);
        Ok(())
    }

    fn freeze(this: Mappable) -> Frozen {
        Frozen::new(Reference::new(this.into_inner()))
    }

    fn split(this: Mappable, at: u64) -> Result<(Mappable, Mappable), (Mappable, PartError)> {
        if !at.is_multiple_of(GRANULE_BYTES as u64) {
            return Err((this, PartError::PartMisaligned));
        }
        if at == 0 || at >= this.get::<Part>().size_bytes() {
            return Err((this, PartError::PartOutsideRegion));
        }
        let (low, high) = this.into_inner::<Part>().split((at / GRANULE_BYTES as u64) as usize);
        Ok((Mappable::new(low), Mappable::new(high)))
    }

    fn join(low: Mappable, high: Mappable) -> Result<Mappable, (Mappable, Mappable)> {
        match Part::join(low.into_inner(), high.into_inner()) {
            Ok(joined) => Ok(Mappable::new(joined)),
            Err((low, high)) => Err((Mappable::new(low), Mappable::new(high))),
        }
    }
}

impl GuestFrozen for Reference {
    fn size(&self) -> u64 {
        self.size_bytes()
    }

    fn len(&self) -> u64 {
        self.length()
    }

    fn clone(&self) -> Result<Frozen, AllocateError> {
        Ok(Frozen::new(self.another()))
    }

    fn slice(&self, offset: u64, size: u64) -> Result<Frozen, PartError> {
        check_slice(self.size_bytes(), offset, size)?;
        Ok(Frozen::new(self.slice_of(offset, size)))
    }

    fn map(this: Frozen, at: Vec<u8>) -> Result<FrozenMapping, (Frozen, MapError)> {
        Err((this, refusal(&at)))
    }

    fn map_private(this: Frozen, at: Vec<u8>) -> Result<FrozenMapping, (Frozen, MapError)> {
        Err((this, refusal(&at)))
    }

    fn thaw(this: Frozen) -> Result<Mappable, Frozen> {
        match this.into_inner::<Reference>().thaw() {
            Ok(part) => Ok(Mappable::new(part)),
            Err(reference) => Err(Frozen::new(reference)),
        }
    }

    fn copy(&self) -> Result<Mappable, AllocateError> {
        self.copied().map(Mappable::new).ok_or(AllocateError::RegionsExhausted)
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
        read(self.whole(), self.start_bytes(), self.size_bytes(), offset, len)
    }
}

/// A mapped region. Nothing is ever mapped here, so no value of this type exists.
struct NeverMapped(Infallible);

impl GuestMapping for NeverMapped {
    fn unmap(this: Mapping, _at: Vec<u8>) -> Result<Mappable, (Mapping, MapError)> {
        match this.get::<NeverMapped>().0 {}
    }
}

impl GuestFrozenMapping for NeverMapped {
    fn unmap(this: FrozenMapping, _at: Vec<u8>) -> Result<Frozen, (FrozenMapping, MapError)> {
        match this.get::<NeverMapped>().0 {}
    }
}

/// Returns the error of `map` for a placement. An empty one is misaligned on every host; it names no memory.
fn refusal(at: &[u8]) -> MapError {
    if at.is_empty() { MapError::PlacementMisaligned } else { MapError::PlacementUnmappable }
}

/// Reads from the `size` bytes of a part that begin at `start`.
fn read(part: &Part, start: u64, size: u64, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
    check_range(size, offset, u64::from(len))?;
    if len > MAX_READ_BYTES {
        return Err(AccessError::ListTooLong);
    }
    let mut bytes = vec![0; len as usize];
    part.read_at(start + offset, &mut bytes);
    Ok(bytes)
}

fn check_range(size: u64, offset: u64, length: u64) -> Result<(), AccessError> {
    let end = offset.checked_add(length).filter(|&end| end <= size);
    end.map(drop).ok_or(AccessError::RangeOutsideRegion)
}

fn check_slice(whole: u64, offset: u64, size: u64) -> Result<(), PartError> {
    if !offset.is_multiple_of(GRANULE_BYTES as u64) {
        return Err(PartError::PartMisaligned);
    }
    let end = offset.checked_add(size).filter(|&end| size > 0 && end <= whole);
    end.map(drop).ok_or(PartError::PartOutsideRegion)
}
