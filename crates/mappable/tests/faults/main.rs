//! What becomes of regions when something fails, or stops, at the worst moment: every system call, every point at which
//! an engine interrupts a guest, every point at which a fiber yields. In a process of its own, one test at a time,
//! since what must come back is counted for the whole process.

mod calls;
mod exhausted;
mod exported;
mod fault;
mod files;
mod growth;
mod hop;
mod host_writes;
mod idle;
mod interruption;
mod private;
mod scene;
mod script;
mod yields;

use mappable_testing::{process, support, wat};
use std::process::{Command, Output};

use process::{alone, had};
use support::Setup;

/// Each way of getting regions into a memory, in each tier.
const SETUPS: [Setup; 12] = [
    Setup::Swap,
    Setup::Remap,
    Setup::Fixed,
    Setup::NoViews,
    Setup::FewViews,
    Setup::Copy,
    Setup::LedgerSwap,
    Setup::LedgerRemap,
    Setup::LedgerFixed,
    Setup::LedgerNoViews,
    Setup::LedgerFewViews,
    Setup::LedgerCopy,
];

/// Runs an ignored test of this binary in a process of its own.
fn child(name: &str) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]).output().unwrap()
}
