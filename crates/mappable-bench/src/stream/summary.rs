//! Summarises the rows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Kind, Row};
use crate::{driver, size};

/// Ratios of medians.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// An element over two hops by calls and an element of four bytes each way, by tier: the most of sizes.
    pub(super) over_parts: BTreeMap<String, f64>,
    /// What copies over what does not, by case and size: `stream-u8 ÷ ledger, touch, consumers: 1, 64 KiB`. To one
    /// consumer it is over a region, to several over a frozen one.
    pub(super) copying_over_regions: BTreeMap<String, f64>,
    /// From this size on what does not copy takes less, by the same without the size; of none where it never does.
    pub(super) breakeven_bytes: BTreeMap<String, Option<u64>>,
    /// System calls that the library made in all samples of streams.
    pub(super) system_calls: u64,
}

impl Summary {
    pub(super) fn of(rows: &[Row]) -> Self {
        let at = |row: &Row, kind: Kind| {
            let same = |other: &&Row| other.method == kind && other.case == row.case && other.bytes == row.bytes;
            rows.iter().find(same).map(|other| other.time.ns)
        };
        let mut over_parts = BTreeMap::new();
        let mut copying_over_regions = BTreeMap::new();
        let mut compared = BTreeMap::<_, Vec<_>>::new();
        for row in rows {
            let call = match row.method {
                Kind::Ledger => Kind::CallLedger,
                _ => Kind::CallBaseline,
            };
            if matches!(row.method, Kind::Ledger | Kind::Baseline)
                && let Some(parts) = at(row, call).zip(at(row, Kind::StreamU32)).map(|(call, number)| call + number)
            {
                let most = over_parts.entry(driver::name(row.method)).or_insert(0.0);
                *most = f64::max(*most, row.time.ns / parts);
            }
            let regions = [Kind::Ledger, Kind::FrozenLedger][usize::from(row.consumers > 1)];
            if matches!(row.method, Kind::StreamU8 | Kind::ListU8)
                && let Some(ns) = at(row, regions)
            {
                let (method, regions) = (driver::name(row.method), driver::name(regions));
                let case = format!("{method} ÷ {regions}, {}", row.case);
                copying_over_regions.insert(format!("{case}, {}", size::human(row.bytes)), row.time.ns / ns);
                compared.entry(case).or_default().push((row.bytes, row.time.ns > ns));
            }
        }
        let streams = [Kind::Ledger, Kind::Baseline, Kind::FrozenLedger, Kind::FrozenBaseline];
        let system_calls = rows.iter().filter(|row| streams.contains(&row.method)).map(|row| row.system_calls).sum();
        let breakeven_bytes = compared.into_iter().map(|(case, sizes)| (case, breakeven(sizes))).collect();
        Self { over_parts, copying_over_regions, breakeven_bytes, system_calls }
    }
}

/// The size from which on all are true.
fn breakeven(mut sizes: Vec<(u64, bool)>) -> Option<u64> {
    sizes.sort_unstable();
    sizes.into_iter().rev().take_while(|(_, less)| *less).last().map(|(bytes, _)| bytes)
}

#[cfg(test)]
mod tests {
    use super::breakeven;

    #[test]
    fn a_breakeven_is_the_size_from_which_on_all_are_less() {
        assert_eq!(breakeven(vec![(4, true), (1, true), (2, false), (8, true)]), Some(4));
        assert_eq!(breakeven(vec![(1, true), (2, false)]), None);
        assert_eq!(breakeven(vec![]), None);
    }
}
