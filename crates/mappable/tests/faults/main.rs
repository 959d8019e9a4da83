//! What becomes of regions when something fails, or stops, at the worst moment: every system call, every point at which
//! an engine interrupts a guest, every point at which a fiber yields. In a process of its own, one test at a time, since
//! what must come back is counted for the whole process.

mod calls;
mod exhausted;
mod fault;
mod hop;
mod host_writes;
mod interruption;
mod scene;
mod script;
#[path = "../all/support.rs"]
#[allow(dead_code, unused_imports, unused_macros)]
mod support;
#[path = "../all/wat.rs"]
#[allow(dead_code)]
mod wat;
mod yields;

use std::os::linux::fs::MetadataExt;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard};

use support::Setup;

/// Each way of getting regions into a memory.
const SETUPS: [Setup; 6] = [Setup::Swap, Setup::Remap, Setup::Fixed, Setup::NoViews, Setup::FewViews, Setup::Copy];

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(|error| error.into_inner())
}

/// What the process has: mappings of our files, descriptors, blocks of our files, and bytes of address space.
#[derive(Clone, Copy, Debug)]
struct Had {
    mappings: usize,
    descriptors: usize,
    blocks: u64,
    reserved: u64,
}

impl Had {
    /// The same but for blocks. Of address space: what is less than a view has is also the allocator's.
    fn is_but_for_blocks(&self, other: &Self) -> bool {
        self.mappings == other.mappings
            && self.descriptors == other.descriptors
            && self.reserved.abs_diff(other.reserved) < 4 << 30
    }
}

impl PartialEq for Had {
    fn eq(&self, other: &Self) -> bool {
        self.blocks == other.blocks && self.is_but_for_blocks(other)
    }
}

fn had() -> Had {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().filter(|line| line.contains("memfd:mappable")).count();
    let mut blocks = 0;
    let mut descriptors = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let Ok(link) = std::fs::read_link(&path) else { continue };
        descriptors += 1;
        if link.to_string_lossy().contains("memfd:mappable") {
            blocks += std::fs::metadata(&path).unwrap().st_blocks();
        }
    }
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = sizes.split(' ').next().unwrap().parse().unwrap();
    Had { mappings, descriptors, blocks, reserved: pages * 4096 }
}

/// Runs an ignored test of this binary in a process of its own.
fn child(name: &str) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]).output().unwrap()
}
