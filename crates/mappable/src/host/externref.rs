//! Regions for core modules: `map` and `unmap` as host functions over an `externref` to a region. It is the core half of
//! the idea, for embedders of modules that are no components.
//!
//! ```text
//! (import "mappable" "map"   (func (param $region externref) (param $at i32) (param $len i32) (result i32)))
//! (import "mappable" "map_private" (func (param $region externref) (param $at i32) (param $len i32) (result i32)))
//! (import "mappable" "unmap" (func (param $region externref) (param $at i32) (result i32)))
//! ```
//!
//! All act on the memory that the calling instance exports as `memory`, with a placement that begins at `at`. They return 0,
//! or a number above 0: one more than the case of the WIT package's `map-error` (1 is `placement-misaligned`).
//! `map_private` is for frozen bytes.
//!
//! The rules are those of components, with one difference. An `externref` can be kept after it was passed on. So a region that
//! is mapped belongs to the memory that it is mapped in, and not to whoever has a reference. These trap:
//!
//! - to map what is mapped, whoever asks, and to unmap it from another memory;
//! - `map_private` of a region that is not frozen;
//! - a placement outside of the memory;
//! - a reference that is null, to something else, or to a region that the host has taken out.
//!
//! No module is rewritten. The functions refresh the memory's base before they return, by [`wasmtime::Memory::grow`] of zero
//! pages. If the engine refuses that, the call traps, the region is lost to the memory, and nothing can be mapped or unmapped
//! there any more. A module whose loops are to be as fast as on a stock engine may go through
//! [`rewrite::preloaded`](crate::rewrite::preloaded) first.
//!
//! ```
//! use mappable::{MappableCtx, MappableView, Runtime, externref};
//! use wasmtime::{ExternRef, Linker, Module, Rooted, Store};
//!
//! struct State {
//!     mappable: MappableCtx,
//! }
//!
//! impl MappableView for State {
//!     fn mappable(&mut self) -> &mut MappableCtx {
//!         &mut self.mappable
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new()?;
//! let module = Module::new(
//!     runtime.engine(),
//!     r#"(module
//!         (import "mappable" "map" (func $map (param externref i32 i32) (result i32)))
//!         (memory (export "memory") 3)
//!         (func (export "first-byte") (param externref) (result i32)
//!             (drop (call $map (local.get 0) (i32.const 65536) (i32.const 65536)))
//!             (i32.load8_u (i32.const 65536))))"#,
//! )?;
//! let mut linker = Linker::new(runtime.engine());
//! externref::add_to_linker::<State>(&mut linker, "mappable")?;
//! let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
//! let instance = linker.instantiate(&mut store, &module)?;
//! let first_byte = instance.get_typed_func::<Option<Rooted<ExternRef>>, i32>(&mut store, "first-byte")?;
//!
//! let region = externref::wrap(&mut store, runtime.allocate_from(b"m")?)?;
//! assert_eq!(first_byte.call(&mut store, Some(region))?, i32::from(b'm'));
//!
//! // Frozen bytes are given and taken in the same way.
//! let frozen = externref::wrap_frozen(&mut store, runtime.allocate_from(b"f")?.freeze()?)?;
//! let frozen = externref::take_frozen(&mut store, frozen)?;
//! // A region that is mapped can't be taken: the module has not unmapped it.
//! assert!(externref::take(&mut store, region).is_err());
//! # Ok(())
//! # }
//! ```

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use wasmtime::component::Resource;
use wasmtime::{AsContext, AsContextMut, Caller, Extern, ExternRef, Linker, Memory, Rooted, Trap};

use super::addresses::MemoryId;
use super::context::MappableCtx;
use super::dropped::Dropped;
use super::error::TrapReason;
use super::mappable_view::MappableView;
use super::mapping::Changed;
use super::operand::{List, RegionKind};
use super::wit_error::WitMapError;
use crate::region::{Frozen, Mappable};

/// What a reference is to.
struct Referent {
    /// An entry of the context, until `taken`.
    rep: u32,
    kind: RegionKind,
    /// Whether the host has taken the region out, or the memory has kept it.
    taken: AtomicBool,
    dropped: Arc<Dropped>,
}

impl Drop for Referent {
    fn drop(&mut self) {
        if !*self.taken.get_mut() {
            self.dropped.push(self.rep);
        }
    }
}

