//! Aligned tables and figures for people.

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanBytes, HumanCount};

/// A table with these columns; those whose title begins with `>` are aligned to the right.
pub(crate) fn new<S: AsRef<str>>(titles: &[S]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(titles.iter().map(|title| title.as_ref().trim_start_matches('>')));
    for (column, title) in table.column_iter_mut().zip(titles) {
        if title.as_ref().starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Nanoseconds, with three digits or so, in a unit that fits.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        n if n < 1e3 => (n, "ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// As a ratio: `1.09`, `28,000`.
pub(crate) fn ratio(value: f64) -> String {
    if value >= 1_000.0 { count(value) } else { three_digits(value) }
}

/// As a whole number: `1,234`.
pub(crate) fn count(value: f64) -> String {
    HumanCount(value.round().max(0.0) as u64).to_string()
}

/// Bytes: `31.64 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
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
        assert_eq!([0.5, 760.4, 1_234.0, 45_678e3].map(time), ["0.50 ns", "760 ns", "1.23 µs", "45.7 ms"]);
        assert_eq!(ratio(28_123.4), "28,123");
        assert_eq!(ratio(1.089), "1.09");
        assert_eq!([0.4, 1234.5].map(count), ["0", "1,235"]);
    }
}
