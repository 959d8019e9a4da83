//! The harness: the settings under which every rule is shown, stores with canaries around, and guests driven step by
//! step ([`Guest`]).

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, OnceLock};

use mappable::{
    GRANULE, Handle, Mappable, MappableCtx, MappableView, MappingMode, Runtime, RuntimeBuilder, Tier, TrapReason,
};
use wasmtime::component::{Component, Instance, Linker, WasmList};
use wasmtime::{Config, ResourceLimiterAsync, Store, StoreContextMut, Trap};

use crate::wat;

mod closed;
mod compiled;
mod guest;
mod wrong;
pub use closed::closed;
pub use guest::*;
pub use wrong::*;

/// A granule, as guests count.
pub const G: u32 = GRANULE as u32;

/// The pages that a guest begins with, and where its memory ends.
pub const PAGES: u32 = 16;
pub const END: u32 = PAGES * G;

/// The settings under which a rule is shown: a tier, and a way of mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// By swapping views.
    Swap,
    /// The same, on an engine whose components may be concurrent.
    SwapConcurrent,
    /// By remapping, because the embedder said so.
    Remap,
    RemapConcurrent,
    /// By remapping, because the memory has a maximum.
    Fixed,
    /// By swapping if there were views; there are none, so by remapping.
    NoViews,
    /// With as few views for each memory as there may be.
    FewViews,
    /// By copying.
    Copy,
    /// The same in the ledger tier: guests are in closed compositions ([`closed`]), and compiled for no other tier.
    LedgerSwap,
    LedgerSwapConcurrent,
    LedgerRemap,
    LedgerFixed,
    LedgerNoViews,
    LedgerFewViews,
    LedgerCopy,
    /// The same, but that the host itself gives guests regions and takes them, by the engine.
    LedgerCrossing,
    LedgerCrossingRemap,
}

impl Setup {
    pub const BASELINE: [Self; 8] = [
        Self::Swap,
        Self::SwapConcurrent,
        Self::Remap,
        Self::RemapConcurrent,
        Self::Fixed,
        Self::NoViews,
        Self::FewViews,
        Self::Copy,
    ];

    pub const LEDGER: [Self; 9] = [
        Self::LedgerSwap,
        Self::LedgerSwapConcurrent,
        Self::LedgerRemap,
        Self::LedgerFixed,
        Self::LedgerNoViews,
        Self::LedgerFewViews,
        Self::LedgerCopy,
        Self::LedgerCrossing,
        Self::LedgerCrossingRemap,
    ];

    pub const COUNT: usize = Self::BASELINE.len() + Self::LEDGER.len();

    pub fn all() -> impl Iterator<Item = Self> {
        Self::BASELINE.into_iter().chain(Self::LEDGER)
    }

    /// The way of mapping: the setup of the baseline that is the same but for the tier.
    pub fn way(self) -> Self {
        match self {
            Self::LedgerSwap => Self::Swap,
            Self::LedgerSwapConcurrent => Self::SwapConcurrent,
            Self::LedgerRemap => Self::Remap,
            Self::LedgerFixed => Self::Fixed,
            Self::LedgerNoViews => Self::NoViews,
            Self::LedgerFewViews => Self::FewViews,
            Self::LedgerCopy => Self::Copy,
            Self::LedgerCrossing => Self::Swap,
            Self::LedgerCrossingRemap => Self::Remap,
            baseline => baseline,
        }
    }

    pub fn is_ledger(self) -> bool {
        self.way() != self
    }

    /// Whether the host itself passes regions, by the engine.
    pub fn is_crossing(self) -> bool {
        matches!(self, Self::LedgerCrossing | Self::LedgerCrossingRemap)
    }