type Reference = Option<Rooted<ExternRef>>;

/// Adds `map`, `map_private` and `unmap` to a linker, under the name of a module. [`externref`](self) has an example.
///
/// # Errors
///
/// The linker's, if it has them already.
pub fn add_to_linker<T: MappableView + 'static>(linker: &mut Linker<T>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(module, "map", |mut caller: Caller<'_, T>, region: Reference, at: u32, len: u32| {
        change(&mut caller, region, (at, len), |context, rep, kind, list| match context.is_mapped(rep) {
            true => Err(TrapReason::Mapped),
            false => context.map(rep, kind, list),
        })
    })?;
    linker.func_wrap(module, "map_private", |mut caller: Caller<'_, T>, region: Reference, at: u32, len: u32| {
        change(&mut caller, region, (at, len), |context, rep, kind, list| match context.is_mapped(rep) {
            true => Err(TrapReason::Mapped),
            false => context.map_private(rep, kind, list),
        })
    })?;
    linker.func_wrap(module, "unmap", |mut caller: Caller<'_, T>, region: Reference, at: u32| {
        change(&mut caller, region, (at, 1), |context, rep, kind, list| match context.is_mapped(rep) {
            true => context.unmap(rep, kind, list),
            false => Err(TrapReason::NotMapped),
        })
    })?;
    Ok(())
}

/// Changes what the caller's memory shows.
fn change<T: MappableView + 'static>(
    caller: &mut Caller<'_, T>,
    region: Reference,
    (at, len): (u32, u32),
    change: impl FnOnce(&mut MappableCtx, u32, RegionKind, List) -> Changed,
) -> wasmtime::Result<u32> {
    let Some(memory) = caller.get_export("memory").and_then(Extern::into_memory) else {
        return Ok(number(WitMapError::PlacementUnmappable));
    };
    let region = region.ok_or(TrapReason::NoRegion)?;
    let (rep, kind) = held(&*caller, region)?;
    let list = List { address: address(&memory, &*caller, at, len)?, len: u64::from(len) };
    let changed = with_context(&mut *caller, |context| change(context, rep, kind, list))?;
    if changed == Err(WitMapError::PlacementUnmappable) {
        let engine = caller.engine().clone();
        with_context(&mut *caller, |context| context.check_engine(&engine))?;
    }
    finish(caller, (rep, region), memory, changed)
}

/// Gives a region to a store. It is freed when the last reference has been collected. [`externref`](self) has an example.
///
/// # Errors
///
/// [`HandleError::AnotherRuntime`](crate::HandleError::AnotherRuntime), and the engine's where it can't make a reference.
pub fn wrap<T: MappableView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    region: Mappable,
) -> wasmtime::Result<Rooted<ExternRef>> {
    let rep = with_context(&mut store, |context| context.insert(region))?.rep();
    refer(store, rep, RegionKind::Mappable)
}

/// Gives frozen bytes to a store, as [`wrap`] does a region. A reference is mapped in one place at a time: for more, give
/// clones.
///
/// # Errors
///
/// As [`wrap`].
pub fn wrap_frozen<T: MappableView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    frozen: Frozen,
) -> wasmtime::Result<Rooted<ExternRef>> {
    let rep = with_context(&mut store, |context| context.insert_frozen(frozen))?.rep();
    refer(store, rep, RegionKind::Frozen)
}

/// Takes a region out of a store. References to it are good for nothing from here on. [`externref`](self) has an example.
///
/// # Errors
///
/// [`TrapReason::NoRegion`], and [`HandleError::NotHeld`](crate::HandleError::NotHeld) while it is mapped.
pub fn take<T: MappableView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    reference: Rooted<ExternRef>,
) -> wasmtime::Result<Mappable> {
    let (rep, _) = held(&store, reference)?;
    let region = with_context(&mut store, |context| context.remove(Resource::new_own(rep)))?;
    set_taken(&store, reference)?;
    Ok(region)
}

/// Takes frozen bytes out of a store, as [`take`] does a region.
///
/// # Errors
///
/// As [`take`].
pub fn take_frozen<T: MappableView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    reference: Rooted<ExternRef>,
) -> wasmtime::Result<Frozen> {
    let (rep, _) = held(&store, reference)?;
    let frozen = with_context(&mut store, |context| context.remove_frozen(Resource::new_own(rep)))?;
    set_taken(&store, reference)?;
    Ok(frozen)
}

