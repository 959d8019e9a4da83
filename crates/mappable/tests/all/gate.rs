//! Only components that `Runtime::compile` has rewritten link to the functions that change what is mapped.

use mappable::rewrite::{ImportError, LowerError, MemoryFault, ReadError, RewriteError, ShapeFault};
use mappable::{CompileError, GRANULE, Runtime, TrapReason};
use wasmtime::Store;
use wasmtime::component::{Component, Type, Val};

use crate::support::{
    G, Guest, Setup, State, World, add_env, linker, on_every_baseline_setup, on_every_setup, trapped,
};
use crate::wat;

/// Functions of a guest that call one of the package's, and how the guest comes by the handle that they take.
const CALLS: [(&str, Option<&str>); 7] = [
    ("allocate", None),
    ("map", Some("take")),
    ("size", Some("take")),
    ("read", Some("take")),
    ("freeze", Some("take")),
    ("map-frozen", Some("take-frozen")),
    ("size-frozen", Some("take-frozen")),
];

on_every_setup! {
    fn a_component_that_was_compiled_otherwise_can_do_nothing(setup) {
        let world = World::new(setup);
        let otherwise = |text: &str| {
            let binary = ::wat::parse_str(text).unwrap();
            Component::from_binary(world.runtime().engine(), &binary).unwrap()
        };
        let text = wat::guest(setup.memory());
        let instantiate = |component: &Component| -> wasmtime::Result<_> {
            let mut store = Store::new(world.runtime().engine(), State::new(world.runtime()));
            let instance = world.fixture.linker.instantiate(&mut store, component)?;
            let guest = Guest::new(instance, &mut store, None);
            Ok((store, guest))
        };
        // Each function of the package says why, and no other is linked.
        for (name, handles) in CALLS {
            let (mut store, guest) = instantiate(&otherwise(&text)).unwrap();
            let func = guest.func(&mut store, name);
            let (params, results) = (func.ty(&store).params().len(), func.ty(&store).results().len());
            let mut given = vec![];
            if let Some(take) = handles {
                let region = world.region(1, 1);
                let context = &mut store.data_mut().mappable;
                let taken: wasmtime::Result<u32> = if take == "take" {
                    let region = context.insert(region).unwrap();
                    guest.call(&mut store, "take", (region,))
                } else {
                    let frozen = context.insert_frozen(region.freeze().unwrap()).unwrap();
                    guest.call(&mut store, "take-frozen", (frozen,))
                };
                given.push(Val::U32(taken.unwrap()));
            }
            let ty = func.ty(&store);
            let rest = ty.params().skip(given.len()).map(|(_, ty)| match ty {
                Type::U64 => Val::U64(0),
                _ => Val::U32(0),
            });
            given.extend(rest);
            assert_eq!(given.len(), params, "{name}");
            let error = trapped(func.call(&mut store, &given, &mut vec![Val::Bool(false); results]));
            assert!(matches!(error.downcast_ref(), Some(TrapReason::NotCompiled)), "{name}: {error:?}");
        }
        let forged = otherwise(&text.replace("mappable:memory/", "mappable:k00/"));
        assert!(instantiate(&forged).is_err());
    }

    fn a_linker_that_lacks_the_functions_is_told_what_to_call(setup) {
        let world = World::new(setup);
        let component = world.fixture.compile(&wat::guest(setup.memory()));
        let mut store = Store::new(world.runtime().engine(), State::new(world.runtime()));
        let mut linker = wasmtime::component::Linker::<State>::new(world.runtime().engine());
        add_env(&mut linker);
        let error = format!("{:#}", linker.instantiate(&mut store, &component).err().unwrap());
        assert!(error.contains("needs-add-to-linker"), "{error}");
    }

    fn an_older_compatible_version_is_linked(setup) {
        let mut world = World::new(setup);
        // In semantic versions of 0.x, another patch is compatible either way.
        for name in ["mappable:memory/types@0.1.9", "mappable:memory/types@0.1.0"] {
            let component = world.fixture.compile(&wat::guest_importing(name, setup.memory()));
            let instance = world.instantiate(&component);
            let guest = Guest::new(instance, &mut world, None);
            let region = guest.allocate(&mut world, GRANULE).unwrap();
            assert_eq!(guest.call::<_, u32>(&mut world, "map-and-load", (region, G, G, G)).unwrap(), 0);
            guest.fill(&mut world, G, 1, G);
        }
    }
}

on_every_baseline_setup! {
    fn an_incompatible_version_is_refused_with_both_versions(setup) {
        let world = World::new(setup);
        for name in ["mappable:memory/types@0.2.0", "mappable:memory/types@1.0.0", "mappable:memory/types"] {
            let text = wat::guest_importing(name, setup.memory());
            let error = world.runtime().compile(text.as_bytes()).map(drop).unwrap_err().to_string();
            assert!(error.contains(&format!("imports `{name}`")), "{error}");
            assert!(error.contains("this host offers version 0.1.0 of `mappable:memory`"), "{error}");
        }
    }
}

