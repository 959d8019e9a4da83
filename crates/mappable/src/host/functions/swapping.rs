//! The functions that change what is mapped.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, WasmList};

use super::super::context::MappableCtx;
use super::super::error::TrapReason;
use super::super::handle::{FrozenMapping, Mapping};
use super::super::mappable_view::MappableView;
use super::super::mapping::Changed;
use super::super::operand::{List, RegionKind};
use super::super::wit_error::WitMapError;
use super::{give, owned};
use crate::region::{Frozen, Mappable};

/// The result of `map` and `unmap`: the other handle, or the handle that was passed and why it came back.
type Swapped<To, From> = (Result<Resource<To>, (Resource<From>, WitMapError)>,);

pub(super) fn add<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    add_change::<T, Mappable, Mapping>(types, "[static]mappable.map", RegionKind::Mappable, MappableCtx::map)?;
    add_change::<T, Mapping, Mappable>(types, "[static]mapping.unmap", RegionKind::Mappable, MappableCtx::unmap)?;
    add_change::<T, Frozen, FrozenMapping>(types, "[static]frozen.map", RegionKind::Frozen, MappableCtx::map)?;
    add_change::<T, Frozen, FrozenMapping>(
        types,
        "[static]frozen.map-private",
        RegionKind::Frozen,
        MappableCtx::map_private,
    )?;
    add_change::<T, FrozenMapping, Frozen>(
        types,
        "[static]frozen-mapping.unmap",
        RegionKind::Frozen,
        MappableCtx::unmap,
    )
}

/// Adds a function that takes one kind of handle and gives the other, of the same representation.
fn add_change<T, From, To>(
    types: &mut LinkerInstance<'_, T>,
    name: &str,
    kind: RegionKind,
    change: impl Fn(&mut MappableCtx, u32, RegionKind, List) -> Changed + Send + Sync + 'static,
) -> wasmtime::Result<()>
where
    T: MappableView + 'static,
    From: 'static,
    To: 'static,
{
    types.func_wrap(name, move |mut store: StoreContextMut<'_, T>, (this, at): (Resource<From>, WasmList<u8>)| {
        let (rep, at) = (owned(&this)?, list(&at, &store));
        let answer = change(store.data_mut().mappable(), rep, kind, at)?;
        if answer == Err(WitMapError::PlacementUnmappable) {
            check_runtime(&mut store)?;
        }
        let answer: Swapped<To, From> = (answer.map(|_| give(rep)).map_err(|error| (this, error)),);
        Ok(answer)
    })
}

/// Whether a memory may be unknown because the store has another runtime's context. Asked where one is, so that what maps
/// pays nothing for it.
pub(super) fn check_runtime<T: MappableView + 'static>(store: &mut StoreContextMut<'_, T>) -> Result<(), TrapReason> {
    let engine = store.engine().clone();
    store.data_mut().mappable().check_engine(&engine)
}

/// Where a list is, without reading it.
pub(super) fn list<T: 'static>(list: &WasmList<u8>, store: &StoreContextMut<'_, T>) -> List {
    let bytes = list.as_le_slice(store);
    List { address: bytes.as_ptr().addr(), len: bytes.len() as u64 }
}