    pub fn memory(self) -> &'static str {
        if self.way() == Self::Fixed { "16 64" } else { "16" }
    }

    pub fn config(self) -> Config {
        let mut config = Config::new();
        config.concurrency_support(self.is_concurrent());
        config
    }

    /// Whether components may be concurrent.
    pub fn is_concurrent(self) -> bool {
        matches!(self.way(), Self::SwapConcurrent | Self::RemapConcurrent)
    }

    pub fn runtime(self) -> Runtime {
        self.runtime_with(self.config())
    }

    pub fn runtime_with(self, config: Config) -> Runtime {
        self.builder(config).build().unwrap()
    }

    /// One that keeps no memory and no region for later, so that what tests count is exact.
    pub fn runtime_that_keeps_none(self, config: Config) -> Runtime {
        self.builder(config).idle_memories(0).idle_regions(0).build().unwrap()
    }

    pub fn builder(self, config: Config) -> RuntimeBuilder {
        // Before any engine of a test's own: the order decides whether guests' stores into frozen mappings trap.
        mappable::install_fault_handler().unwrap();
        let builder = self.tiered(Runtime::builder().config(config));
        match self.way() {
            Self::Remap | Self::RemapConcurrent => builder.mapping(MappingMode::Remap),
            Self::NoViews => builder.max_views(0, 3),
            Self::FewViews => builder.max_views(1000, 0),
            Self::Copy => builder.mapping(MappingMode::Copy),
            _ => builder,
        }
    }

    /// With the tier: a component that is not of it does not compile.
    fn tiered(self, builder: RuntimeBuilder) -> RuntimeBuilder {
        builder.tier(if self.is_ledger() { Tier::Ledger } else { Tier::Baseline })
    }

    /// The text of a component, as it is compiled for this tier.
    pub fn text(self, text: &str) -> String {
        if self.is_ledger() { closed(text, self.is_crossing()) } else { text.to_owned() }
    }

    /// Whether a guest's store into a frozen mapping traps; if not it is the mapping's own, and gone with it.
    pub fn frozen_stores_trap(self) -> bool {
        self.way() != Self::Copy
    }

    /// Whether a warm map makes no system call.
    pub fn swaps(self) -> bool {
        matches!(self.way(), Self::Swap | Self::SwapConcurrent | Self::FewViews)
    }

    /// What all tests of these settings share: one runtime, so that each test's regions lie among those of others.
    pub fn fixture(self) -> &'static Fixture {
        static FIXTURES: [OnceLock<Fixture>; Setup::COUNT] = [const { OnceLock::new() }; Setup::COUNT];
        FIXTURES[self as usize].get_or_init(|| Fixture::new(self, self.runtime()))
    }

    /// The same on an engine whose components may be concurrent, for those with streams.
    pub fn concurrent_fixture(self) -> &'static Fixture {
        static FIXTURES: [OnceLock<Fixture>; Setup::COUNT] = [const { OnceLock::new() }; Setup::COUNT];
        FIXTURES[self as usize].get_or_init(|| Fixture::new(self, self.runtime_with(self.concurrent())))
    }

    /// A configuration of an engine whose components may be concurrent.
    pub fn concurrent(self) -> Config {
        let mut config = self.config();
        config.concurrency_support(true);
        // So that a cancellation does not wait.
        config.wasm_component_model_more_async_builtins(true);
        config
    }
}

/// The tests of a rule, one for each of [`Setup::BASELINE`].
#[macro_export]
macro_rules! baseline_tests {
    ($rule:ident) => {
        #[test]
        fn swap() {
            $rule(Setup::Swap)
        }
        #[test]
        fn swap_concurrent() {
            $rule(Setup::SwapConcurrent)
        }
        #[test]
        fn remap() {
            $rule(Setup::Remap)
        }
        #[test]
        fn remap_concurrent() {
            $rule(Setup::RemapConcurrent)
        }
        #[test]
        fn fixed_memory() {
            $rule(Setup::Fixed)
        }
        #[test]
        fn no_views() {
            $rule(Setup::NoViews)
        }
        #[test]
        fn few_views() {
            $rule(Setup::FewViews)
        }
        #[test]
        fn copy() {
            $rule(Setup::Copy)
        }
    };
}
pub use crate::baseline_tests;

/// The tests of a rule, one for each setup in which the host passes regions itself.
#[macro_export]
macro_rules! crossing_tests {
    ($rule:ident) => {
        #[test]
        fn ledger_crossing() {
            $rule(Setup::LedgerCrossing)
        }
        #[test]
        fn ledger_crossing_remap() {
            $rule(Setup::LedgerCrossingRemap)
        }
    };
}
pub use crate::crossing_tests;

/// The tests of a rule, one for each of [`Setup::LEDGER`].
#[macro_export]
macro_rules! ledger_tests {
    ($rule:ident) => {
        #[test]
        fn ledger_swap() {
            $rule(Setup::LedgerSwap)
        }
        #[test]
        fn ledger_swap_concurrent() {
            $rule(Setup::LedgerSwapConcurrent)
        }
        #[test]
        fn ledger_remap() {
            $rule(Setup::LedgerRemap)
        }
        #[test]
        fn ledger_fixed_memory() {
            $rule(Setup::LedgerFixed)
        }
        #[test]
        fn ledger_no_views() {
            $rule(Setup::LedgerNoViews)
        }
        #[test]
        fn ledger_few_views() {
            $rule(Setup::LedgerFewViews)
        }
        #[test]
        fn ledger_copy() {
            $rule(Setup::LedgerCopy)
        }
        $crate::crossing_tests!($rule);
    };
}
pub use crate::ledger_tests;

/// Makes each rule a module of tests, one for each [`Setup`].
#[macro_export]
macro_rules! on_every_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::baseline_tests!(rule);
            $crate::ledger_tests!(rule);
        }
    )* };
}
pub use crate::on_every_setup;

