//! Reads from the operating system how much memory a process has.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// Bytes of memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Resident {
    /// Pages that the process has, each counted once however often it is mapped (`Pss_Anon` and `Pss_Shmem`). Pages of
    /// program files are left out: their share changes as others run the same program.
    pub(super) resident: u64,
    /// The same, but each page counted once for every mapping of it that was touched (`RssAnon` and `RssShmem`).
    pub(super) mapped: u64,
    /// Page tables (`VmPTE`).
    pub(super) page_tables: u64,
}

/// Bytes that there are more of than there were: as [`Resident`].
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct More {
    pub(super) resident: i64,
    pub(super) mapped: i64,
    pub(super) page_tables: i64,
}

impl More {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            resident: self.resident + other.resident,
            mapped: self.mapped + other.mapped,
            page_tables: self.page_tables + other.page_tables,
        }
    }
}

impl Resident {
    pub(super) fn more_than(self, before: Self) -> More {
        let more = |now: u64, before: u64| now.cast_signed() - before.cast_signed();
        More {
            resident: more(self.resident, before.resident),
            mapped: more(self.mapped, before.mapped),
            page_tables: more(self.page_tables, before.page_tables),
        }
    }

    pub(super) fn now() -> Result<Self> {
        Self::of("self")
    }

    /// What the process of this number has.
    pub(super) fn of(process: &str) -> Result<Self> {
        let read = |file| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).with_context(|| format!("resident memory is read from {path}"))
        };
        let (pages, status) = (read("smaps_rollup")?, read("status")?);
        Ok(Self {
            resident: field(&pages, "Pss_Anon")? + field(&pages, "Pss_Shmem")?,
            mapped: field(&status, "RssAnon")? + field(&status, "RssShmem")?,
            page_tables: field(&status, "VmPTE")?,
        })
    }
}

/// Has [`most`] of a process forget what it had before. Where that can't be, it is told of its whole life.
pub(super) fn forget_most(process: u32) {
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// How many bytes a process has had at the most at once: each page counted once for every mapping of it that was touched, and
/// pages of program files left out, as far as there are any now.
pub(super) fn most(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    Ok(field(&status, "VmHWM")?.saturating_sub(field(&status, "RssFile")?))
}

/// All memory that a process has, pages of files included, each page counted once (`Pss`); and its page tables.
pub(super) fn whole(process: &str) -> Result<(u64, u64)> {
    let read = |file| fs::read_to_string(format!("/proc/{process}/{file}"));
    Ok((field(&read("smaps_rollup")?, "Pss")?, field(&read("status")?, "VmPTE")?))
}

/// A line as the kernel writes it, `Name:   123 kB`, in bytes.
fn field(text: &str, name: &str) -> Result<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix(" kB"));
    let kib: u64 = value.with_context(|| format!("the operating system does not tell {name}"))?.parse()?;
    Ok(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_touched_is_seen() {
        let before = Resident::now().unwrap();
        let bytes = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = Resident::now().unwrap();
        assert!(after.resident - before.resident > 48 << 20, "{before:?} {after:?}");
        assert!(after.mapped - before.mapped > 48 << 20, "{before:?} {after:?}");
        drop(bytes);
        let most = most(std::process::id()).unwrap();
        assert!(most > 48 << 20, "{most} {after:?}");
        assert!(field("Pss_Dirty:  1 kB\nPss:   3 kB", "Pss").unwrap() == 3 << 10);
        assert!(field("Pss_Dirty:  1 kB", "Pss").is_err());
    }
}
