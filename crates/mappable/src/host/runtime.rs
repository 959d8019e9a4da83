//! The engine with the settings that mapping needs, and the memory that regions lie in.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, OnceLock};

use mappable_rewrite::{BOUNDED_PAGES, Gate, Reason, Report, RewriteError, Settings, Tier, TierReport, rewrite_with};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use super::context::MappableCtx;
use super::probe::{self, ProbeError};
use crate::region::{AllocateError, Backing, GUARD, HugePages, Mappable, RESERVATION};
use crate::sys::{Space, address_space_limit, may_refuse_pages};
use crate::tuning;
use crate::view::{Allowance, Creator, DriverConfig, Memories, MemoryShape, Strategy, Unmappable, strategy_for};

/// How components' memories are mapped into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MappingMode {
    /// By swapping views where the memory can be, by remapping where not; by copying where the platform has not the
    /// means for either, or the process's address space is limited (`ulimit -v`) and less than 64 GiB of it are left, or the system never overcommits
    /// (`vm.overcommit_memory` is 2) and would end the process at the first touch of a page that it does not have.
    #[default]
    Auto,
    /// By remapping always: a system call each time, and no view but the first. Also where [`MappingMode::Auto`] would copy
    /// for want of address space, or because the system never overcommits.
    Remap,
    /// By copying always, on any platform: the bytes are moved into the memory and out of it, and the engine checks every
    /// access to a memory. A store into a frozen mapping does not trap; it is gone with the mapping.
    Copy,
    /// Not at all: every `map` answers `placement-unmappable`, and guests read and write by copy.
    Off,
}

/// What the rewriter takes for the largest memory whose base is a constant is that.
const _: () = assert!(BOUNDED_PAGES * crate::GRANULE == RESERVATION);

/// Why a [`Runtime`] could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The platform has not the means, or refused them.
    #[error("no memory to lay regions in")]
    Backing(#[source] io::Error),
    /// The operating system did not take the handler without which frozen regions can't be mapped.
    #[error("no handler for faults in frozen mappings")]
    FaultHandler(#[source] io::Error),
    /// Wasmtime refused the configuration.
    #[error("the engine was not made: {0:#}")]
    Engine(wasmtime::Error),
    /// The engine does not do what mapping rests on.
    #[error("the engine's configuration does not allow mapping: {0}")]
    Unfit(ProbeError),
    /// The configuration has the pooling allocator, whose memories can't be mapped into.
    #[error(
        "mappable and the pooling allocator don't go together: leave Config::allocation_strategy as it is, and set \
         RuntimeBuilder::idle_memories to the number of memories to keep ready ({0})"
    )]
    Pooling(String),
    /// The process's address space is limited, and too little of it is left to map regions.
    #[error(
        "too little address space: the process may have {limit} bytes (ulimit -v), and to map regions takes 4 GiB for each \
         memory and each view; lift the limit, or have regions copied (MappingMode::Copy)"
    )]
    AddressSpace {
        /// How many bytes the process may have.
        limit: u64,
        /// What the operating system says.
        source: io::Error,
    },
}

impl From<ProbeError> for RuntimeError {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::ForeignMemory => Self::Pooling(error.to_string()),
            error => Self::Unfit(error),
        }
    }
}

/// An engine that was not made. Nobody can ask a [`Config`] for its allocator, but one that pools says so.
fn not_made(error: wasmtime::Error) -> RuntimeError {
    let text = format!("{error:#}");
    let pools = ["pooling", "exceeds the configured memory reservation"].iter().any(|part| text.contains(part));
    if pools { RuntimeError::Pooling(text) } else { RuntimeError::Engine(error) }
}

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// It is not a component, or maps in a way that can't be made sound, or is to be of the ledger tier and can't be: the
    /// error says what stands in the way.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// No key could be drawn for the functions that only compiled components may link to.
    #[error("no random number from the operating system")]
    Gate(#[source] io::Error),
    /// It is text, and not well-formed.
    #[error("not a component in text: {0:#}")]
    Text(wasmtime::Error),
    /// Wasmtime refused it.
    #[error("not compiled: {0:#}")]
    Engine(wasmtime::Error),
}

