//! Aligned tables and figures for people.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanCount;

/// A table with these columns; those whose title begins with `>` are aligned to the right.
pub(crate) fn new(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(titles.iter().map(|title| title.trim_start_matches('>')));
    for (column, title) in table.column_iter_mut().zip(titles) {
        if title.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// With three digits or so, in a unit that fits.
pub(crate) fn time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (value, unit) = match nanos {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// How many a second: `41.2`.
pub(crate) fn rate(value: f64) -> String {
    three_digits(value)
}

/// As a ratio: `1.09`, `28,000`.
pub(crate) fn ratio(value: f64) -> String {
    if value >= 1_000.0 { HumanCount(value.round() as u64).to_string() } else { three_digits(value) }
}

fn three_digits(value: f64) -> String {
    let decimals = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(time(Duration::from_nanos(760)), "760 ns");
        assert_eq!(time(Duration::from_nanos(1_234)), "1.23 µs");
        assert_eq!(time(Duration::from_micros(45_678)), "45.7 ms");
        assert_eq!(ratio(28_123.4), "28,123");
        assert_eq!(ratio(1.089), "1.09");
    }
}
