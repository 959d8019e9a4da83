//! The embedder's mistakes are errors that say so: none is called a bug in mappable, or a guest's.

use mappable::{AllocateError, FrozenHandle, Handle, HandleError, MappableCtx, Mapping, TrapReason, externref};
use wasmtime::component::Resource;
use wasmtime::{ExternRef, Linker, Module, Rooted, Store};

use crate::support::*;
use crate::wat;

/// What a guest does with a handle that it was given.
type Use = fn(&Guest, &mut World, u32) -> wasmtime::Result<()>;

const REGION: [Use; 5] = [
    |guest, world, handle| guest.try_map(world, handle, 4 * G, G).map(drop),
    |guest, world, handle| guest.call::<_, u64>(world, "size", (handle,)).map(drop),
    |guest, world, handle| guest.call::<_, u32>(world, "freeze", (handle,)).map(drop),
    |guest, world, handle| guest.call::<_, i64>(world, "read", (handle, 0u64, 8u32, 8192u32)).map(drop),
    |guest, world, handle| guest.call::<_, i64>(world, "write", (handle, 0u64, 8192u32, 8u32)).map(drop),
];

const FROZEN: [Use; 3] = [
    |guest, world, handle| guest.call::<_, u64>(world, "map-frozen", (handle, 4 * G, G)).map(drop),
    |guest, world, handle| guest.call::<_, u64>(world, "size-frozen", (handle,)).map(drop),
    |guest, world, handle| guest.call::<_, u64>(world, "thaw", (handle,)).map(drop),
];

/// The host's mistake is told as such, where it is made or where the handle is used.
#[track_caller]
fn not_given(answer: wasmtime::Result<()>, rep: u32, kind: &str) {
    let error = trapped(answer);
    let Some(TrapReason::NotGiven { rep: told, kind: told_kind }) = error.downcast_ref() else { panic!("{error:?}") };
    assert_eq!((*told, *told_kind), (rep, kind));
    let text = format!("{error:#}");
    assert!(text.contains(&format!("handle {rep} was not given to this store as a {kind}")), "{text}");
}

/// What a host does with a region's handle, and the number that it passes to a guest after it.
type Mistake = fn(&mut World, &Guest) -> u32;

const MISTAKES: [Mistake; 5] = [
    // Made up.
    |_, _| 999,
    // Taken out.
    |world, _| {
        let region = world.region(1, 1);
        let handle = world.insert(region);
        let rep = handle.rep();
        drop(world.remove(handle));
        rep
    },
    // Passed twice, and mapped, or gone, by then.
    |world, guest| {
        let region = world.region(1, 1);
        let handle = world.insert(region);
        let rep = handle.rep();
        let taken = guest.take(world, handle).unwrap();
        guest.map(world, taken, 2 * G, G).unwrap();
        rep
    },
    |world, guest| {
        let region = world.region(1, 1);
        let handle = world.insert(region);
        let rep = handle.rep();
        let taken = guest.take(world, handle).unwrap();
        guest.run(world, "drop-mappable", (taken,)).unwrap();
        rep
    },
    // The handle is of another kind.
    |world, _| {
        let frozen = world.region(1, 1).freeze().unwrap();
        world.data_mut().mappable.insert_frozen(frozen).unwrap().rep()
    },
];

on_every_open_setup! {
    fn a_region_that_was_not_given_to_the_store_is_the_embedders_mistake(setup) {
        for mistake in MISTAKES {
            for act in REGION {
                let (mut world, guest) = World::with_guest(setup);
                let rep = mistake(&mut world, &guest);
                let taken = guest.take(&mut world, Handle::new_own(rep));
                not_given(taken.and_then(|handle| act(&guest, &mut world, handle)), rep, "mappable");
            }
        }
    }

    fn a_reference_that_was_not_given_to_the_store_is_the_embedders_mistake(setup) {
        for act in FROZEN {
            let (mut world, guest) = World::with_guest(setup);
            let region = world.region(1, 1);
            let rep = world.insert(region).rep();
            let taken = guest.take_frozen(&mut world, FrozenHandle::new_own(rep));
            not_given(taken.and_then(|handle| act(&guest, &mut world, handle)), rep, "frozen");
        }
    }

    fn what_the_host_does_not_have_is_not_its_to_take(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let region = world.region(1, 1);
        let handle = world.insert(region);
        let rep = handle.rep();
        guest.take(&mut world, handle).unwrap();
        let context = &mut world.data_mut().mappable;
        let refused = |context: &mut MappableCtx, rep| context.remove(Handle::new_own(rep)).unwrap_err();
        assert_eq!(refused(context, 999), HandleError::NotHeld(999));
        assert!(refused(context, 999).to_string().contains("was not given to this store"));
        // The engine's tables are nobody else's to look at; the ledger's say that a guest has it, if it came by a call
        // between guests.
        if setup.is_ledger() && !setup.is_crossing() {
            assert_eq!(refused(context, rep), HandleError::NotHeld(rep));
        }
    }
}

