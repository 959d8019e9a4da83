//! What this process has, for tests that count it: one at a time, since all is counted for the whole process.

use std::fs;
use std::os::linux::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use mappable::internals::left_to_close;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(|error| error.into_inner())
}

/// What the process has: mappings of our files, descriptors, blocks of our files, and bytes of address space.
#[derive(Clone, Copy, Debug)]
pub struct Had {
    pub mappings: usize,
    pub descriptors: usize,
    pub blocks: u64,
    pub reserved: u64,
}

impl Had {
    /// The same but for blocks. Of address space: what is less than a view has is also the allocator's.
    pub fn is_but_for_blocks(&self, other: &Self) -> bool {
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

/// Waits for the threads that close what other processes have sent, and connections to processes that are not trusted.
pub fn wait_until_closed() {
    let end = Instant::now() + Duration::from_secs(20);
    while left_to_close() > 0 {
        assert!(Instant::now() < end, "descriptors are being closed for 20 seconds");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the process has, when all is closed that is being closed.
pub fn had() -> Had {
    wait_until_closed();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().filter(|line| line.contains("memfd:mappable")).count();
    let mut blocks = 0;
    let mut descriptors = 0;
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let Ok(link) = fs::read_link(&path) else { continue };
        descriptors += 1;
        if link.to_string_lossy().contains("memfd:mappable") {
            blocks += fs::metadata(&path).unwrap().st_blocks();
        }
    }
    let sizes = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = sizes.split(' ').next().unwrap().parse().unwrap();
    Had { mappings, descriptors, blocks, reserved: pages * 4096 }
}
