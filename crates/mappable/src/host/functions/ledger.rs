//! The ledger's host interface: what trusted modules call instead of the package's functions, and what only they call.
//! Handles of the package's functions come and go by flight, and the `u32`s that stand for them in the types mean nothing;
//! `leave` and `drop` have the region's number.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, WasmList};

use super::super::context::MappableCtx;
use super::super::gate::gate;
use super::super::handle::{FrozenMapping, Mapping};
use super::super::ledger::Operand;
use super::super::mappable_view::MappableView;
use super::super::mapping::Changed;
use super::super::operand::{List, RegionKind};
use super::super::wit_error::{WitAllocateError, WitMapError, WitPartError};
use super::give;
use super::mappable::{read, write};
use super::swapping::{check_runtime, list};
use crate::ledger::{Kind, interface};
use crate::region::{Frozen, Mappable};

/// What is where a handle would be.
const ELSEWHERE: u32 = 0;

const MAPPABLE: Operand = (Kind::Mappable, false);
const FROZEN: Operand = (Kind::Frozen, false);
const BORROWED_MAPPABLE: Operand = (Kind::Mappable, true);
const BORROWED_FROZEN: Operand = (Kind::Frozen, true);

pub(super) fn add<T: MappableView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut ledger = linker.instance(&gate()?.gate.import_name(interface::INTERFACE))?;
    add_changes(&mut ledger)?;
    add_regions(&mut ledger)?;
    add_lengths(&mut ledger)?;
    add_parts(&mut ledger)?;
    add_references(&mut ledger)?;
    add_crossings(&mut ledger)?;
    add_tables(&mut ledger)?;
    add_memories(&mut ledger)
}

fn add_changes<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    add_change(ledger, "mappable-map", Kind::Mappable, RegionKind::Mappable, MappableCtx::map)?;
    add_change(ledger, "mapping-unmap", Kind::Mapping, RegionKind::Mappable, MappableCtx::unmap)?;
    add_change(ledger, "frozen-map", Kind::Frozen, RegionKind::Frozen, MappableCtx::map)?;
    add_change(ledger, "frozen-map-private", Kind::Frozen, RegionKind::Frozen, MappableCtx::map_private)?;
    add_change(ledger, "frozen-mapping-unmap", Kind::FrozenMapping, RegionKind::Frozen, MappableCtx::unmap)
}

/// Adds a function that takes one kind of handle and gives the other, for the same region.
fn add_change<T: MappableView + 'static>(
    ledger: &mut LinkerInstance<'_, T>,
    name: &str,
    taken: Kind,
    kind: RegionKind,
    change: impl Fn(&mut MappableCtx, u32, RegionKind, List) -> Changed + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    ledger.func_wrap(name, move |mut store: StoreContextMut<'_, T>, (_, at): (u32, WasmList<u8>)| {
        let at = list(&at, &store);
        let context = store.data_mut().mappable();
        let [rep] = context.claim([(taken, false)])?;
        if matches!(taken, Kind::Mappable | Kind::Frozen) {
            context.drive_at(at)?;
        }
        let answer = change(context, rep, kind, at)?;
        if matches!(taken, Kind::Mappable | Kind::Frozen) && answer.is_ok() {
            context.note_placement(rep, at);
        }
        context.give([rep])?;
        let answer: Result<u32, (u32, WitMapError)> = answer.map(|_| ELSEWHERE).map_err(|error| (ELSEWHERE, error));
        Ok((answer,))
    })
}

fn add_regions<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    ledger.func_wrap("mappable-allocate", |mut store: StoreContextMut<'_, T>, (size,): (u64,)| {
        let context = store.data_mut().mappable();
        let [] = context.claim([])?;
        let answer = context.make(size);
        Ok((given(context, answer)?,))
    })?;
    ledger.func_wrap("mappable-size", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_MAPPABLE])?;
        Ok((context.known_region(rep)?.size(),))
    })?;
    ledger.func_wrap("mappable-read", |mut store: StoreContextMut<'_, T>, (_, offset, len): (u32, u64, u32)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_MAPPABLE])?;
        let region = context.known_region(rep)?;
        Ok((read(region.size(), offset, len, |into| region.extent().read(offset, into))?,))
    })?;
    ledger.func_wrap(
        "mappable-write",
        |mut store: StoreContextMut<'_, T>, (_, offset, from): (u32, u64, WasmList<u8>)| {
            let [rep] = store.data_mut().mappable().claim([BORROWED_MAPPABLE])?;
            Ok((write(&mut store, rep, offset, &from)?,))
        },
    )?;
    ledger.func_wrap("mappable-freeze", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([MAPPABLE])?;
        let frozen = context.freeze(rep)?;
        context.give([frozen])?;
        Ok((ELSEWHERE,))
    })
}

fn add_lengths<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    ledger.func_wrap("mappable-len", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_MAPPABLE])?;
        Ok((context.known_region(rep)?.len(),))
    })?;
    ledger.func_wrap("mappable-set-len", |mut store: StoreContextMut<'_, T>, (_, len): (u32, u64)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_MAPPABLE])?;
        Ok((context.set_length(rep, len)?,))
    })?;
    ledger.func_wrap("frozen-len", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_FROZEN])?;
        Ok((context.known_frozen(rep)?.len(),))
    })
}