/// The same for rules that need an open component, one which hands the host mappings itself, and what is lent.
#[macro_export]
macro_rules! on_every_baseline_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::baseline_tests!(rule);
        }
    )* };
}
pub use crate::on_every_baseline_setup;

/// The same for rules in which the host gives regions and references itself, and takes them.
#[macro_export]
macro_rules! on_every_open_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::baseline_tests!(rule);
            $crate::crossing_tests!(rule);
        }
    )* };
}
pub use crate::on_every_open_setup;

/// The same for rules that need a closed one.
#[macro_export]
macro_rules! on_every_ledger_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::ledger_tests!(rule);
        }
    )* };
}
pub use crate::on_every_ledger_setup;

/// Called by the guest's `call-back`.
type CallBack = Box<dyn FnMut(StoreContextMut<'_, State>) -> wasmtime::Result<()> + Send>;

/// A store's data.
pub struct State {
    pub mappable: MappableCtx,
    /// How often the package's functions, or the ledger's, have asked for the context.
    pub host_calls: u64,
    /// What regions of the host's are made with.
    pub runtime: Runtime,
    pub call_back: Option<CallBack>,
    /// Where the lists that `sum` was given lay in the host.
    pub lists: Vec<usize>,
    /// The limiter of a test that has one.
    pub limiter: Option<Box<dyn ResourceLimiterAsync + Send + Sync>>,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        self.host_calls += 1;
        &mut self.mappable
    }
}

impl State {
    pub fn new(runtime: &Runtime) -> Self {
        Self {
            mappable: runtime.context(),
            host_calls: 0,
            runtime: runtime.clone(),
            call_back: None,
            lists: vec![],
            limiter: None,
        }
    }
}

pub fn linker(runtime: &Runtime) -> Linker<State> {
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker).unwrap();
    add_env(&mut linker);
    linker
}

pub fn add_env(linker: &mut Linker<State>) {
    let mut env = linker.instance("test:host/env").unwrap();
    env.func_wrap("sum", |mut store: StoreContextMut<'_, State>, (bytes,): (WasmList<u8>,)| {
        let bytes = bytes.as_le_slice(&store);
        let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
        let address = bytes.as_ptr().addr();
        store.data_mut().lists.push(address);
        Ok((sum,))
    })
    .unwrap();
    env.func_wrap("call-back", |mut store: StoreContextMut<'_, State>, (): ()| {
        let mut call_back = store.data_mut().call_back.take().expect("the test expects no call back");
        call_back(store)
    })
    .unwrap();
}

/// A runtime, and the components that were compiled for it.
pub struct Fixture {
    pub setup: Setup,
    pub runtime: Runtime,
    pub linker: Linker<State>,
    components: Mutex<HashMap<String, Component>>,
    /// A region in the host's hands that no test knows of, and one that is mapped in an instance that none knows of.
    canary: Mutex<Canary>,
}

impl Fixture {
    pub fn new(setup: Setup, runtime: Runtime) -> Self {
        let linker = linker(&runtime);
        let text = setup.text(&wat::guest(setup.memory()));
        let guest = compiled::component(setup, &runtime, &text);
        let canary = Mutex::new(Canary::new(&runtime, &linker, &guest));
        let components = Mutex::new(HashMap::from([(text, guest)]));
        Self { setup, runtime, linker, components, canary }
    }

    /// A component whose guests the host drives: closed, where that is the tier.
    pub fn compile(&self, text: &str) -> Component {
        self.compile_as_is(&self.setup.text(text))
    }

    /// A component that is closed by itself.
    pub fn compile_as_is(&self, text: &str) -> Component {
        let mut components = self.components.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(component) = components.get(text) {
            return component.clone();
        }
        let component = compiled::component(self.setup, &self.runtime, text);
        components.insert(text.to_owned(), component.clone());
        component
    }

    /// Looks at what no test has any business with.
    pub fn check_canary(&self) {
        self.canary.lock().unwrap_or_else(|e| e.into_inner()).check();
    }

    /// A store in which nothing is yet.
    pub fn world(&'static self) -> World {
        let mut store = Store::new(self.runtime.engine(), State::new(&self.runtime));
        store.set_hostcall_fuel(4 << 30);
        let own = self.runtime.allocate_from(&[0xc1; 100]).unwrap();
        let mut world = World { fixture: self, store, held: None };
        world.held = Some(world.store.data_mut().mappable.insert(own).unwrap());
        world
    }
}

struct Canary {
    host: Mappable,
    store: Store<State>,
    guest: Guest,
}

