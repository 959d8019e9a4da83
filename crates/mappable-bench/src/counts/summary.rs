//! Summarises the rows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Row;
use super::subject::Subject;
use super::tools::Counters;
use crate::driver;
use crate::hop::Kind;

/// By method and case where not said otherwise. Nothing where instructions are not counted.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// By event: what has counted it.
    pub(super) counted_by: BTreeMap<&'static str, String>,
    /// By event: why something has not counted it here, or not in all rows.
    pub(super) not_counted: BTreeMap<&'static str, String>,
    /// The most instructions and system calls of a hop by the ledger.
    pub(super) ledger_instructions: Option<f64>,
    pub(super) ledger_system_calls: Option<f64>,
    /// The most instructions over the fewest, for a method whose hops take the same at any size.
    pub(super) flatness: BTreeMap<String, f64>,
    /// As in `mappable-bench hop`, in instructions; the most of all sizes.
    pub(super) swap_over_floor: Option<f64>,
    pub(super) over_floor: BTreeMap<String, f64>,
}

impl Summary {
    pub(super) fn of(rows: &[Row], counters: &Counters) -> Self {
        Self { counted_by: counters.counted_by(), not_counted: counters.not_counted(), ..Self::of_rows(rows) }
    }

    fn of_rows(rows: &[Row]) -> Self {
        let most = |kind: Kind, figure: fn(&Row) -> Option<f64>| {
            rows.iter().filter(|row| row.method == Subject::Hop(kind)).filter_map(figure).reduce(f64::max)
        };
        let (mut flatness, mut over_floor) = (BTreeMap::new(), BTreeMap::new());
        for row in rows {
            let Some(instructions) = row.instructions else { continue };
            let Subject::Hop(kind) = row.method else { continue };
            let key = || format!("{}_{}", driver::name(row.method), row.case);
            if kind.is_flat() {
                let (least, most) = flatness.entry(key()).or_insert((instructions, instructions));
                (*least, *most) = (least.min(instructions), most.max(instructions));
            }
            let part = |part: Kind| {
                let same = |other: &&Row| {
                    (other.method, &other.case, other.bytes) == (Subject::Hop(part), &row.case, row.bytes)
                };
                rows.iter().find(same)?.instructions
            };
            if let Some(floor) = kind.floor(part) {
                let most: &mut f64 = over_floor.entry(key()).or_insert(0.0);
                *most = most.max(instructions / floor);
            }
        }
        let of_swap = over_floor.iter().filter(|(name, _)| name.starts_with("swap_"));
        Self {
            counted_by: BTreeMap::new(),
            not_counted: BTreeMap::new(),
            ledger_instructions: most(Kind::Ledger, |row| row.instructions),
            ledger_system_calls: most(Kind::Ledger, |row| row.system_calls),
            flatness: flatness.into_iter().map(|(name, (least, most))| (name, most / least)).collect(),
            swap_over_floor: of_swap.map(|(_, ratio)| *ratio).reduce(f64::max),
            over_floor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: Kind, bytes: u64, instructions: f64) -> Row {
        Row {
            method: Subject::Hop(kind),
            case: "concurrency off".to_owned(),
            bytes,
            instructions: (instructions > 0.0).then_some(instructions),
            system_calls: Some(0.0),
            page_faults: None,
            own_system_calls: 0.0,
            hops: 1,
        }
    }

    #[test]
    fn a_summary_is_of_the_worst_size() {
        let parts = [(Kind::HostCall, 100.0), (Kind::Grow0, 20.0), (Kind::OwnHandle, 10.0)];
        let at = |bytes: u64, swap: f64, ledger: f64| {
            let hops = [(Kind::Swap, swap), (Kind::Ledger, ledger)];
            parts.into_iter().chain(hops).map(move |(kind, instructions)| row(kind, bytes, instructions))
        };
        let rows: Vec<_> = at(1 << 16, 500.0, 60.0).chain(at(1 << 20, 375.0, 50.0)).collect();
        let summary = Summary::of_rows(&rows);
        assert_eq!(summary.swap_over_floor, Some(2.0));
        assert_eq!((summary.ledger_instructions, summary.ledger_system_calls), (Some(60.0), Some(0.0)));
        assert_eq!(summary.flatness["ledger_concurrency off"], 1.2);
        assert_eq!(summary.over_floor.len(), 1);
    }

    #[test]
    fn nothing_is_said_of_what_is_not_counted() {
        let rows =
            [Kind::Swap, Kind::HostCall, Kind::Grow0, Kind::OwnHandle, Kind::Ledger].map(|kind| row(kind, 64, 0.0));
        let summary = Summary::of_rows(&rows);
        assert_eq!((summary.swap_over_floor, summary.ledger_instructions), (None, None));
        assert!(summary.flatness.is_empty() && summary.over_floor.is_empty());
    }
}