#[test]
fn what_the_host_offers_to_trusted_modules_is_no_components_to_import() {
    for name in ["mappable:memory/ledger@0.1.0", "mappable:memory/ledger@0.1.5"] {
        let text = format!(r#"(component (import "{name}" (instance (export "free-bounce" (func)))))"#);
        assert!(
            matches!(refused(&text), RewriteError::Import(ImportError::LedgerInterface { import }) if import == name),
            "{name}"
        );
    }
}

#[test]
fn what_is_refused_says_why_in_its_own_text() {
    // Types within types, deeper than the validator takes.
    let types: String = (1..200).map(|at| format!("(type (list {}))", at - 1)).collect();
    for (bytes, why) in [
        (format!("(component (type (list u8)) {types})").as_bytes(), "type nesting is too deep"),
        (&b""[..], "it is empty"),
        (&b"\n"[..], "it is empty"),
        (&b"(module)"[..], "it is a core module"),
    ] {
        let error = Runtime::new().unwrap().compile(bytes).map(drop).unwrap_err().to_string();
        assert!(error.contains(why) && error.lines().count() == 1, "{error}");
    }
}

fn refused(text: &str) -> RewriteError {
    let runtime = Runtime::new().unwrap();
    match runtime.compile(text.as_bytes()) {
        Err(CompileError::Rewrite(error)) => error,
        other => panic!("not refused by the rewriter: {:?}", other.map(drop)),
    }
}

#[test]
fn a_marked_function_of_another_shape_is_refused() {
    let good = wat::guest("16");
    let own = r#"(export "[static]mappable.map" (func (param "this" (own $mappable))"#;
    assert!(good.contains(own));
    let borrow = good.replace(own, &own.replace("own", "borrow"));
    assert!(matches!(
        refused(&borrow),
        RewriteError::Lower(LowerError::WrongShape { fault: ShapeFault::BorrowedHandle, .. })
    ));

    let unmap = r#"(result (own $mappable) (error (tuple (own $mapping) $map-error)))"#;
    assert!(good.contains(unmap));
    let same = good.replace(unmap, r#"(result (own $mapping) (error (tuple (own $mapping) $map-error)))"#);
    assert!(matches!(
        refused(&same),
        RewriteError::Lower(LowerError::WrongShape { fault: ShapeFault::SameResource, .. })
    ));

    // The mark on a function that does something else.
    let granule =
        good.replace(r#"(export "granule" (func (result u32)))"#, r#"(export "granule" (func (result $map-error)))"#);
    assert_ne!(granule, good);
    assert!(matches!(refused(&granule), RewriteError::Lower(LowerError::WrongShape { .. })));
}

/// A component that maps, with this memory.
fn mapper(memory: &str, options: &str) -> String {
    format!(
        r#"(component {types}
            (core module $M (memory (export "mem") {memory}))
            (core instance $m (instantiate $M))
            (alias core export $m "mem" (core memory $mem))
            (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem) {options})))"#,
        types = wat::import_types(wat::TYPES),
    )
}

#[test]
fn a_memory_that_mapping_cannot_be_sound_in_is_refused() {
    let runtime = Runtime::new().unwrap();
    runtime.compile(mapper("1", "").as_bytes()).unwrap();
    runtime.compile(mapper("1 5", "").as_bytes()).unwrap();
    for (memory, fault) in [("i64 1", MemoryFault::Memory64), ("1 5 shared", MemoryFault::Shared)] {
        match refused(&mapper(memory, "")) {
            RewriteError::Lower(LowerError::RefusedMemory { fault: found, .. }) => assert_eq!(found, fault),
            RewriteError::Read(ReadError::Invalid(error)) => {
                assert!(error.to_string().contains("memor"), "{memory}: {error}")
            }
            other => panic!("{memory}: {other:?}"),
        }
    }
}

#[test]
fn an_async_lower_is_refused() {
    assert!(matches!(
        refused(&mapper("1", "async")),
        RewriteError::Lower(LowerError::RefusedOption { .. })
            | RewriteError::Read(ReadError::Invalid(_))
            | RewriteError::Lower(LowerError::WrongCoreType { .. })
    ));
}

#[test]
fn a_component_that_maps_nothing_is_compiled_as_it_is() {
    let mut config = wasmtime::Config::new();
    config.shared_memory(true);
    let runtime = Runtime::builder().config(config).build().unwrap();
    let mut store = Store::new(runtime.engine(), State::new(&runtime));
    let component = runtime.compile(
        br#"(component
            (core module $m (memory i64 1) (memory 1 2 shared) (func (export "f") (result i32) (i32.const 42)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#,
    );
    let instance = linker(&runtime).instantiate(&mut store, &component.unwrap()).unwrap();
    let f = instance.get_typed_func::<(), (u32,)>(&mut store, "f").unwrap();
    assert_eq!(f.call(&mut store, ()).unwrap(), (42,));
}

#[test]
fn what_is_no_component_is_refused() {
    let runtime = Runtime::new().unwrap();
    assert!(matches!(runtime.compile(b"(component (nonsense))"), Err(CompileError::Text(_))));
    assert!(matches!(runtime.compile(b"\0asm\x01\0\0\0"), Err(CompileError::Rewrite(_))));
    assert!(matches!(runtime.compile(b"\0asm\x0d\0\x01\0garbage"), Err(CompileError::Rewrite(_))));
    let precompiled = runtime.engine().precompile_component(b"(component)").unwrap();
    assert!(runtime.compile(&precompiled).is_err());
}

#[test]
fn the_functions_are_added_once() {
    let runtime = Setup::Swap.runtime();
    let mut linker = wasmtime::component::Linker::<State>::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker).unwrap();
    assert!(mappable::add_to_linker::<State>(&mut linker).is_err());
}