/// Settings for a [`Runtime`].
#[derive(Debug)]
pub struct RuntimeBuilder {
    config: Config,
    mapping: MappingMode,
    tier: Tier,
    max_views: usize,
    views_per_memory: usize,
    huge_pages: HugePages,
    idle_memories: usize,
    idle_regions: u64,
}

impl RuntimeBuilder {
    /// Starts from this configuration of the engine. What mapping needs of it is set over it: how memories are made,
    /// reserved and guarded, and that they are not initialised by copy-on-write images.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How memories are mapped into; [`MappingMode::Auto`] unless told.
    pub fn mapping(mut self, mapping: MappingMode) -> Self {
        self.mapping = mapping;
        self
    }

    /// How components are made ready; [`Tier::Auto`] unless told: closed compositions, whose components hand regions to one
    /// another alone, or to the host by functions of numbers and owned regions, keep their handles in a ledger, map warm
    /// without the host, and have plain lists copied at the speed of memory.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// How many views may be cached, in all and for each memory; 4,096 and 128 unless told. A view takes about five of
    /// the process's mappings (`vm.max_map_count`, 65,530 by default) and 4 GiB of its address space; one that shows
    /// many regions counts as a view for every two. Where no view can be had, regions are mapped by remapping. A
    /// memory's cache holds four at the least.
    pub fn max_views(mut self, in_all: usize, per_memory: usize) -> Self {
        self.max_views = in_all;
        self.views_per_memory = per_memory.max(4);
        self
    }

    /// Which regions lie in huge pages; [`HugePages::Collapsed`] unless told: those of which it was asked for.
    pub fn huge_pages(mut self, huge_pages: HugePages) -> Self {
        self.huge_pages = huge_pages;
        self
    }

    /// How many linear memories are kept for those that are made next, once nobody uses them any more; 64 unless told. To
    /// take one that is idle costs no more than a few system calls where a new one takes about ten, and its first pages
    /// are there. Each keeps 4 GiB of address space, three or four of the process's mappings, and up to 256 KiB of
    /// memory, all zero; those whose guests use more keep that, up to 4 MiB each, and together no more than 256 KiB
    /// times this number besides. With 0 none is kept.
    pub fn idle_memories(mut self, max: usize) -> Self {
        self.idle_memories = max;
        self
    }

    /// How many bytes of regions are kept for those that are allocated next, once nobody owns them any more; 32 MiB unless
    /// told. None of them is larger than half of that, or than 4 MiB where the host has not looked at it, and there are no
    /// more than 512. Where one of just the size that is wanted is there, allocating makes no system call, and what the
    /// one before touched takes no page fault. The pages that it has are written over with zeroes when it is dropped
    /// (about 0.1 ms for a MiB), or freed, where they lie in many pieces. One that was moved into huge pages comes back in
    /// such. Each that the host has looked at keeps one of the process's mappings. With 0 none is kept.
    pub fn idle_regions(mut self, max_bytes: u64) -> Self {
        self.idle_regions = max_bytes;
        self
    }

    /// Makes the engine, and tries on it what mapping rests on.
    ///
    /// # Errors
    ///
    /// If the engine can't be made, or does not behave so: the settings don't go together with mapping (the pooling
    /// allocator, say), or this version of Wasmtime is not one that mapping was made for.
    pub fn build(self) -> Result<Runtime, RuntimeError> {
        let backing = backing(self.mapping, self.huge_pages, self.idle_regions).map_err(RuntimeError::Backing)?;
        if backing.is_in_file() {
            if let Some((limit, source)) = short_of(2 * (RESERVATION + GUARD)) {
                return Err(RuntimeError::AddressSpace { limit, source });
            }
            install_fault_handler().map_err(RuntimeError::FaultHandler)?;
        }
        let memories = Memories::new(self.max_views, self.idle_memories);
        let creator = Creator { backing: Arc::clone(&backing), memories: Arc::clone(&memories) };
        let engine = Engine::new(&fit(self.config, creator)).map_err(not_made)?;
        let remap_only = self.mapping == MappingMode::Remap;
        let (views_per_memory, views) = (self.views_per_memory, Allowance::new(usize::MAX));
        let driving = DriverConfig { memories, remap_only, views_per_memory, views };
        let frozen_stores_trap = probe::run(&engine, &backing, &driving)?;
        Ok(Runtime { engine, backing, driving, mapping: self.mapping, tier: self.tier, frozen_stores_trap })
    }
}

