//! The functions on a region that is not mapped.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, WasmList};

use super::super::error::TrapReason;
use super::super::mappable_view::MappableView;
use super::super::wit_error::{WitAccessError, WitAllocateError, WitPartError};
use super::{MAX_READ, give, owned};
use crate::region::{Frozen, GRANULE, Mappable};

type Region = Resource<Mappable>;

pub(super) fn add<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[static]mappable.allocate", |mut store: StoreContextMut<'_, T>, (size,): (u64,)| {
        let answer: Result<u32, WitAllocateError> = store.data_mut().mappable().make(size);
        Ok((answer.map(give::<Mappable>),))
    })?;
    types.func_wrap("[method]mappable.size", |mut store: StoreContextMut<'_, T>, (this,): (Region,)| {
        Ok((store.data_mut().mappable().known_region(this.rep())?.size(),))
    })?;
    types.func_wrap("[static]mappable.freeze", |mut store: StoreContextMut<'_, T>, (this,): (Region,)| {
        let rep = owned(&this)?;
        Ok((give::<Frozen>(store.data_mut().mappable().freeze(rep)?),))
    })?;
    add_lengths(types)?;
    add_bytes(types)?;
    add_parts(types)
}

fn add_lengths<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]mappable.len", |mut store: StoreContextMut<'_, T>, (this,): (Region,)| {
        Ok((store.data_mut().mappable().known_region(this.rep())?.len(),))
    })?;
    types.func_wrap("[method]mappable.set-len", |mut store: StoreContextMut<'_, T>, (this, len): (Region, u64)| {
        Ok((store.data_mut().mappable().set_length(this.rep(), len)?,))
    })
}

fn add_bytes<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]mappable.read",
        |mut store: StoreContextMut<'_, T>, (this, offset, len): (Region, u64, u32)| {
            let region = store.data_mut().mappable().known_region(this.rep())?;
            Ok((read(region.size(), offset, len, |into| region.extent().read(offset, into))?,))
        },
    )?;
    types.func_wrap(
        "[method]mappable.write",
        |mut store: StoreContextMut<'_, T>, (this, offset, from): (Region, u64, WasmList<u8>)| {
            Ok((write(&mut store, this.rep(), offset, &from)?,))
        },
    )
}

/// Copies a guest's bytes into a region.
pub(super) fn write<T: MappableView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    rep: u32,
    offset: u64,
    from: &WasmList<u8>,
) -> wasmtime::Result<Result<(), WitAccessError>> {
    let size = store.data_mut().mappable().known_region(rep)?.size();
    if offset.checked_add(from.len() as u64).is_none_or(|end| end > size) {
        return Ok(Err(WitAccessError::RangeOutsideRegion));
    }
    // The bytes are the guest's and the region is the store's: the engine lends one of the two at a time.
    let mut piece = vec![0; from.len().min(GRANULE as usize)];
    let mut done = 0;
    while done < from.len() {
        let len = piece.len().min(from.len() - done);
        piece[..len].copy_from_slice(&from.as_le_slice(&*store)[done..done + len]);
        let region = store.data_mut().mappable().region_mut(rep);
        let region = region.ok_or(TrapReason::NotGiven { rep, kind: "mappable" })?;
        let to = offset + done as u64;
        region.extent_mut().write(to, &piece[..len]).map_err(TrapReason::Unreadable)?;
        done += len;
    }
    Ok(Ok(()))
}

fn add_parts<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[static]mappable.split", |mut store: StoreContextMut<'_, T>, (this, at): (Region, u64)| {
        let rep = owned(&this)?;
        let answer = store.data_mut().mappable().split(rep, at)?;
        let answer: Result<(Region, Region), (Region, WitPartError)> =
            answer.map(|(low, high)| (give(low), give(high))).map_err(|(rep, error)| (give(rep), error));
        Ok((answer,))
    })?;
    types.func_wrap("[static]mappable.join", |mut store: StoreContextMut<'_, T>, (low, high): (Region, Region)| {
        let (low, high) = (owned(&low)?, owned(&high)?);
        let answer = store.data_mut().mappable().join(low, high)?;
        let answer: Result<Region, (Region, Region)> = answer.map(give).map_err(|(low, high)| (give(low), give(high)));
        Ok((answer,))
    })
}

/// A list of `len` bytes at `offset` of something of `size` bytes, which `fill` copies.
pub(super) fn read(
    size: u64,
    offset: u64,
    len: u32,
    fill: impl FnOnce(&mut [u8]) -> std::io::Result<()>,
) -> Result<Result<Vec<u8>, WitAccessError>, TrapReason> {
    if offset.checked_add(u64::from(len)).is_none_or(|end| end > size) {
        return Ok(Err(WitAccessError::RangeOutsideRegion));
    }
    if len > MAX_READ {
        return Ok(Err(WitAccessError::ListTooLong));
    }
    let mut bytes = vec![0; len as usize];
    fill(&mut bytes).map_err(TrapReason::Unreadable)?;
    Ok(Ok(bytes))
}
