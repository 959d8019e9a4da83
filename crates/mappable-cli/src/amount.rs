//! Numbers of bytes and spans of time, as people write them on the command line.

use std::time::Duration;

/// Bytes, or with KiB, MiB or GiB. Zero is no size.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("`{unit}` is no unit of size: B, KiB, MiB or GiB")),
    };
    whole(number)?.checked_mul(unit).ok_or_else(|| "too large".into())
}

/// The same up to 1 TiB, but a number alone is of MiB.
pub(crate) fn size_or_mib(text: &str) -> Result<u64, String> {
    let bytes = if split(text).1.is_empty() { size(&format!("{text}MiB"))? } else { size(text)? };
    if bytes <= 1 << 40 { Ok(bytes) } else { Err("too large: 1024GiB at the most".into()) }
}

/// Seconds, or with ms, s, m or h. Zero is no span.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        unit => return Err(format!("`{unit}` is no unit of time: ms, s, m or h")),
    };
    whole(number)?.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| "too long".into())
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len())
}

fn whole(digits: &str) -> Result<u64, String> {
    match digits.parse() {
        Ok(0) => Err("it is not zero".into()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("`{digits}` is no whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_numbers_with_units() {
        assert_eq!(["7", "2B", "3KiB", "4MiB", "5GiB"].map(size), [7, 2, 3 << 10, 4 << 20, 5 << 30].map(Ok));
        assert_eq!(["7", "8KiB", "1024GiB"].map(size_or_mib), [7 << 20, 8 << 10, 1 << 40].map(Ok));
        assert!(["1025GiB", "1048577", "0", ""].map(size_or_mib).iter().all(Result::is_err));
        assert_eq!(
            ["7", "2ms", "3s", "4m", "1h"].map(span),
            [7_000, 2, 3_000, 240_000, 3_600_000].map(|ms| Ok(Duration::from_millis(ms)))
        );
        for wrong in ["", "0", "-1", "1.5s", "MiB", "ms", "1MB", "1d", "99999999999999999999", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0s", "-1", "1.5s", "ms", "1d", "1MiB", "9999999999999999h"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