/// How much address space has to be left for [`MappingMode::Auto`] to map, where it is limited: a memory or view takes 4
/// GiB, and a pipeline of a few instances has a dozen of them.
const ROOM_TO_MAP: u64 = 64 << 30;

/// The limit on the process's address space, and what the operating system says, if fewer than `bytes` of it are left.
fn short_of(bytes: u64) -> Option<(u64, io::Error)> {
    let limit = address_space_limit()?;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    Space::reserve(bytes, 0).err().map(|error| (limit, error))
}

/// Memory to lay regions in: pages where the platform has them and they are wanted, or blocks of the heap.
fn backing(mapping: MappingMode, huge_pages: HugePages, idle_regions: u64) -> io::Result<Arc<Backing>> {
    if mapping == MappingMode::Copy {
        return Ok(Backing::in_blocks());
    }
    if mapping != MappingMode::Remap
        && let Some((limit, _)) = short_of(ROOM_TO_MAP)
    {
        tracing::info!(limit, "there is little address space: regions are mapped by copying");
        return Ok(Backing::in_blocks());
    }
    if mapping != MappingMode::Remap && may_refuse_pages() {
        tracing::info!("the system never overcommits (vm.overcommit_memory = 2): regions are mapped by copying");
        return Ok(Backing::in_blocks());
    }
    match Backing::in_file(huge_pages, idle_regions) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported && mapping != MappingMode::Remap => {
            tracing::info!(%error, "regions are mapped by copying");
            Ok(Backing::in_blocks())
        }
        backing => backing,
    }
}

/// Sets over a configuration what mapping needs. Each is tried by [`probe`].
fn fit(mut config: Config, creator: Creator) -> Config {
    let (reservation, guard) = if creator.backing.is_in_file() { (RESERVATION, GUARD) } else { (0, 0) };
    config
        .with_host_memory(Arc::new(creator))
        .memory_may_move(true)
        .memory_reservation(reservation)
        .memory_guard_size(guard)
        .memory_reservation_for_growth(0)
        .memory_init_cow(false);
    if guard == 0 {
        config.gc_heap_may_move(true).gc_heap_reservation(0).gc_heap_guard_size(0);
    }
    config
}

/// Installs, once for the process, the handler by which a host's write into a frozen mapping harms nobody. A program that
/// makes engines of its own calls this before it makes the first, so that their handler is asked before this one; where
/// it is not, a guest's store into a frozen mapping does not trap, but goes to a copy of the mapping's own
/// ([`Runtime::frozen_stores_trap`]). [`RuntimeBuilder::build`] calls it.
///
/// The handler is for `SIGSEGV`, and leaves every fault outside of frozen mappings to the handler that was there before.
/// Who installs another one later must pass on what is not theirs, as Wasmtime does.
///
/// # Errors
///
/// The operating system's; [`io::ErrorKind::Unsupported`] where regions are mapped by copying.
pub fn install_fault_handler() -> io::Result<()> {
    crate::sys::install_fault_handler()
}

/// A Wasmtime engine whose components can map regions.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = mappable::Runtime::new()?;
/// let component = runtime.compile(b"(component)")?;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone; clones share the engine and the memory.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    backing: Arc<Backing>,
    driving: DriverConfig,
    mapping: MappingMode,
    tier: Tier,
    frozen_stores_trap: bool,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("mapping", &self.mapping).finish_non_exhaustive()
    }
}

impl Runtime {
    /// With Wasmtime's default configuration.
    ///
    /// # Errors
    ///
    /// As [`RuntimeBuilder::build`].
    pub fn new() -> Result<Self, RuntimeError> {
        Self::builder().build()
    }

