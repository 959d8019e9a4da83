//! Numbers of bytes, as people write and read them.

use anyhow::{Result, bail};

/// Bytes, or with KiB, MiB or GiB.
pub(super) fn parse(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("`{unit}` is no unit; take B, KiB, MiB or GiB")),
    };
    let number: u64 = digits.parse().map_err(|error| format!("`{digits}` is no number of bytes: {error}"))?;
    number.checked_mul(unit).ok_or_else(|| "too large".into())
}

/// An error if any of these is not what `words` say and `fits` looks for.
pub(super) fn check(sizes: &[u64], words: &str, fits: impl Fn(u64) -> bool) -> Result<()> {
    let wrong = sizes.iter().find(|&&size| !fits(size));
    wrong.map_or(Ok(()), |wrong| bail!("sizes are {words}, which {wrong} is not"))
}

/// In the largest unit that is not larger.
pub(super) fn human(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for bytes in [64, 1 << 10, 512 << 10, 64 << 20, 3 << 30] {
            assert_eq!(parse(&human(bytes).replace(' ', "")), Ok(bytes));
        }
        for wrong in ["", "MiB", "1MB", "-1", "1.5KiB", "99999999999GiB"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
