//! The settings under which a rule is shown ([`Setup`]).

use std::sync::OnceLock;

use mappable::{MappingMode, Runtime, RuntimeBuilder, Tier};
use wasmtime::Config;

use super::closed::closed;
use super::fixture::Fixture;

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
        // Runs a whole suite on an engine that inlines calls between core modules.
        if std::env::var_os("MAPPABLE_INLINING").is_some() {
            config.compiler_inlining(wasmtime::Inlining::InterModule);
        }
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
