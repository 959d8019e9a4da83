//! How a runtime is set up: options that several commands have.

use clap::{Args, ValueEnum};
use mappable::{Runtime, RuntimeBuilder};
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

/// What a runtime can be told.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Runtime")]
pub(crate) struct Options {
    /// How regions get into memories
    #[arg(long, value_enum, value_name = "MODE", default_value_t)]
    mapping_mode: MappingMode,

    /// The tier in which components run
    #[arg(long, value_enum, value_name = "TIER", default_value_t)]
    tier: Tier,
}

impl Options {
    /// A runtime with these options on an engine with this configuration.
    pub(crate) fn build(self, config: Config) -> anyhow::Result<Runtime> {
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
        let builder: RuntimeBuilder = Runtime::builder().config(config).mapping(mapping).tier(tier);
        builder.build().map_err(|error| fail(Exit::Work, format!("{:#}", anyhow::Error::from(error))))
    }
}
