//! How a runtime is set up: the settings that an embedder chooses, where regions then lie, and the engine's configuration.
//! What mapping takes for granted of the engine is tried by [`probe`].

use std::io;
use std::sync::Arc;

use mappable_rewrite::{BOUNDED_PAGES, Tier};
use wasmtime::{Config, Engine};

use super::artifact::CompileCache;
use super::probe::{self, ProbeError};
use super::runtime::Runtime;
use crate::region::{Backing, GUARD, HugePages, RESERVATION};
use crate::sys::{Budget, Space, address_space_limit, install_first_fault_handler, may_refuse_pages};
use crate::tuning;
use crate::view::{Allowance, Creator, DriverConfig, Memories};

/// How components' memories are mapped into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MappingMode {
    /// By swapping views into memories whose base may move, and by remapping into others. By copying where
    ///
    /// - the platform has the means for neither,
    /// - the process's address space is limited (`ulimit -v`) and less than 64 GiB of it are left, or
    /// - the system never overcommits (`vm.overcommit_memory` is 2), and would end the process at the first touch of a page
    ///   that it does not have.
    #[default]
    Auto,
    /// By remapping always: a system call for each change, and no view but the first. Also under the last two conditions
    /// under which [`MappingMode::Auto`] copies.
    Remap,
    /// By copying always, on any platform. The bytes are moved into the memory by `map` and out of it by `unmap`, and the
    /// engine checks every access to a memory. A store into a frozen mapping does not trap: it goes to the copy.
    Copy,
    /// Not at all. Every `map` returns `placement-unmappable`, and guests use `read` and `write`, which copy.
    Off,
}

/// Why a [`Runtime`] could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The platform has not the means, or refused them.
    #[error("the system has refused the file in memory that regions are kept in")]
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

/// Settings for a [`Runtime`]. Each has a default that suits most embedders.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mappable::{HugePages, MappingMode, Runtime, Tier};
///
/// let mut config = wasmtime::Config::new();
/// config.concurrency_support(false);
/// let runtime = Runtime::builder()
///     .config(config)
///     .mapping(MappingMode::Auto)
///     .tier(Tier::Baseline)
///     .max_views(256, 16)
///     .huge_pages(HugePages::Collapsed)
///     .idle_memories(8)
///     .idle_regions(1 << 20)
///     .exportable_regions(false)
///     .build()?;
/// # Ok(())
/// # }
/// ```
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
    exportable_regions: bool,
    cache: Option<CompileCache>,
}

impl RuntimeBuilder {
    pub(super) fn new() -> Self {
        Self {
            config: Config::new(),
            mapping: MappingMode::default(),
            tier: Tier::default(),
            max_views: tuning::MAX_VIEWS,
            views_per_memory: 128,
            huge_pages: HugePages::default(),
            idle_memories: tuning::IDLE_MEMORIES,
            idle_regions: tuning::IDLE_REGIONS,
            exportable_regions: false,
            cache: None,
        }
    }

    /// Starts from this configuration of the engine. What mapping needs of it is set over it: how memories are made,
    /// reserved and guarded, and that they are not initialised by copy-on-write images. So is who makes the stacks of async
    /// stores, on Linux.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How memories are mapped into; [`MappingMode::Auto`] unless told.
    pub fn mapping(mut self, mapping: MappingMode) -> Self {
        self.mapping = mapping;
        self
    }

    /// Which of two ways components are run in; [`Tier::Auto`] unless told. With it components keep their handles in a ledger.
    /// They map without a call of the host once a view is there, hand regions to one another without the engine, and have
    /// plain lists copied at the speed of memory. Functions that the ledger doesn't carry go by the engine.
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
    /// take one that is idle costs no more than a few system calls, where a new one takes about ten, and its first pages
    /// are there. With 0 nothing is kept.
    ///
    /// Each keeps 4 GiB of address space, three or four of the process's mappings, and up to 256 KiB of memory, all zero.
    /// One whose guest used more keeps up to 4 MiB; what they all keep beyond 256 KiB is no more than 256 KiB times this
    /// number together. The same number of stacks of async stores is kept, and of ledgers, which take 64 KiB each.
    pub fn idle_memories(mut self, max: usize) -> Self {
        self.idle_memories = max;
        self
    }

    /// Whether each region that is allocated, by the host or by a component, is alone in a file, so that it can be given to
    /// another process without a copy; not unless told. Each takes a descriptor then, and a few system calls, and none is
    /// kept for the next ([`RuntimeBuilder::idle_regions`]). If there are no descriptors left, or no pages can be mapped,
    /// regions are made as without this setting.
    ///
    /// For a few regions, [`Runtime::allocate_exportable`] does without the setting.
    pub fn exportable_regions(mut self, all: bool) -> Self {
        self.exportable_regions = all;
        self
    }

