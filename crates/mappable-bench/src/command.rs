//! Where the command `mappable` is, for benchmarks that measure it or need it.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// What was told; else the one beside this program, or that which the shell finds.
pub(crate) fn mappable(told: Option<&Path>) -> Result<PathBuf> {
    if let Some(told) = told {
        return Ok(told.to_owned());
    }
    let beside = std::env::current_exe()?.with_file_name("mappable");
    Ok(if beside.exists() { beside } else { PathBuf::from("mappable") })
}