on_every_baseline_setup! {
    fn a_mapping_that_the_embedder_made_up_is_its_mistake(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let taken = guest.call::<_, u32>(&mut world, "take-mapping", (Resource::<Mapping>::new_own(999),));
        let unmapped = taken.and_then(|handle| guest.try_unmap(&mut world, handle, 4 * G, G)).map(drop);
        not_given(unmapped, 999, "mapping");
    }

    fn a_region_of_a_core_module_says_when_the_context_is_of_another_runtime(setup) {
        let (runtime, other) = (setup.runtime(), setup.runtime());
        let module = r#"(module
            (import "mappable" "map" (func $map (param externref i32 i32) (result i32)))
            (memory (export "memory") 3)
            (func (export "map") (param externref) (result i32)
                (call $map (local.get 0) (i32.const 65536) (i32.const 65536))))"#;
        let module = Module::new(runtime.engine(), module).unwrap();
        let mut linker = Linker::new(runtime.engine());
        externref::add_to_linker::<State>(&mut linker, "mappable").unwrap();
        let mut store = Store::new(runtime.engine(), State::new(&other));
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let map = instance.get_typed_func::<Option<Rooted<ExternRef>>, i32>(&mut store, "map").unwrap();
        let region = externref::wrap(&mut store, other.allocate_from(&[1]).unwrap()).unwrap();
        of_another_runtime(map.call(&mut store, Some(region)));
    }
}

#[track_caller]
fn of_another_runtime<T: std::fmt::Debug>(answer: wasmtime::Result<T>) {
    let error = trapped(answer);
    assert!(matches!(error.downcast_ref(), Some(TrapReason::AnotherRuntime)), "{error:?}");
}

on_every_setup! {
    fn a_context_of_another_runtime_is_named(setup) {
        let fixture = setup.fixture();
        let other = setup.runtime();
        let component = fixture.compile(&wat::guest(setup.memory()));
        let mut store = Store::new(fixture.runtime.engine(), State::new(&other));
        let instance = fixture.linker.instantiate(&mut store, &component);
        if setup.is_ledger() {
            return of_another_runtime(instance);
        }
        let guest = Guest::new(instance.unwrap(), &mut store, None);
        let region = guest.allocate(&mut store, u64::from(G)).unwrap();
        of_another_runtime(guest.try_map(&mut store, region, 4 * G, G));
    }
}

/// Aliased slices have more bytes together than there are addresses.
#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[allow(unsafe_code)]
fn more_bytes_than_can_be_counted_are_no_region() {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    let len = 1 << 46;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: the kernel picks a range that nobody uses.
    let zeroes = unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ, flags) }.unwrap();
    // SAFETY: all of it can be read, and it stays until the end.
    let slice = unsafe { std::slice::from_raw_parts(zeroes.cast::<u8>(), len) };
    let runtime = Setup::Swap.runtime();
    // Exactly as many as a number of 64 bits goes round by, with some more, and without.
    for slices in [vec![slice; 1 << 18], vec![slice; (1 << 18) + 1], vec![slice; (1 << 18) - 1]] {
        let error = runtime.allocate_from_slices(&slices).unwrap_err();
        assert!(matches!(error, AllocateError::RegionsExhausted(_)), "{error}");
    }
    // SAFETY: it is that range, and nobody has a reference into it any more.
    unsafe { munmap(zeroes, len) }.unwrap();
}
