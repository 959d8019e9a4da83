//! Two guests in a store, whose trusted modules are written by hand, and what a test does with them.

use wasmtime::component::{Component, Func, Instance, Linker, Val};
use wasmtime::{Config, Store};

use crate::host::gate::gate;
use crate::host::{MappableCtx, MappableView, MappingMode, Runtime, TrapReason};
use crate::ledger::interface::INTERFACE;
use crate::ledger::{Kind, layout};
use crate::{GRANULE, Limits};

pub(super) struct State {
    pub(super) mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

pub(super) const G: u32 = GRANULE as u32;

/// The trusted module of a guest. Field for field it does what the interface says, and counts how often it asks the host.
pub(super) const TRUSTED: &str = include_str!("trusted.wat");

/// The ledger's interface, as the host offers it.
pub(super) fn interface() -> String {
    let name = gate().unwrap().gate.import_name(INTERFACE);
    format!(
        r#"(type $interface (instance
            (type $map-error' (enum "placement-misaligned" "placement-too-small" "placement-overlaps"
                "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
            (export "map-error" (type $map-error (eq $map-error')))
            (type $allocate-error' (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
            (export "allocate-error" (type $allocate-error (eq $allocate-error')))
            (type $part-error' (enum "part-misaligned" "part-outside-region" "region-over-quota"))
            (export "part-error" (type $part-error (eq $part-error')))
            (type $change (func (param "this" u32) (param "at" (list u8))
                (result (result u32 (error (tuple u32 $map-error))))))
            (export "mappable-map" (func (type $change))) (export "mapping-unmap" (func (type $change)))
            (export "frozen-map" (func (type $change))) (export "frozen-mapping-unmap" (func (type $change)))
            (export "mappable-allocate" (func (param "size" u64) (result (result u32 (error $allocate-error)))))
            (export "mappable-size" (func (param "self" u32) (result u64)))
            (export "mappable-freeze" (func (param "this" u32) (result u32)))
            (export "frozen-thaw" (func (param "this" u32) (result (result u32 (error u32)))))
            (export "mappable-split" (func (param "this" u32) (param "at" u64)
                (result (result (tuple u32 u32) (error (tuple u32 $part-error))))))
            (export "join" (func (param "memory" (list u8)) (param "name" (list u8)) (result u32)))
            (export "more" (func (param "table" u32)))
            (export "drop" (func (param "region" u32) (param "kind" u32)))
            (export "fail" (func (param "table" u32) (param "code" u32) (param "first" u32) (param "second" u32)))
            (export "memory-number" (func (param "memory" (list u8)) (result u32)))
            (export "window" (func (param "table" u32) (param "memory" (list u8))))
            (export "free-bounce" (func))))
          (import "{name}" (instance $ledger (type $interface)))"#
    )
}

/// The trusted functions that a guest of the tests exports, and how many parameters each has.
pub(super) const FUNCTIONS: [(&str, usize); 23] = [
    ("map", 3),
    ("unmap", 2),
    ("frozen-map", 3),
    ("frozen-unmap", 2),
    ("allocate", 1),
    ("freeze", 1),
    ("thaw", 1),
    ("split", 1),
    ("second", 0),
    ("size", 1),
    ("send-and-size", 2),
    ("drop", 2),
    ("more", 0),
    ("fail", 3),
    ("memory-number", 0),
    ("calls", 0),
    ("word", 1),
    ("set-word", 2),
    ("poke", 2),
    ("peek", 1),
    ("fill", 3),
    ("grow", 1),
    ("number", 0),
];

/// A component of two guests, `a` and `b`, each with a table, and a window if they are to have one.
pub(super) fn composition(memory: &str, windows: bool) -> String {
    let lift = |instance: &str, name: &str, export: &str, params: usize| {
        let params: String = (0..params).map(|p| format!("(param \"p{p}\" u32)")).collect();
        format!("(func (export \"{export}\") {params} (result u32) (canon lift (core func ${instance} \"{name}\")))")
    };
    let mut lifts: String = FUNCTIONS.map(|(name, params)| lift("t", name, name, params)).concat();
    let mut window = String::new();
    if windows {
        window.push_str(
            r#"(core instance $w (instantiate $Page)) (alias core export $w "memory" (core memory $window))
            (core func $show (canon lower (func $ledger "window") (memory $window)))
            (core instance $x (instantiate $Windows (with "" (instance (export "window" (memory $window))
                (export "ledger" (memory $joined)) (export "show" (func $show))
                (export "number" (func $t "number"))))))"#,
        );
        lifts.push_str(&(lift("x", "aim", "aim", 1) + &lift("x", "peek", "peek-window", 1)));
    }
    format!(
        r#"(component $root {interface}
          {trusted}
          (core module $Page (memory (export "memory") 1))
          (core module $Guest (memory (export "memory") {memory}))
          (component $C
            (alias outer $root $interface (type $interface))
            (import "ledger" (instance $ledger (type $interface)))
            (alias outer $root $Trusted (core module $Trusted)) (alias outer $root $Page (core module $Page))
            (alias outer $root $Guest (core module $Guest)) (alias outer $root $Windows (core module $Windows))
            (core instance $g (instantiate $Guest)) (alias core export $g "memory" (core memory $guest))
            (core instance $l (instantiate $Page)) (alias core export $l "memory" (core memory $joined))
            (core func $join (canon lower (func $ledger "join") (memory $joined)))
            (core func $map (canon lower (func $ledger "mappable-map") (memory $guest)))
            (core func $unmap (canon lower (func $ledger "mapping-unmap") (memory $guest)))
            (core func $frozen-map (canon lower (func $ledger "frozen-map") (memory $guest)))
            (core func $frozen-unmap (canon lower (func $ledger "frozen-mapping-unmap") (memory $guest)))
            (core func $allocate (canon lower (func $ledger "mappable-allocate") (memory $guest)))
            (core func $freeze (canon lower (func $ledger "mappable-freeze")))
            (core func $thaw (canon lower (func $ledger "frozen-thaw") (memory $guest)))
            (core func $split (canon lower (func $ledger "mappable-split") (memory $guest)))
            (core func $size (canon lower (func $ledger "mappable-size")))
            (core func $drop (canon lower (func $ledger "drop"))) (core func $more (canon lower (func $ledger "more")))
            (core func $fail (canon lower (func $ledger "fail")))
            (core func $memory-number (canon lower (func $ledger "memory-number") (memory $guest)))
            (core instance $t (instantiate $Trusted (with "" (instance
              (export "ledger" (memory $joined)) (export "guest" (memory $guest)) (export "join" (func $join))
              (export "map" (func $map)) (export "unmap" (func $unmap)) (export "frozen-map" (func $frozen-map))
              (export "frozen-unmap" (func $frozen-unmap)) (export "allocate" (func $allocate))
              (export "freeze" (func $freeze)) (export "thaw" (func $thaw)) (export "split" (func $split))
              (export "size" (func $size)) (export "drop" (func $drop)) (export "more" (func $more))
              (export "fail" (func $fail)) (export "memory-number" (func $memory-number))))))
            {window}
            {lifts})
          (instance $a (instantiate $C (with "ledger" (instance $ledger))))
          (instance $b (instantiate $C (with "ledger" (instance $ledger))))
          (export "a" (instance $a)) (export "b" (instance $b)))"#,
        interface = interface(),
        trusted = constants(TRUSTED),
    )
}

/// Puts the numbers of the layout in.
pub(super) fn constants(text: &str) -> String {
    macro_rules! layout {
        ($($name:ident)*) => { vec![$((stringify!($name), layout::$name)),*] };
    }
    let mut all = layout! {
        FLIGHT_LEN FLIGHT_NEXT FLIGHT MAPPED MAX_MAPPINGS LINGERING REGIONS REGION REGION_SOURCE REGION_GRANULES NO_SOURCE
        REGION_MEMORY REGION_AT REGION_LEN TABLES TABLE TABLE_AIM MEMORY_SELECTOR MEMORY_GENERATION MEMORY_TRANSITIONS TRANSITION TRANSITIONS
        TRANSITION_FROM TRANSITION_GENERATION TRANSITION_SOURCE TRANSITION_GRANULES TRANSITION_AT TRANSITION_LEN TRANSITION_TO
    };
    all.extend([
        ("Mappable", Kind::Mappable as u32),
        ("Mapping", Kind::Mapping as u32),
        ("FrozenMapping", Kind::FrozenMapping as u32),
        ("Frozen", Kind::Frozen as u32),
        ("BorrowedMappable", Kind::Mappable as u32 | layout::BORROWED),
    ]);
    all.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let replaced = all.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("@{name}"), &value.cast_signed().to_string())
    });
    assert!(!replaced.contains('@'), "a constant is not known");
    replaced
}

/// Two guests in a store.
pub(super) struct World {
    pub(super) store: Store<State>,
    pub(super) instance: Instance,
}

#[derive(Clone, Copy)]
pub(super) enum Who {
    A,
    B,
}
pub(super) use Who::{A, B};

impl World {
    pub(super) fn new(mapping: MappingMode, memory: &str) -> Self {
        Self::with(mapping, memory, Limits::default(), 128)
    }

    pub(super) fn with(mapping: MappingMode, memory: &str, limits: Limits, views: usize) -> Self {
        let mut config = Config::new();
        config.concurrency_support(false);
        crate::install_fault_handler().unwrap();
        let runtime = Runtime::builder().config(config).mapping(mapping).max_views(1000, views).build().unwrap();
        let windows = mapping != MappingMode::Copy;
        let component = Component::new(runtime.engine(), composition(memory, windows)).unwrap();
        let mut linker = Linker::new(runtime.engine());
        crate::add_to_linker::<State>(&mut linker).unwrap();
        let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
        store.data_mut().mappable.set_limits(limits);
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Self { store, instance }
    }

    pub(super) fn func(&mut self, who: Who, name: &str) -> Func {
        let guest = self.instance.get_export_index(&mut self.store, None, if matches!(who, A) { "a" } else { "b" });
        let index = self.instance.get_export_index(&mut self.store, guest.as_ref(), name).unwrap();
        self.instance.get_func(&mut self.store, index).unwrap()
    }

    pub(super) fn try_call(&mut self, who: Who, name: &str, params: &[u32]) -> wasmtime::Result<u32> {
        let func = self.func(who, name);
        let params: Vec<Val> = params.iter().map(|param| Val::U32(*param)).collect();
        let mut results = [Val::U32(0)];
        func.call(&mut self.store, &params, &mut results)?;
        let [Val::U32(result)] = results else { unreachable!() };
        Ok(result)
    }

    #[track_caller]
    pub(super) fn call(&mut self, who: Who, name: &str, params: &[u32]) -> u32 {
        self.try_call(who, name, params).unwrap()
    }

    #[track_caller]
    pub(super) fn trap(&mut self, who: Who, name: &str, params: &[u32]) -> TrapReason {
        self.try_call(who, name, params).unwrap_err().downcast().unwrap()
    }

    pub(super) fn word(&mut self, at: u32) -> u32 {
        self.call(A, "word", &[at])
    }

    /// Maps, looks at a byte, changes it, and unmaps. Returns what was there.
    #[track_caller]
    pub(super) fn visit(&mut self, who: Who, region: u32, at: u32, byte: u32) -> u32 {
        assert_eq!(self.call(who, "map", &[region, at, G]), 0);
        let found = self.call(who, "peek", &[at]);
        self.call(who, "poke", &[at, byte]);
        assert_eq!(self.call(who, "unmap", &[region, at]), 0);
        found
    }

    /// What `act` costs in calls of the host, of one guest.
    pub(super) fn calls<R>(&mut self, who: Who, act: impl FnOnce(&mut Self) -> R) -> u32 {
        let before = self.call(who, "calls", &[]);
        act(self);
        self.call(who, "calls", &[]) - before
    }
}