impl Canary {
    fn new(runtime: &Runtime, linker: &Linker<State>, guest: &Component) -> Self {
        let mut host = runtime.allocate(2 * GRANULE).unwrap();
        host.bytes_mut().unwrap().fill(0xc2);
        let mut store = Store::new(runtime.engine(), State::new(runtime));
        let guest = Guest::new(linker.instantiate(&mut store, guest).unwrap(), &mut store, None);
        guest.fill(&mut store, 2 * G, 0xc3, 4 * G);
        let handle = guest.allocate(&mut store, 2 * GRANULE).unwrap();
        guest.map(&mut store, handle, 3 * G, 2 * G).unwrap();
        guest.fill(&mut store, 3 * G, 0xc4, 2 * G);
        Self { host, store, guest }
    }

    fn check(&mut self) {
        let Self { host, store, guest } = self;
        assert!(all_are(host.bytes().unwrap(), 0xc2), "the host's canary was touched");
        guest.expect(store, 2 * G, G, 0xc3);
        guest.expect(store, 3 * G, 2 * G, 0xc4);
        guest.expect(store, 5 * G, G, 0xc3);
    }
}

/// A store, with a region in it that the test has no business with. On drop the canaries are looked at.
pub struct World {
    pub fixture: &'static Fixture,
    pub store: Store<State>,
    held: Option<Handle>,
}

impl World {
    pub fn new(setup: Setup) -> Self {
        setup.fixture().world()
    }

    /// A store with one guest in it.
    pub fn with_guest(setup: Setup) -> (Self, Guest) {
        let mut world = Self::new(setup);
        let guest = world.guest();
        (world, guest)
    }

    pub fn runtime(&self) -> &'static Runtime {
        &self.fixture.runtime
    }

    pub fn guest(&mut self) -> Guest {
        let component = self.fixture.compile(&wat::guest(self.fixture.setup.memory()));
        let instance = self.instantiate(&component);
        Guest::new(instance, &mut self.store, None)
    }

    pub fn instantiate(&mut self, component: &Component) -> Instance {
        self.fixture.linker.instantiate(&mut self.store, component).unwrap()
    }

    /// The guests `a` and `b` of a component made of them.
    pub fn guests(&mut self, component: &Component) -> (Guest, Guest) {
        let instance = self.instantiate(component);
        Guest::pair(instance, &mut self.store).into()
    }

    pub fn pair(&mut self) -> (Guest, Guest) {
        let component = self.fixture.compile(&wat::pair(self.fixture.setup.memory()));
        self.guests(&component)
    }

    /// How many regions the store's components hold, besides the canary.
    pub fn held(&self) -> (usize, u64) {
        let (regions, bytes) = self.store.data().mappable.held();
        (regions - 1, bytes - GRANULE)
    }

    /// A region in the host's hands, all of one byte.
    pub fn region(&self, granules: u64, byte: u8) -> Mappable {
        let mut region = self.runtime().allocate(granules * GRANULE).unwrap();
        region.bytes_mut().unwrap().fill(byte);
        region
    }

    pub fn insert(&mut self, region: Mappable) -> Handle {
        self.store.data_mut().mappable.insert(region).unwrap()
    }

    /// After the context, and the canary in it, have gone.
    pub fn replace_canary(&mut self, region: Mappable) {
        self.held = Some(self.store.data_mut().mappable.insert(region).unwrap());
    }

    pub fn remove(&mut self, handle: Handle) -> Mappable {
        self.store.data_mut().mappable.remove(handle).unwrap()
    }
}

impl Deref for World {
    type Target = Store<State>;
    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.store
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let held = self.held.take().unwrap();
        let mut region = self.store.data_mut().mappable.remove(held).unwrap();
        region.set_len(region.size()).unwrap();
        let bytes = region.bytes().unwrap();
        assert!(all_are(&bytes[..100], 0xc1), "a canary was touched");
        assert!(all_are(&bytes[100..], 0), "a canary was touched");
        self.fixture.check_canary();
    }
}

/// Whether all bytes are this one: quick without optimisation, too.
pub fn all_are(bytes: &[u8], byte: u8) -> bool {
    let same = [byte; 4096];
    bytes.chunks(same.len()).all(|chunk| chunk == &same[..chunk.len()])
}

/// A call that should have trapped, as the engine tells it.
#[track_caller]
pub fn trapped<T: std::fmt::Debug>(answer: wasmtime::Result<T>) -> wasmtime::Error {
    answer.expect_err("this should have trapped")
}

#[track_caller]
pub fn foreign_mapping<T: std::fmt::Debug>(answer: wasmtime::Result<T>) {
    let error = trapped(answer);
    let reason = error.downcast_ref::<TrapReason>();
    assert!(matches!(reason, Some(TrapReason::ForeignMapping)), "{error:?}");
}

#[track_caller]
pub fn trap_is<T: std::fmt::Debug>(answer: wasmtime::Result<T>, trap: Trap) {
    let error = trapped(answer);
    assert_eq!(error.downcast_ref::<Trap>(), Some(&trap), "{error:?}");
}