fn refer<T: MappableView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    rep: u32,
    kind: RegionKind,
) -> wasmtime::Result<Rooted<ExternRef>> {
    let dropped = with_context(&mut store, |context| Arc::clone(&context.dropped));
    ExternRef::new(store, Referent { rep, kind, taken: AtomicBool::new(false), dropped })
}

impl MappableCtx {
    fn is_mapped(&self, rep: u32) -> bool {
        self.entries.get(rep).is_some_and(|entry| entry.mapped.is_some())
    }

    /// Drops what core modules no longer refer to.
    fn drop_unreferenced(&mut self) {
        self.dropped.take().into_iter().for_each(|rep| self.drop_handle(rep));
    }

    /// Leaves a region, and all else that a memory shows or has shown, to that memory, which is not changed any more:
    /// compiled code has not taken in what was changed last.
    fn poison(&mut self, rep: u32, memory: MemoryId) {
        if let Some(entry) = self.take(rep) {
            self.memories.poison(memory, entry.held);
        }
    }
}

/// Calls `act` with the store's context, in which what nobody refers to any more has been dropped.
fn with_context<T: MappableView + 'static, R>(
    mut store: impl AsContextMut<Data = T>,
    act: impl FnOnce(&mut MappableCtx) -> R,
) -> R {
    let mut store = store.as_context_mut();
    let context = store.data_mut().mappable();
    context.drop_unreferenced();
    act(context)
}

/// The entry that a reference is to.
fn held(store: impl AsContext, reference: Rooted<ExternRef>) -> wasmtime::Result<(u32, RegionKind)> {
    let referent = reference.data(store.as_context())?.and_then(|data| data.downcast_ref::<Referent>());
    let live = referent.filter(|referent| !referent.taken.load(Ordering::Relaxed));
    Ok(live.map(|referent| (referent.rep, referent.kind)).ok_or(TrapReason::NoRegion)?)
}

fn set_taken(store: impl AsContext, reference: Rooted<ExternRef>) -> wasmtime::Result<()> {
    if let Some(referent) = reference.data(store.as_context())?.and_then(|data| data.downcast_ref::<Referent>()) {
        referent.taken.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// The address of `len` bytes at `at`, which must all be in the memory.
fn address(memory: &Memory, store: impl AsContext, at: u32, len: u32) -> Result<usize, Trap> {
    let inside = u64::from(at) + u64::from(len) <= memory.data_size(&store) as u64;
    if inside { Ok(memory.data_ptr(&store).addr() + at as usize) } else { Err(Trap::MemoryOutOfBounds) }
}

/// Has compiled code take the memory's base anew.
fn finish<T: MappableView + 'static>(
    caller: &mut Caller<'_, T>,
    (rep, reference): (u32, Rooted<ExternRef>),
    memory: Memory,
    answer: Result<MemoryId, WitMapError>,
) -> wasmtime::Result<u32> {
    let changed = match answer {
        Ok(changed) => changed,
        Err(error) => return Ok(number(error)),
    };
    if let Err(error) = refresh(caller, memory) {
        // Compiled code goes on with the old base: what that shows must never be another's.
        with_context(&mut *caller, |context| context.poison(rep, changed));
        set_taken(&*caller, reference)?;
        return Err(TrapReason::NotRefreshed(error).into());
    }
    Ok(0)
}

fn refresh<T: MappableView + 'static>(caller: &mut Caller<'_, T>, memory: Memory) -> wasmtime::Result<()> {
    #[cfg(feature = "fault-injection")]
    crate::sys::injection::enter(crate::sys::Call::Refresh)?;
    if memory.grow(&mut *caller, 0).is_ok() {
        return Ok(());
    }
    // The store's limiter is an asynchronous one, of which growth by nothing asks nothing.
    let grown = pin!(memory.grow_async(caller, 0)).poll(&mut Context::from_waker(Waker::noop()));
    match grown {
        Poll::Ready(grown) => grown.map(drop),
        Poll::Pending => Err(wasmtime::Error::msg("the engine waits to let a memory grow by nothing")),
    }
}

fn number(error: WitMapError) -> u32 {
    1 + error as u32
}
