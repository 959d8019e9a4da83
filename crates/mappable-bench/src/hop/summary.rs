//! Summarises the rows.

use std::collections::BTreeMap;

use mappable::GRANULE;
use serde::Serialize;

use super::{Kind, Row};
use crate::driver;
use crate::tier::Concurrency;

/// Ratios of medians; the worst of both cases. `None` where what it is of was not measured.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// A hop by the ledger over a `memory.grow 0`: the most of sizes from 64 KiB on.
    pub(super) ledger_over_grow0: Option<f64>,
    /// The dearest size over the cheapest, from 64 KiB on.
    pub(super) ledger_flatness: Option<f64>,
    pub(super) swap_flatness: Option<f64>,
    pub(super) swap_over_ledger: Option<f64>,
    pub(super) list_over_ledger_1mib: Option<f64>,
    pub(super) list_over_swap_1mib: Option<f64>,
    /// A hop in the baseline tier over the floor of its parts, measured beside it: two calls of the host that do
    /// nothing, two `memory.grow 0`, and an own handle's transfer from component to component. The median of all sizes.
    pub(super) swap_over_floor: Option<f64>,
    /// The same where the host mediates: two calls of the host that do nothing, two `memory.grow 0`, and a call of a
    /// component that gives back a handle.
    pub(super) mediated_over_floor: Option<f64>,
    pub(super) mediated_stores_over_floor: Option<f64>,
    /// These, by method and concurrency support.
    pub(super) over_floor: BTreeMap<String, f64>,
    /// From this size on a hop by the ledger takes less than memcpy.
    pub(super) memcpy_breakeven_bytes: Option<u64>,
    /// System calls that the library made in all warm hops by the ledger, and by swapping.
    pub(super) ledger_hop_syscalls: u64,
    pub(super) swap_hop_syscalls: u64,
}

impl Summary {
    pub(super) fn of(rows: &[Row]) -> Self {
        let cases = Concurrency::ALL.map(|concurrency| Case { rows, case: concurrency.case() });
        let most = |of: &dyn Fn(&Case) -> Option<f64>| cases.iter().filter_map(of).reduce(f64::max);
        let least = |of: &dyn Fn(&Case) -> Option<f64>| cases.iter().filter_map(of).reduce(f64::min);
        let system_calls = |kind: Kind| rows.iter().filter(|row| row.method == kind).map(|row| row.system_calls).sum();
        Self {
            ledger_over_grow0: most(&|case| case.ratios(Kind::Ledger, Kind::Grow0, GRANULE).reduce(f64::max)),
            ledger_flatness: most(&|case| case.flatness(Kind::Ledger)),
            swap_flatness: most(&|case| case.flatness(Kind::Swap)),
            swap_over_ledger: least(&|case| case.ratios(Kind::Swap, Kind::Ledger, GRANULE).reduce(f64::min)),
            list_over_ledger_1mib: least(&|case| case.ratio_at(Kind::ListU8, Kind::Ledger, 1 << 20)),
            list_over_swap_1mib: least(&|case| case.ratio_at(Kind::ListU8, Kind::Swap, 1 << 20)),
            swap_over_floor: most(&|case| case.over_floor(Kind::Swap)),
            mediated_over_floor: most(&|case| case.over_floor(Kind::Mediated)),
            mediated_stores_over_floor: most(&|case| case.over_floor(Kind::MediatedStores)),
            over_floor: cases.iter().flat_map(Case::over_floors).collect(),
            memcpy_breakeven_bytes: cases.iter().filter_map(Case::breakeven).max(),
            ledger_hop_syscalls: system_calls(Kind::Ledger),
            swap_hop_syscalls: system_calls(Kind::Swap),
        }
    }
}

/// The rows of one case.
pub(super) struct Case<'a> {
    pub(super) rows: &'a [Row],
    pub(super) case: &'static str,
}

