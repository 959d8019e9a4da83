//! The settings that engines are measured with: tier, and concurrency support.

use std::borrow::Cow;

use anyhow::Result;
use mappable::rewrite::{self, Gate, Settings, rewrite_with};
use serde::Serialize;

/// What a component's handles and lists go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tier {
    /// The baseline tier: the engine's tables, and host calls
    Baseline,
    /// The ledger tier: tables of our own, and one ledger for a store
    Ledger,
}

impl Tier {
    pub(super) const ALL: [Self; 2] = [Self::Baseline, Self::Ledger];
}

impl From<Tier> for rewrite::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Baseline => Self::Baseline,
            Tier::Ledger => Self::Ledger,
        }
    }
}

/// The rewriter alone, as a runtime uses it.
#[derive(Clone)]
pub(super) struct Rewriting {
    gate: Gate,
}

impl Rewriting {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { gate: Gate::new("bench")? })
    }

    pub(super) fn rewrite<'a>(&self, component: &'a [u8], tier: Tier) -> Result<Cow<'a, [u8]>> {
        let settings = Settings { tier: tier.into(), ..Settings::default() };
        Ok(rewrite_with(component, &self.gate, settings)?.bytes)
    }
}

/// Wasmtime's concurrency support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Concurrency {
    Off,
    On,
}

impl Concurrency {
    pub(super) const ALL: [Self; 2] = [Self::Off, Self::On];

    pub(super) fn case(self) -> &'static str {
        match self {
            Self::Off => "concurrency off",
            Self::On => "concurrency on",
        }
    }
}
