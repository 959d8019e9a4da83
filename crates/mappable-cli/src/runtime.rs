//! How a runtime is set up: options that several commands have.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mappable::{CompileCache, Runtime, RuntimeBuilder};
use wasmtime::Config;

use crate::failure::{Exit, fail};

/// How regions get into memories.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum MappingMode {
    /// By a pointer update where a memory allows it, otherwise by a system call; by copying where neither can be had
    #[default]
    Auto,
    /// Always by a system call
    Remap,
    /// Always by copying, on any system
    Copy,
    /// Not at all: components read and write regions by calls
    Off,
}

/// How a component is rewritten.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Tier {
    /// By the ledger where that can be, otherwise the baseline
    #[default]
    Auto,
    /// With the engine's own handles
    Baseline,
    /// By the ledger, or not at all: `mappable inspect` says what stands in its way
    Ledger,
}

/// How much of compiled components is kept.
const CACHED_BYTES: u64 = 512 << 20;

/// What a runtime can be told.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Runtime")]
pub(crate) struct Options {
    /// How regions get into memories
    #[arg(long, value_enum, value_name = "MODE", default_value_t)]
    mapping_mode: MappingMode,

    /// The tier in which components run
    #[arg(long, value_enum, value_name = "TIER", default_value_t)]
    tier: Tier,

    /// Where compiled components are kept for the next start: up to 512 MiB, in `mappable` in the user's folder for caches
    /// unless told. The folder may be nobody else's to write to, since what is in it is run
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,

    /// Compile each component anew, and keep nothing
    #[arg(long)]
    no_cache: bool,

    /// Whether regions go to another process, and so are alone in files.
    #[arg(skip)]
    pub(crate) exportable_regions: bool,
}

impl Options {
    /// A runtime with these options on an engine with this configuration.
    pub(crate) fn build(&self, config: Config) -> anyhow::Result<Runtime> {
        finish(self.builder(config)?)
    }

    /// The same, before it is built.
    pub(crate) fn builder(&self, config: Config) -> anyhow::Result<RuntimeBuilder> {
        let mapping = match self.mapping_mode {
            MappingMode::Auto => mappable::MappingMode::Auto,
            MappingMode::Remap => mappable::MappingMode::Remap,
            MappingMode::Copy => mappable::MappingMode::Copy,
            MappingMode::Off => mappable::MappingMode::Off,
        };
        let tier = match self.tier {
            Tier::Auto => mappable::Tier::Auto,
            Tier::Baseline => mappable::Tier::Baseline,
            Tier::Ledger => mappable::Tier::Ledger,
        };
        let mut builder: RuntimeBuilder = Runtime::builder().config(config).mapping(mapping).tier(tier);
        builder = builder.exportable_regions(self.exportable_regions);
        if let Some(cache) = self.compile_cache()? {
            builder = builder.compile_cache(cache);
        }
        Ok(builder)
    }

    fn compile_cache(&self) -> anyhow::Result<Option<CompileCache>> {
        let open = |folder: &Path| CompileCache::new(folder, CACHED_BYTES);
        match &self.cache {
            _ if self.no_cache => Ok(None),
            Some(folder) => {
                let cache = open(folder);
                cache.map(Some).map_err(|error| fail(Exit::Usage, format!("--cache {}: {error}", folder.display())))
            }
            // Nobody asked for it: where there can be none, all is as well, only slower.
            None => Ok(dirs::cache_dir().and_then(|caches| open(&caches.join("mappable")).ok())),
        }
    }
}

/// Builds it, or says why not.
pub(crate) fn finish(builder: RuntimeBuilder) -> anyhow::Result<Runtime> {
    builder.build().map_err(|error| fail(Exit::Work, format!("{:#}", anyhow::Error::from(error))))
}