impl Case<'_> {
    /// Sizes and times, in the order of the rows.
    fn of(&self, kind: Kind) -> impl Iterator<Item = (u64, f64)> {
        let rows = self.rows.iter().filter(move |row| row.case == self.case && row.method == kind);
        rows.map(|row| (row.bytes, row.time.ns))
    }

    pub(super) fn at(&self, kind: Kind, bytes: u64) -> Option<f64> {
        self.of(kind).find(|row| row.0 == bytes).map(|row| row.1)
    }

    fn ratio_at(&self, over: Kind, under: Kind, bytes: u64) -> Option<f64> {
        Some(self.at(over, bytes)? / self.at(under, bytes)?)
    }

    /// At each size from `least` on.
    fn ratios(&self, over: Kind, under: Kind, least: u64) -> impl Iterator<Item = f64> {
        let sizes = self.of(over).map(|row| row.0).filter(move |bytes| *bytes >= least);
        sizes.filter_map(move |bytes| self.ratio_at(over, under, bytes))
    }

    /// The median of all sizes.
    fn over_floor(&self, kind: Kind) -> Option<f64> {
        let mut ratios: Vec<_> =
            self.of(kind).filter_map(|(bytes, ns)| Some(ns / kind.floor(|part| self.at(part, bytes))?)).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    }

    fn over_floors(&self) -> impl Iterator<Item = (String, f64)> {
        let kinds = [Kind::Swap, Kind::Mediated, Kind::MediatedStores];
        kinds
            .into_iter()
            .filter_map(|kind| Some((format!("{}_{}", driver::name(kind), self.case), self.over_floor(kind)?)))
    }

    fn flatness(&self, kind: Kind) -> Option<f64> {
        let times = || self.of(kind).filter(|row| row.0 >= GRANULE).map(|row| row.1);
        Some(times().reduce(f64::max)? / times().reduce(f64::min)?)
    }

    fn breakeven(&self) -> Option<u64> {
        let mut sizes: Vec<_> = self.of(Kind::Memcpy).map(|row| row.0).collect();
        sizes.sort_unstable();
        let dearer = |bytes: &u64| self.ratio_at(Kind::Memcpy, Kind::Ledger, *bytes).is_some_and(|ratio| ratio > 1.0);
        sizes.into_iter().rev().take_while(dearer).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Spread;

    fn row(kind: Kind, bytes: u64, ns: f64) -> Row {
        let time = Spread { ns, ns_min: ns, ns_max: ns };
        Row { method: kind, case: Concurrency::Off.case(), bytes, time, system_calls: 0 }
    }

    #[test]
    fn a_summary_has_the_worst_of_sizes() {
        let mib = 1 << 20;
        let rows = [
            row(Kind::Ledger, 1024, 500.0),
            row(Kind::Ledger, GRANULE, 100.0),
            row(Kind::Ledger, mib, 120.0),
            row(Kind::Grow0, 1024, 1.0),
            row(Kind::Grow0, GRANULE, 50.0),
            row(Kind::Grow0, mib, 30.0),
            row(Kind::ListU8, mib, 1200.0),
            row(Kind::Memcpy, 1024, 501.0),
            row(Kind::Memcpy, GRANULE, 90.0),
            row(Kind::Memcpy, mib, 130.0),
        ];
        let summary = Summary::of(&rows);
        assert_eq!(summary.ledger_over_grow0, Some(4.0));
        assert_eq!(summary.ledger_flatness, Some(1.2));
        assert_eq!(summary.list_over_ledger_1mib, Some(10.0));
        assert_eq!((summary.swap_flatness, summary.swap_over_ledger), (None, None));
        // Less at 1 KiB too, but not in between.
        assert_eq!(summary.memcpy_breakeven_bytes, Some(mib));
    }

    #[test]
    fn a_floor_is_what_the_parts_take() {
        let parts = [(Kind::HostCall, 100.0), (Kind::Grow0, 20.0), (Kind::OwnHandle, 10.0), (Kind::OwnCall, 60.0)];
        let at = |bytes: u64, swap: f64| {
            let hops = [(Kind::Swap, swap), (Kind::Mediated, 600.0)];
            parts.into_iter().chain(hops).map(move |(kind, ns)| row(kind, bytes, ns))
        };
        let rows: Vec<_> = [(1024, 250.0), (GRANULE, 375.0), (1 << 20, 500.0)]
            .map(|(b, ns)| at(b, ns))
            .into_iter()
            .flatten()
            .collect();
        let summary = Summary::of(&rows);
        assert_eq!((summary.swap_over_floor, summary.mediated_over_floor), (Some(1.5), Some(2.0)));
        assert_eq!(summary.mediated_stores_over_floor, None);
        let expected = [("mediated_concurrency off".to_owned(), 2.0), ("swap_concurrency off".to_owned(), 1.5)];
        assert_eq!(summary.over_floor, BTreeMap::from(expected));
    }
}
