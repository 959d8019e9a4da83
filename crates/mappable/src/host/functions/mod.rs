//! The functions of `mappable:memory/types`, on the context of the calling store.
//!
//! All are synchronous host functions. So no guest code runs between a change of view and the refresh that the rewriter
//! has put behind the call. For the same reason no result of `map` or `unmap` contains a list or a string: the engine would
//! call the guest's `realloc` for it.

mod frozen;
mod ledger;
mod mappable;
mod swapping;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};

use super::error::TrapReason;
use super::gate::gate;
use super::handle::{FrozenMapping, Mapping};
use super::mappable_view::MappableView;
use crate::region::{Frozen, GRANULE, Mappable};

/// The version of the WIT package that is offered. A component built for an older compatible one links to it too.
const INTERFACE: &str = "types@0.1.0";

/// The longest list that `read` gives, in bytes: what a guest can have the host allocate for it in one call.
const MAX_READ: u32 = 16 << 20;

/// Adds `mappable:memory/types` to a linker, for components compiled by [`Runtime::compile`](crate::Runtime::compile).
/// [The first example](crate) does it.
///
/// Adds with it what trusted modules of closed compositions call instead, under the name `mappable:<key>/ledger@0.1.0`. A
/// component that imports no `mappable:memory` needs that too if its components pass each other lists of plain data (see
/// [`Runtime::compile`](crate::Runtime::compile)).
///
/// The functions are found under a name that only `compile` gives to a component's import, so a component that was
/// compiled otherwise, and lacks the refreshes on which isolation rests, is not linked to them. Under the package's own name
/// it finds functions that do nothing but trap, with [`TrapReason::NotCompiled`](crate::TrapReason::NotCompiled).
///
/// # Call hooks
///
/// A store's call hook (Wasmtime's feature `call-hook`) runs between a change of what is mapped and the refresh of the
/// memory's base. On `ReturningFromHost` it must not enter the store's components, nor return an error that is
/// ignored: compiled code would run on a base that is no longer the memory's.
///
/// # Errors
///
/// The linker's, if it has the interface already.
pub fn add_to_linker<T: MappableView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut types = linker.instance(&gate()?.gate.import_name(INTERFACE))?;
    add_resources(&mut types)?;
    types.func_wrap("granule", |_: StoreContextMut<'_, T>, (): ()| Ok((GRANULE as u32,)))?;
    swapping::add(&mut types)?;
    mappable::add(&mut types)?;
    frozen::add(&mut types)?;
    ledger::add(linker)?;
    explain(linker)
}

fn add_resources<T: MappableView + 'static>(to: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    to.resource("mappable", ResourceType::host::<Mappable>(), drop_handle::<T>)?;
    to.resource("mapping", ResourceType::host::<Mapping>(), drop_handle::<T>)?;
    to.resource("frozen", ResourceType::host::<Frozen>(), drop_handle::<T>)?;
    to.resource("frozen-mapping", ResourceType::host::<FrozenMapping>(), drop_handle::<T>)
}

/// Adds the package under its own name, with functions that say what is wrong: only a component that was not made ready
/// by [`Runtime::compile`](crate::Runtime::compile) imports it so. It can't map, and what it can do with handles (keep them,
/// pass them on, drop them) rests on the engine alone.
fn explain<T: MappableView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut types = linker.instance(&format!("mappable:memory/{INTERFACE}"))?;
    add_resources(&mut types)?;
    for name in FUNCTIONS {
        types.func_new(name, |_, _, _, _| Err(TrapReason::NotCompiled.into()))?;
    }
    Ok(())
}

/// The package's functions.
const FUNCTIONS: [&str; 22] = [
    "granule",
    "[static]mappable.allocate",
    "[method]mappable.size",
    "[method]mappable.len",
    "[method]mappable.set-len",
    "[static]mappable.map",
    "[method]mappable.read",
    "[method]mappable.write",
    "[static]mappable.freeze",
    "[static]mappable.split",
    "[static]mappable.join",
    "[static]mapping.unmap",
    "[method]frozen.size",
    "[method]frozen.len",
    "[method]frozen.clone",
    "[method]frozen.slice",
    "[static]frozen.map",
    "[static]frozen.map-private",
    "[static]frozen.thaw",
    "[method]frozen.copy",
    "[method]frozen.read",
    "[static]frozen-mapping.unmap",
];

/// Frees what a handle stands for, or makes it the ledger's.
fn drop_handle<T: MappableView + 'static>(mut store: StoreContextMut<'_, T>, rep: u32) -> wasmtime::Result<()> {
    store.data_mut().mappable().drop_of_engine(rep)?;
    Ok(())
}

/// The representation of a handle that is taken. The engine lets a borrowed one through where an owned one is meant.
fn owned<R: 'static>(handle: &Resource<R>) -> Result<u32, TrapReason> {
    if handle.owned() { Ok(handle.rep()) } else { Err(TrapReason::Borrowed) }
}

/// A handle that is given.
fn give<R: 'static>(rep: u32) -> Resource<R> {
    Resource::new_own(rep)
}
