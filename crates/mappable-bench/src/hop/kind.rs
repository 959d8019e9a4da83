//! The methods that are compared.

use anyhow::Result;
use mappable::MappingMode;
use serde::Serialize;

use crate::method::{self, Among, MAX_STREAMED, Memcpy, Method};
use crate::tier::{Concurrency, Tier};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A region, by the ledger
    Ledger,
    /// A reference to a frozen region, by the ledger; read, not written
    FrozenLedger,
    /// The same in the baseline tier
    FrozenSwap,
    /// A region in the baseline tier, mapped by swapping views
    Swap,
    /// A region in the baseline tier, mapped by remapping
    Remap,
    /// A region in the baseline tier, swapped; the host calls both components
    Mediated,
    /// The same, each component in a store of its own
    MediatedStores,
    /// A `list<u8>` on an engine with default settings
    ListU8,
    /// A `stream<u8>` on an engine with default settings; with concurrency support, and up to 256 MiB
    StreamU8,
    /// A copy in the host
    Memcpy,
    /// An owned resource on an engine with default settings, no bytes
    OwnHandle,
    /// A memory that two core modules share, no isolation
    SharedMemory,
    /// A component's call of a host function in the shape of `map` that does nothing
    HostCall,
    /// The host's call of a component that gives back the handle that it is handed
    OwnCall,
    /// A bare `memory.grow 0`, no hand-over
    Grow0,
}

impl Kind {
    /// The least that a hop can take, given what each of its parts takes: two calls of the host, two refreshes, and
    /// what passes the handle on. `None` of what is not made of these.
    pub(crate) fn floor(self, part: impl Fn(Self) -> Option<f64>) -> Option<f64> {
        let passed = match self {
            Self::Swap => Self::OwnHandle,
            Self::Mediated | Self::MediatedStores => Self::OwnCall,
            _ => return None,
        };
        Some(2.0 * part(Self::HostCall)? + 2.0 * part(Self::Grow0)? + part(passed)?)
    }

    /// Whether a hop does the same at any size.
    pub(crate) fn is_flat(self) -> bool {
        matches!(self, Self::Ledger | Self::Swap | Self::Mediated | Self::MediatedStores)
    }

    /// `None` where there is no such thing.
    pub(crate) fn make(self, bytes: u64, concurrency: Concurrency) -> Result<Option<Box<dyn Method>>> {
        let on = concurrency == Concurrency::On;
        Ok(Some(match self {
            Self::Ledger => method::regions(Tier::Ledger, MappingMode::Auto, on, bytes)?,
            Self::FrozenLedger => method::frozen(Tier::Ledger, on, bytes)?,
            Self::FrozenSwap => method::frozen(Tier::Baseline, on, bytes)?,
            Self::Swap => method::regions(Tier::Baseline, MappingMode::Auto, on, bytes)?,
            Self::Remap => method::regions(Tier::Baseline, MappingMode::Remap, on, bytes)?,
            Self::Mediated => method::mediated(Among::OneStore, on, bytes)?,
            Self::MediatedStores => method::mediated(Among::TwoStores, on, bytes)?,
            Self::ListU8 => method::lists(on, bytes)?,
            Self::StreamU8 if !on || bytes > MAX_STREAMED => return Ok(None),
            Self::StreamU8 => method::streams(bytes)?,
            Self::Memcpy => Box::new(Memcpy::new(bytes)?),
            Self::OwnHandle => method::handles(on)?,
            Self::SharedMemory => method::shared_memory(on, bytes)?,
            Self::HostCall => method::of_the_host(on)?,
            Self::OwnCall => method::of_a_component(on)?,
            Self::Grow0 => method::grow(on, bytes)?,
        }))
    }
}