    /// How many bytes of regions are kept for those that are allocated next, once nobody owns them any more; 32 MiB unless
    /// told. With 0 none is kept.
    ///
    /// If a region of just the size that is wanted is kept, allocating makes no system call, and pages that its owner before
    /// touched take no page fault. They are written over with zeroes then (about 0.1 ms for a MiB), but for those that bytes are
    /// copied to ([`Runtime::allocate_from`]). Those of a region that the host has not looked at are written over when it is dropped. If pages lie in many pieces they are freed when the region is dropped. One that was moved into huge pages stays in them.
    ///
    /// At most 512 regions are kept, none of them larger than half of the bound, or than 4 MiB if the host has not looked at
    /// it. Each that the host has looked at keeps one of the process's mappings.
    pub fn idle_regions(mut self, max_bytes: u64) -> Self {
        self.idle_regions = max_bytes;
        self
    }

    /// Where [`Runtime::compile`] keeps what it compiled, for the next process; nowhere unless told.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::{CompileCache, Runtime};
    ///
    /// # let scratch = tempfile::tempdir()?;
    /// # let folder = scratch.path().join("app");
    /// let cache = CompileCache::new(&folder, 512 << 20)?;
    /// let runtime = Runtime::builder().compile_cache(cache).build()?;
    /// let compiled = runtime.compile(b"(component)")?;
    /// let loaded = runtime.compile(b"(component)")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn compile_cache(mut self, cache: CompileCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Makes the engine, and tries on it what mapping rests on.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`]: the engine can't be made, or it does not do what mapping rests on. Then the settings don't go
    /// together with mapping (the pooling allocator doesn't), or this version of Wasmtime is not one that mapping was made
    /// for.
    pub fn build(self) -> Result<Runtime, RuntimeError> {
        let backing = backing(self.mapping, self.huge_pages, self.idle_regions).map_err(RuntimeError::Backing)?;
        if self.exportable_regions {
            backing.keep_apart();
        }
        if backing.is_in_file() {
            if let Some((limit, source)) = short_of(2 * (RESERVATION + GUARD)) {
                return Err(RuntimeError::AddressSpace { limit, source });
            }
            install_fault_handler().map_err(RuntimeError::FaultHandler)?;
        }
        let memories = Memories::new(self.max_views, self.idle_memories);
        let creator = Creator { backing: Arc::clone(&backing), memories: Arc::clone(&memories) };
        let config = fit(self.config, creator);
        #[cfg(any(feature = "externref", feature = "streams"))]
        let config = with_stacks(config, &backing, self.idle_memories);
        let engine = Engine::new(&config).map_err(not_made)?;
        if backing.is_in_file() {
            install_first_fault_handler().map_err(RuntimeError::FaultHandler)?;
        }
        let remap_only = self.mapping == MappingMode::Remap;
        let (views_per_memory, views) = (self.views_per_memory, Allowance::new(usize::MAX));
        let budget = Arc::new(Budget::new(u64::MAX));
        let driving = DriverConfig { memories, remap_only, views_per_memory, views, budget };
        let frozen_stores_trap = probe::run(&engine, &backing, &driving)?;
        let (mapping, tier, cache) = (self.mapping, self.tier, self.cache);
        Ok(Runtime { engine, backing, driving, mapping, tier, cache, frozen_stores_trap })
    }
}

/// What the rewriter takes for the largest memory whose base is a constant is that.
const _: () = assert!(BOUNDED_PAGES * crate::GRANULE == RESERVATION);

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

/// Has the stacks of async stores kept, where memories are.
#[cfg(any(feature = "externref", feature = "streams"))]
fn with_stacks(mut config: Config, backing: &Backing, max_idle: usize) -> Config {
    if backing.is_in_file() && max_idle > 0 {
        config.with_host_stack(Arc::new(super::stacks::Stacks::new(max_idle)));
    }
    config
}

/// Installs, once for the process, the handler by which a host's write into a frozen mapping harms nobody.
/// [`RuntimeBuilder::build`] calls it. So only a program that makes engines of its own has to: before it makes the first, so
/// that the engine's handler is asked before this one. If it doesn't, a guest's store into a frozen mapping does not trap,
/// but goes to a copy of the mapping's own ([`Runtime::frozen_stores_trap`]).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(target_os = "linux")]
/// mappable::install_fault_handler()?;
/// let plain = wasmtime::Engine::default();
/// let runtime = mappable::Runtime::new()?;
/// # #[cfg(target_os = "linux")]
/// assert!(runtime.frozen_stores_trap());
/// # Ok(())
/// # }
/// ```
///
/// When a runtime is made, a second handler is installed, which is asked before the engine's and takes the faults of guests in
/// private mappings. So `Engine::unload_process_handlers` can't be used.
///
/// The handlers are for `SIGSEGV`, and leave every fault outside of frozen mappings to the handlers that were there before.
/// Who installs another one later must pass on what is not theirs, as Wasmtime does.
///
/// # Errors
///
/// The operating system's; [`io::ErrorKind::Unsupported`] where regions are mapped by copying.
pub fn install_fault_handler() -> io::Result<()> {
    crate::sys::install_fault_handler()
}
