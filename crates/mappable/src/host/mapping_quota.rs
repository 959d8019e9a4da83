//! How much is mapped in a store, and how much may be.
//!
//! Trusted modules map without the host. So once a store has a ledger, the counts are the ledger's words, and what may be
//! mapped is written there at each change of it: by [`MappingQuota`] alone, which is told of the limits, of what lingers and
//! of the ledger.

use std::sync::Arc;

use crate::GRANULE;
use crate::ledger::Ledger;
use crate::region::{Held, Limits};
use crate::view::Lingering;

/// What is mapped in a store, and how much of it there may be.
pub(super) struct MappingQuota {
    counts: Counts,
    max_regions: usize,
    max_frozen_bytes: u64,
    /// What is shown though nobody has its handle: it counts until it is gone.
    lingering: Lingering,
}

/// Where it is counted what guests have mapped.
enum Counts {
    Here { regions: usize, frozen_bytes: u64 },
    InLedger(Arc<Ledger>),
}

impl MappingQuota {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            counts: Counts::Here { regions: 0, frozen_bytes: 0 },
            max_regions: limits.mappings,
            max_frozen_bytes: limits.frozen_mapped_bytes,
            lingering: Lingering::default(),
        }
    }

    pub(super) fn set_limits(&mut self, limits: &Limits) {
        (self.max_regions, self.max_frozen_bytes) = (limits.mappings, limits.frozen_mapped_bytes);
        self.publish();
    }

    /// What lingers in all memories together.
    pub(super) fn lingering(&self) -> Lingering {
        self.lingering
    }

    pub(super) fn set_lingering(&mut self, lingering: Lingering) {
        self.lingering = lingering;
        self.publish();
    }

    /// From here on the store's ledger counts.
    pub(super) fn count_in(&mut self, ledger: &Arc<Ledger>) {
        let (regions, frozen_bytes) = (self.regions(), self.frozen_bytes());
        self.counts = Counts::InLedger(Arc::clone(ledger));
        self.set(regions, frozen_bytes);
        self.publish();
    }

    /// Whether a region may be mapped besides, once no more than `lingering` lingers.
    #[inline(always)]
    pub(super) fn has_room_for(&self, held: &Held, lingering: Lingering) -> bool {
        let frozen_then = self.frozen_bytes().saturating_add(lingering.frozen_bytes).saturating_add(frozen_bytes(held));
        let is_over = held.is_frozen() && frozen_then > self.max_frozen_bytes;
        !is_over && self.regions() + lingering.regions < self.max_regions
    }

    #[inline(always)]
    pub(super) fn note_mapped(&mut self, held: &Held) {
        self.set(self.regions() + 1, self.frozen_bytes() + frozen_bytes(held));
    }

    #[inline(always)]
    pub(super) fn note_unmapped(&mut self, held: &Held) {
        self.set(self.regions().saturating_sub(1), self.frozen_bytes().saturating_sub(frozen_bytes(held)));
    }

    fn regions(&self) -> usize {
        match &self.counts {
            Counts::Here { regions, .. } => *regions,
            Counts::InLedger(ledger) => ledger.mapped(),
        }
    }

    fn frozen_bytes(&self) -> u64 {
        match &self.counts {
            Counts::Here { frozen_bytes, .. } => *frozen_bytes,
            Counts::InLedger(ledger) => u64::from(ledger.frozen_mapped()) * GRANULE,
        }
    }

    fn set(&mut self, regions: usize, frozen_bytes: u64) {
        match &mut self.counts {
            counts @ Counts::Here { .. } => *counts = Counts::Here { regions, frozen_bytes },
            Counts::InLedger(ledger) => {
                ledger.set_mapped(regions);
                ledger.set_frozen_mapped(frozen_bytes / GRANULE);
            }
        }
    }

    /// Tells trusted modules how much may be mapped besides what lingers.
    fn publish(&self) {
        if let Counts::InLedger(ledger) = &self.counts {
            ledger.set_max_mappings(self.max_regions.saturating_sub(self.lingering.regions));
            let frozen = self.max_frozen_bytes.saturating_sub(self.lingering.frozen_bytes);
            ledger.set_max_frozen_mapped(frozen / GRANULE);
        }
    }
}

fn frozen_bytes(held: &Held) -> u64 {
    if held.is_frozen() { held.size() } else { 0 }
}