fn add_parts<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    ledger.func_wrap("mappable-split", |mut store: StoreContextMut<'_, T>, (_, at): (u32, u64)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([MAPPABLE])?;
        let answer: Result<(u32, u32), (u32, WitPartError)> = match context.split(rep, at)? {
            Ok((low, high)) => {
                context.give([low, high])?;
                Ok((ELSEWHERE, ELSEWHERE))
            }
            Err((rep, error)) => {
                context.give([rep])?;
                Err((ELSEWHERE, error))
            }
        };
        Ok((answer,))
    })?;
    ledger.func_wrap("mappable-join", |mut store: StoreContextMut<'_, T>, (_, _): (u32, u32)| {
        let context = store.data_mut().mappable();
        let [low, high] = context.claim([MAPPABLE; 2])?;
        let answer: Result<u32, (u32, u32)> = match context.join(low, high)? {
            Ok(both) => {
                context.give([both])?;
                Ok(ELSEWHERE)
            }
            Err((low, high)) => {
                context.give([low, high])?;
                Err((ELSEWHERE, ELSEWHERE))
            }
        };
        Ok((answer,))
    })
}

fn add_references<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    ledger.func_wrap("frozen-size", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_FROZEN])?;
        Ok((context.known_frozen(rep)?.size(),))
    })?;
    ledger.func_wrap("frozen-clone", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_FROZEN])?;
        let answer: Result<u32, WitAllocateError> = context.clone_frozen(rep)?;
        Ok((given(context, answer)?,))
    })?;
    ledger.func_wrap("frozen-slice", |mut store: StoreContextMut<'_, T>, (_, offset, size): (u32, u64, u64)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_FROZEN])?;
        let answer: Result<u32, WitPartError> = context.slice(rep, offset, size)?;
        Ok((given(context, answer)?,))
    })?;
    ledger.func_wrap("frozen-thaw", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([FROZEN])?;
        let answer = context.thaw(rep)?;
        let (Ok(rep) | Err(rep)) = answer;
        context.give([rep])?;
        Ok((answer.map(|_| ELSEWHERE).map_err(|_| ELSEWHERE),))
    })?;
    ledger.func_wrap("frozen-copy", |mut store: StoreContextMut<'_, T>, (_,): (u32,)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_FROZEN])?;
        let answer: Result<u32, WitAllocateError> = context.copy(rep)?;
        Ok((given(context, answer)?,))
    })?;
    ledger.func_wrap("frozen-read", |mut store: StoreContextMut<'_, T>, (_, offset, len): (u32, u64, u32)| {
        let context = store.data_mut().mappable();
        let [rep] = context.claim([BORROWED_FROZEN])?;
        let frozen = context.known_frozen(rep)?;
        Ok((read(frozen.size(), offset, len, |into| frozen.read(offset, into))?,))
    })
}

/// What makes handles of the ledger's the engine's. The other way is a drop ([`drop_handle`](super::drop_handle)).
fn add_crossings<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    super::add_resources(ledger)?;
    add_crossing::<T, Mappable>(ledger, Kind::Mappable)?;
    add_crossing::<T, Mapping>(ledger, Kind::Mapping)?;
    add_crossing::<T, Frozen>(ledger, Kind::Frozen)?;
    add_crossing::<T, FrozenMapping>(ledger, Kind::FrozenMapping)
}

fn add_crossing<T: MappableView + 'static, R: 'static>(
    ledger: &mut LinkerInstance<'_, T>,
    kind: Kind,
) -> wasmtime::Result<()> {
    ledger.func_wrap(interface::leave(kind), move |mut store: StoreContextMut<'_, T>, (rep,): (u32,)| {
        store.data_mut().mappable().leave(rep, kind)?;
        Ok((give::<R>(rep),))
    })
}

fn add_tables<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    ledger.func_wrap("join", |mut store: StoreContextMut<'_, T>, (memory, name): (WasmList<u8>, WasmList<u8>)| {
        check_runtime(&mut store)?;
        let (memory, name) = (list(&memory, &store), name.as_le_slice(&store).to_vec());
        Ok((store.data_mut().mappable().join_ledger(memory, &name)?,))
    })?;
    ledger.func_wrap("more", |mut store: StoreContextMut<'_, T>, (table,): (u32,)| {
        Ok(store.data_mut().mappable().more_handles(table)?)
    })?;
    ledger.func_wrap("drop", |mut store: StoreContextMut<'_, T>, (region, kind): (u32, u32)| {
        Ok(store.data_mut().mappable().drop_region(region, kind)?)
    })?;
    ledger.func_wrap("fail", |mut store: StoreContextMut<'_, T>, (table, code, first, second): (u32, u32, u32, u32)| {
        let reason = store.data_mut().mappable().failure(table, code, first, second);
        Err::<(), _>(reason.into())
    })
}

fn add_memories<T: MappableView + 'static>(ledger: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    ledger.func_wrap("memory-number", |mut store: StoreContextMut<'_, T>, (memory,): (WasmList<u8>,)| {
        let memory = list(&memory, &store);
        Ok((store.data_mut().mappable().memory_number(memory)?,))
    })?;
    ledger.func_wrap("window", |mut store: StoreContextMut<'_, T>, (table, memory): (u32, WasmList<u8>)| {
        let memory = list(&memory, &store);
        Ok(store.data_mut().mappable().show_window(table, memory)?)
    })?;
    ledger.func_wrap("free-bounce", |mut store: StoreContextMut<'_, T>, (): ()| {
        Ok(store.data_mut().mappable().free_bounce()?)
    })
}

/// Puts in flight what a function gives if it succeeds.
fn given<E>(context: &mut MappableCtx, answer: Result<u32, E>) -> wasmtime::Result<Result<u32, E>> {
    if let Ok(rep) = answer {
        context.give([rep])?;
    }
    Ok(answer.map(|_| ELSEWHERE))
}
