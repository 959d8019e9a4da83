//! The functions of `mappable:memory/types`, on the context of the calling store.
//!
//! All are plain synchronous typed host functions, so that nothing of the guest's runs between a change of view and
//! the refresh that the rewriter has put behind the call; for the same reason no answer of `map` and `unmap` holds a
//! list or string, for which the engine would call the guest's `realloc`.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType, WasmList};

use super::context::{List, MappableView, Mapping};
use super::error::{TrapReason, WitAccessError, WitAllocateError, WitMapError};
use super::runtime::gate;
use crate::region::{GRANULE, Mappable};

/// The version of the WIT package that is offered. A component built for an older compatible one links to it too.
const INTERFACE: &str = "types@0.1.0";

/// The longest list that `read` gives, in bytes: what a guest can have the host allocate for it in one call.
const MAX_READ: u32 = 16 << 20;

/// What `map` and `unmap` answer: the other handle, or the one that came and why.
type Swapped<To, From> = (Result<Resource<To>, (Resource<From>, WitMapError)>,);

/// Adds `mappable:memory/types` to a linker, for components compiled by [`Runtime::compile`](crate::Runtime::compile).
///
/// The functions are found under a name that only `compile` gives to a component's import, so a component that was
/// compiled otherwise, and lacks the refreshes on which isolation rests, is not linked to them.
///
/// # Call hooks
///
/// A store's call hook (Wasmtime's feature `call-hook`) runs between a change of what is mapped and the refresh of the
/// memory's base. On `ReturningFromHost` it must not enter the store's components, nor answer an error that somebody
/// swallows: compiled code would run on a base that is no longer the memory's.
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
            let part = store.data_mut().mappable().get(&this)?.extent().part(offset, u64::from(len));
            let Some(part) = part else { return Ok((Err(WitAccessError::RangeOutsideRegion),)) };
            if len > MAX_READ {
                return Ok((Err(WitAccessError::ListTooLong),));
            }
            Ok((Ok(part.read().map_err(TrapReason::Unreadable)?),))
        },
    )?;
    types.func_wrap(
        "[method]mappable.write",
        |mut store: StoreContextMut<'_, T>, (this, offset, from): (Resource<Mappable>, u64, WasmList<u8>)| {
            let part = store.data_mut().mappable().get(&this)?.extent().part(offset, from.len() as u64);
            let Some(part) = part else { return Ok((Err(WitAccessError::RangeOutsideRegion),)) };
            part.write(from.as_le_slice(&store)).map_err(TrapReason::Unreadable)?;
            Ok((Ok(()),))
        },
    )
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