    /// With other settings.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = wasmtime::Config::new();
    /// config.concurrency_support(false);
    /// let runtime = mappable::Runtime::builder().config(config).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder {
            config: Config::new(),
            mapping: MappingMode::default(),
            tier: Tier::default(),
            max_views: tuning::MAX_VIEWS,
            views_per_memory: 128,
            huge_pages: HugePages::default(),
            idle_memories: tuning::IDLE_MEMORIES,
            idle_regions: tuning::IDLE_REGIONS,
        }
    }

    /// The engine, for stores and linkers.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a guest's store into a frozen mapping traps. If not it goes to a copy that is the mapping's own, and gone
    /// with it: where regions are mapped by copying, and where an engine was made in this process before the first
    /// runtime, without [`install_fault_handler`] before it.
    pub fn frozen_stores_trap(&self) -> bool {
        self.frozen_stores_trap
    }

    /// How regions get into a memory of this shape, in this runtime.
    ///
    /// # Errors
    ///
    /// Why they can't be mapped into it at all; its component still has `read` and `write`.
    pub fn strategy_for(&self, shape: &MemoryShape) -> Result<Strategy, Unmappable> {
        strategy_for(shape).map(|able| match able {
            _ if !self.backing.is_in_file() => Strategy::Copy,
            Strategy::Swap if self.mapping == MappingMode::Remap => Strategy::Remap,
            able => able,
        })
    }

    /// Compiles a component, in binary or text, with the refreshes that mapping needs, or for the ledger
    /// ([`RuntimeBuilder::tier`]). A component that maps nothing, and passes no lists from component to component, is
    /// compiled as it is, byte for byte but for the maxima of its memories and the preloads of its loops.
    ///
    /// Where pages are mapped, a 32-bit memory of ordinary pages that nothing can be mapped into gets a maximum of 65,535
    /// pages, unless it has a lower one, and compiled code then takes its base for a constant. So such a memory can't have
    /// the last page of its address space, and a store's limiter is told of a maximum that is a page less.
    ///
    /// There too, loops on other memories get a preload in front of them where that pays: a byte is loaded, so that the base is
    /// loaded once for the loop. That burns three units of fuel more each time that such a loop is come to. Code of which a
    /// custom section names offsets (that of debuggers, say) is left as it is.
    ///
    /// One that maps nothing but passes lists of plain data from component to component is compiled so that they go by
    /// window, and then needs [`add_to_linker`](crate::add_to_linker), and a store whose data is a
    /// [`MappableView`](crate::MappableView), as those do that map. Without them it does not link: Wasmtime misses an
    /// import of the name `mappable:<key>/ledger@0.1.0`, which is in no component as written. [`Tier::Baseline`] leaves
    /// such a component as it is.
    ///
    /// What is compiled is not the binary as given, so some offsets differ. Core modules keep the indices of their functions
    /// and their name sections: names in backtraces and profiles are right. `FrameInfo::module_offset`, and the offsets that a
    /// backtrace prints, count from the beginning of what was compiled. `FrameInfo::func_offset`, and the offsets in a core
    /// dump, are the module's own, unless the function has a preload in front of the place. A module with DWARF has no
    /// preloads, and DWARF counts from the beginning of the code section, so its lines are right. A source map counts from the
    /// beginning of the module: behind a memory that gets a maximum it is a few bytes off.
    ///
    /// # Errors
    ///
    /// A component that is not valid, or that would change what is mapped in a way that can't be made sound; one that is
    /// not closed, with [`Tier::Ledger`].
    pub fn compile(&self, component: &[u8]) -> Result<Component, CompileError> {
        self.compile_with_report(component).map(|(component, _)| component)
    }

    /// Compiles a component as [`Runtime::compile`] does, and tells what was found in it: of which tier it is, and what
    /// keeps it from the ledger.
    ///
    /// ```
    /// use mappable::rewrite::TierReport;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = mappable::Runtime::new()?;
    /// let (component, report) = runtime.compile_with_report(
    ///     br#"(component
    ///         (import "mappable:memory/types@0.1.0" (instance $types
    ///             (export "mappable" (type (sub resource)))))
    ///         (alias export $types "mappable" (type $mappable))
    ///         (core module $m (func (export "size") (param i32) (result i64) (i64.const 0)))
    ///         (core instance $i (instantiate $m))
    ///         (func (export "size") (param "region" (borrow $mappable)) (result u64)
    ///             (canon lift (core func $i "size"))))"#,
    /// )?;
    /// let TierReport::Baseline { obstacle: Some(obstacle) } = report.tier else { panic!("a borrow stays at baseline") };
    /// println!("not for the ledger: {obstacle}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::compile`].
    pub fn compile_with_report(&self, component: &[u8]) -> Result<(Component, Report), CompileError> {
        let binary = to_binary(component)?;
        let in_pages = self.backing.is_in_file();
        let settings = Settings { tier: self.tier, lists: in_pages, bound: in_pages, preload: in_pages };
        let rewritten = rewrite_with(&binary, gate().map_err(CompileError::Gate)?, settings)?;
        note_tier(&rewritten.report);
        let component = Component::from_binary(&self.engine, &rewritten.bytes).map_err(CompileError::Engine)?;
        Ok((component, rewritten.report))
    }

    /// A new region of `size` bytes, a positive multiple of [`GRANULE`](crate::GRANULE), that reads as zero.
    ///
    /// # Errors
    ///
    /// [`AllocateError`].
    pub fn allocate(&self, size: u64) -> Result<Mappable, AllocateError> {
        Mappable::allocate(&self.backing, size)
    }

    /// A new region of `size` bytes rounded up to whole granules, one at the least, that reads as zero.
    ///
    /// # Errors
    ///
    /// [`AllocateError::RegionsExhausted`].
    pub fn allocate_at_least(&self, size: u64) -> Result<Mappable, AllocateError> {
        Mappable::allocate_at_least(&self.backing, size)
    }

    /// A new region that begins with `bytes`, of as many granules as they take (one at the least). Copies them.
    ///
    /// # Errors
    ///
    /// [`AllocateError`], also where the region can't be mapped into the host.
    pub fn allocate_from(&self, bytes: &[u8]) -> Result<Mappable, AllocateError> {
        Mappable::allocate_from(&self.backing, bytes)
    }

    /// A context for a store of this runtime's engine. A store keeps the one that it began with.
    ///
    /// Wasmtime counts the bytes of every list that a guest passes to the host against an allowance for a call
    /// (`Store::set_hostcall_fuel`, 128 MiB by default), and a placement is named by a list, though its bytes are never
    /// read. In a store whose guests are to map larger regions, set the allowance to the largest placement; they can then
    /// have any other host function copy as much.
    pub fn context(&self) -> MappableCtx {
        let views = Allowance::new(usize::MAX);
        let driving = DriverConfig { views, ..self.driving.clone() };
        MappableCtx::new(&self.engine, Arc::clone(&self.backing), driving, self.mapping != MappingMode::Off)
    }

    pub(super) fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }
}

