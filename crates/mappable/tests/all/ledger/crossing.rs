//! Random types that cross: what the host gives comes to its own function, by way of a component, and back.

use mappable::{GRANULE, Handle};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wasmtime::StoreContextMut;
use wasmtime::component::{Resource, ResourceAny, Val};

use crate::support::{Setup, State, World};
use crate::wat;

/// A value that crosses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Mappable,
    Frozen,
    Bool(bool),
    U8(u8),
    S16(i16),
    U32(u32),
    S64(i64),
    F32(f32),
    F64(f64),
    Char(char),
}

impl Value {
    /// Its type, and the core one.
    fn ty(self) -> (&'static str, &'static str) {
        match self {
            Self::Mappable => ("(own $mappable)", "i32"),
            Self::Frozen => ("(own $frozen)", "i32"),
            Self::Bool(_) => ("bool", "i32"),
            Self::U8(_) => ("u8", "i32"),
            Self::S16(_) => ("s16", "i32"),
            Self::U32(_) => ("u32", "i32"),
            Self::S64(_) => ("s64", "i64"),
            Self::F32(_) => ("f32", "f32"),
            Self::F64(_) => ("f64", "f64"),
            Self::Char(_) => ("char", "i32"),
        }
    }

    /// Of a value without a handle.
    fn plain(self) -> Val {
        match self {
            Self::Bool(it) => Val::Bool(it),
            Self::U8(it) => Val::U8(it),
            Self::S16(it) => Val::S16(it),
            Self::U32(it) => Val::U32(it),
            Self::S64(it) => Val::S64(it),
            Self::F32(it) => Val::Float32(it),
            Self::F64(it) => Val::Float64(it),
            Self::Char(it) => Val::Char(it),
            Self::Mappable | Self::Frozen => panic!("a handle is not plain"),
        }
    }

    /// A value for a call; handles are of regions of so many granules.
    fn lower(self, world: &mut World, granules: u64) -> Val {
        match self {
            Self::Mappable => {
                let region = world.region(granules, 1);
                let handle = world.insert(region);
                Val::Resource(handle.try_into_resource_any(&mut world.store).unwrap())
            }
            Self::Frozen => {
                let frozen = world.region(granules, 1).freeze().unwrap();
                let handle = world.store.data_mut().mappable.insert_frozen(frozen).unwrap();
                Val::Resource(handle.try_into_resource_any(&mut world.store).unwrap())
            }
            plain => plain.plain(),
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => Just(Value::Mappable),
        3 => Just(Value::Frozen),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<u8>().prop_map(Value::U8),
        1 => any::<i16>().prop_map(Value::S16),
        1 => any::<u32>().prop_map(Value::U32),
        1 => any::<i64>().prop_map(Value::S64),
        1 => prop::num::f32::NORMAL.prop_map(Value::F32),
        1 => prop::num::f64::NORMAL.prop_map(Value::F64),
        1 => any::<char>().prop_map(Value::Char),
    ]
}

/// A component that passes all that it is given to the root's import, and gives back what that does: one of the values.
fn composition(memory: &str, values: &[Value], back: Option<Value>) -> String {
    let types = wat::import_types(wat::TYPES);
    let params: String = values.iter().enumerate().map(|(n, it)| format!(r#"(param "p{n}" {}) "#, it.ty().0)).collect();
    let result = back.map_or(String::new(), |it| format!("(result {})", it.ty().0));
    let core_params: String = values.iter().map(|it| format!("(param {}) ", it.ty().1)).collect();
    let core_result = back.map_or(String::new(), |it| format!("(result {})", it.ty().1));
    let all: String = (0..values.len()).map(|n| format!("(local.get {n}) ")).collect();
    format!(
        r#"(component {types}
          (import "there" (func $there {params} {result}))
          (component $A {types}
            (import "there" (func $there {params} {result}))
            (core module $m (memory (export "m") {memory}))
            (core instance $m (instantiate $m))
            (core func $there (canon lower (func $there)))
            (core module $user
              (import "" "there" (func $there {core_params} {core_result}))
              (func (export "pass") {core_params} {core_result} (call $there {all})))
            (core instance $user (instantiate $user (with "" (instance (export "there" (func $there))))))
            (func (export "pass") {params} {result} (canon lift (core func $user "pass"))))
          (instance $a (instantiate $A (with "{name}" (instance $types)) (with "there" (func $there))))
          (export "pass" (func $a "pass")))"#,
        name = wat::TYPES,
    )
}

/// The size of what a handle that crosses stands for, in granules.
fn granules(store: &mut StoreContextMut<'_, State>, handle: ResourceAny, frozen: bool) -> wasmtime::Result<u64> {
    let size = if frozen {
        let handle = Resource::try_from_resource_any(handle, &mut *store)?;
        store.data_mut().mappable.remove_frozen(handle)?.len() as u64
    } else {
        let handle: Handle = Resource::try_from_resource_any(handle, &mut *store)?;
        store.data_mut().mappable.remove(handle)?.size()
    };
    Ok(size / GRANULE)
}

/// Calls it once; each value must arrive as it was, and the one that is given back, too.
fn crosses(setup: Setup, values: &[Value], back: Option<usize>) {
    let mut world = World::new(setup);
    let text = composition(setup.memory(), values, back.map(|at| values[at]));
    let component = world.fixture.runtime.compile(text.as_bytes()).unwrap();
    let mut linker = world.fixture.linker.clone();
    let expected = values.to_vec();
    let there = move |mut store: StoreContextMut<'_, State>, _, params: &[Val], results: &mut [Val]| {
        for (at, (param, value)) in params.iter().zip(&expected).enumerate() {
            match (param, value) {
                _ if Some(at) == back => results[0] = param.clone(),
                (Val::Resource(handle), kind) => {
                    let found = granules(&mut store, *handle, *kind == Value::Frozen)?;
                    assert_eq!(found, at as u64 + 1, "handle {at} of {expected:?}");
                }
                (param, value) => assert_eq!(*param, value.plain(), "value {at} of {expected:?}"),
            }
        }
        Ok(())
    };
    linker.root().func_new("there", there).unwrap();
    let instance = linker.instantiate(&mut world.store, &component).unwrap();
    let pass = instance.get_func(&mut world.store, "pass").unwrap();
    let params: Vec<Val> = (1..).zip(values).map(|(granules, it)| it.lower(&mut world, granules)).collect();
    let mut results = vec![Val::Bool(false); usize::from(back.is_some())];
    pass.call(&mut world.store, &params, &mut results).unwrap();
    if let Some(at) = back {
        match (&results[0], values[at]) {
            (Val::Resource(handle), kind) => {
                let mut store = wasmtime::AsContextMut::as_context_mut(&mut world.store);
                assert_eq!(granules(&mut store, *handle, kind == Value::Frozen).unwrap(), at as u64 + 1);
            }
            (given, value) => assert_eq!(*given, value.plain()),
        }
    }
    assert_eq!(world.held(), (0, 0));
}

#[test]
fn whatever_can_cross_arrives_as_it_was() {
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, ..ProptestConfig::default() });
    let values = prop::collection::vec(value(), 1..=16);
    let input = (values, prop::option::of(any::<prop::sample::Index>()));
    let test = |(mut values, back): (Vec<Value>, Option<prop::sample::Index>)| {
        // Or it is no tree for the ledger.
        values[0] = Value::Mappable;
        let back = back.map(|at| at.index(values.len()));
        for setup in [Setup::Swap, Setup::LedgerSwap] {
            crosses(setup, &values, back);
        }
        Ok(())
    };
    runner.run(&input, test).unwrap();
}
