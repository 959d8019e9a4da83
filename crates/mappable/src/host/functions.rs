//! The functions of `mappable:memory/types`, on the context of the calling store.
//!
//! All are plain synchronous typed host functions, so that nothing of the guest's runs between a change of view and
//! the refresh that the rewriter has put behind the call; for the same reason no answer of `map` and `unmap` holds a
//! list or string, for which the engine would call the guest's `realloc`.

use std::io::ErrorKind;
use std::ops::Range;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType, WasmList};

use super::context::{List, MappableView, Mapping};
use super::error::{TrapReason, WitAccessError, WitAllocateError, WitMapError};
use super::runtime::gate;
use crate::region::{GRANULE, Mappable};

/// The version of the WIT package that is offered. A component built for an older compatible one links to it too.
const INTERFACE: &str = "types@0.1.0";

/// What `map` and `unmap` answer: the other handle, or the one that came and why.
type Swapped<To, From> = (Result<Resource<To>, (Resource<From>, WitMapError)>,);

/// Adds `mappable:memory/types` to a linker, for components compiled by [`Runtime::compile`](crate::Runtime::compile).
///
/// The functions are found under a name that only `compile` gives to a component's import, so a component that was
/// compiled otherwise, and lacks the refreshes on which isolation rests, is not linked to them.
///
/// # Errors
///
/// The linker's, if it has the interface already.
pub fn add_to_linker<T: MappableView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut types = linker.instance(&gate()?.import_name(INTERFACE))?;
    types.resource("mappable", ResourceType::host::<Mappable>(), drop_handle::<T>)?;
    types.resource("mapping", ResourceType::host::<Mapping>(), drop_handle::<T>)?;
    types.func_wrap("granule", |_: StoreContextMut<'_, T>, (): ()| Ok((GRANULE as u32,)))?;
    add_swapping(&mut types)?;
    add_regions(&mut types)
}

fn drop_handle<T: MappableView + 'static>(mut store: StoreContextMut<'_, T>, rep: u32) -> wasmtime::Result<()> {
    store.data_mut().mappable().drop_handle(rep);
    Ok(())
}

/// The functions that change what is mapped.
fn add_swapping<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[static]mappable.map",
        |mut store: StoreContextMut<'_, T>, (this, at): (Resource<Mappable>, WasmList<u8>)| {
            let (rep, at) = (owned(&this)?, list(&at, &store));
            let answer = store.data_mut().mappable().map(rep, at)?;
            let answer: Swapped<Mapping, Mappable> = (answer.map(|()| Resource::new_own(rep)).map_err(|e| (this, e)),);
            Ok(answer)
        },
    )?;
    types.func_wrap(
        "[static]mapping.unmap",
        |mut store: StoreContextMut<'_, T>, (this, at): (Resource<Mapping>, WasmList<u8>)| {
            let (rep, at) = (owned(&this)?, list(&at, &store));
            let answer = store.data_mut().mappable().unmap(rep, at)?;
            let answer: Swapped<Mappable, Mapping> = (answer.map(|()| Resource::new_own(rep)).map_err(|e| (this, e)),);
            Ok(answer)
        },
    )
}

/// The functions on a region that is not mapped.
fn add_regions<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[static]mappable.allocate", |mut store: StoreContextMut<'_, T>, (size,): (u64,)| {
        let answer: Result<u32, WitAllocateError> = store.data_mut().mappable().allocate(size);
        Ok((answer.map(Resource::<Mappable>::new_own),))
    })?;
    types.func_wrap("[method]mappable.size", |mut store: StoreContextMut<'_, T>, (this,): (Resource<Mappable>,)| {
        Ok((store.data_mut().mappable().get(&this)?.size(),))
    })?;
    types.func_wrap(
        "[method]mappable.read",
        |mut store: StoreContextMut<'_, T>, (this, offset, len): (Resource<Mappable>, u64, u32)| {
            let region = store.data_mut().mappable().get(&this)?;
            let Some(range) = range(region, offset, u64::from(len)) else {
                return Ok((Err(WitAccessError::RangeOutsideRegion),));
            };
            let bytes = region.bytes().map_err(TrapReason::Unreadable)?;
            let mut copy = Vec::new();
            copy.try_reserve_exact(range.len()).map_err(|_| TrapReason::Unreadable(ErrorKind::OutOfMemory.into()))?;
            copy.extend_from_slice(&bytes[range]);
            Ok((Ok(copy),))
        },
    )?;
    types.func_wrap(
        "[method]mappable.write",
        |mut store: StoreContextMut<'_, T>, (this, offset, from): (Resource<Mappable>, u64, WasmList<u8>)| {
            Ok((write(&mut store, &this, offset, &from)?,))
        },
    )
}

/// Copies a guest's list into a region, by way of a buffer: both are borrowed from the store, one at a time.
fn write<T: MappableView + 'static>(
    store: &mut StoreContextMut<'_, T>,
    this: &Resource<Mappable>,
    offset: u64,
    from: &WasmList<u8>,
) -> wasmtime::Result<Result<(), WitAccessError>> {
    let len = from.as_le_slice(&*store).len();
    let Some(to) = range(store.data_mut().mappable().get(this)?, offset, len as u64) else {
        return Ok(Err(WitAccessError::RangeOutsideRegion));
    };
    let mut buffer = [0; 16 << 10];
    for at in (0..len).step_by(buffer.len()) {
        let chunk = &mut buffer[..(len - at).min(16 << 10)];
        chunk.copy_from_slice(&from.as_le_slice(&*store)[at..at + chunk.len()]);
        let region = store.data_mut().mappable().get_mut(this)?.bytes_mut().map_err(TrapReason::Unreadable)?;
        region[to.start + at..][..chunk.len()].copy_from_slice(chunk);
    }
    Ok(Ok(()))
}

/// The `len` bytes of a region at `offset`, if it has them.
fn range(region: &Mappable, offset: u64, len: u64) -> Option<Range<usize>> {
    let end = offset.checked_add(len).filter(|&end| end <= region.size())?;
    Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?)
}

/// The representation of a handle that is taken. The engine lets a borrowed one through where an owned one is meant.
fn owned<R: 'static>(handle: &Resource<R>) -> Result<u32, TrapReason> {
    if handle.owned() { Ok(handle.rep()) } else { Err(TrapReason::Borrowed) }
}

/// Where a list is, without reading it.
fn list<T: 'static>(list: &WasmList<u8>, store: &StoreContextMut<'_, T>) -> List {
    let bytes = list.as_le_slice(store);
    List { address: bytes.as_ptr().addr(), len: bytes.len() as u64 }
}