/// The binary form of a component that may be text.
fn to_binary(component: &[u8]) -> Result<Cow<'_, [u8]>, CompileError> {
    // For an empty input the parser of text would say that a field is missing.
    if component.starts_with(b"\0asm") || component.trim_ascii().is_empty() {
        return Ok(Cow::Borrowed(component));
    }
    wat::parse_bytes(component).map_err(|error| CompileError::Text(error.into()))
}

/// A component that is not for the ledger runs all the same, only slower: who wants to know why looks here.
fn note_tier(report: &Report) {
    match &report.tier {
        TierReport::Baseline { obstacle: Some(obstacle) } if matches!(obstacle.reason, Reason::Broken(_)) => {
            tracing::warn!(%obstacle, "a component was compiled for the baseline tier");
        }
        TierReport::Baseline { obstacle: Some(obstacle) } if report.maps() => {
            tracing::info!(%obstacle, "a component with regions was compiled for the baseline tier");
        }
        TierReport::Baseline { obstacle: Some(obstacle) } => {
            tracing::debug!(%obstacle, "a component was compiled for the baseline tier");
        }
        _ => {}
    }
}

/// The gate of this process. Its key is drawn at random, so that no component can know the name under which our
/// functions are offered.
pub(super) fn gate() -> io::Result<&'static Gate> {
    static GATE: OnceLock<Gate> = OnceLock::new();
    if let Some(gate) = GATE.get() {
        return Ok(gate);
    }
    let mut key = [0; 16];
    getrandom::fill(&mut key)?;
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    // Where a linker lacks the functions, the engine names the import that it misses: the name says what is missing.
    let gate = Gate::new(&format!("needs-add-to-linker-k{digits}")).map_err(io::Error::other)?;
    Ok(GATE.get_or_init(|| gate))
}
