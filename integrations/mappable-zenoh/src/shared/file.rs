//! Files of other processes, and which processes can open one another's.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use rustix::fs::OFlags;

/// Opens, for reading, what another process of this user has open. Whether it is sealed is for who reads it to ask.
pub(super) fn of_process(process: u32, descriptor: u32) -> io::Result<File> {
    // Only a look: to open a pipe or a device would be an action.
    let looked_at = fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::PATH.bits() as i32)
        .open(format!("/proc/{process}/fd/{descriptor}"))?;
    if !looked_at.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is of no file"));
    }
    File::open(format!("/proc/self/fd/{}", looked_at.as_raw_fd()))
}

/// What tells a file from all others that there are.
pub(super) fn identity(file: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(file)?.st_ino)
}

/// Whether other processes of this user may open what this process has open.
pub(super) fn may_be_opened_by_others() -> bool {
    fs::metadata("/proc/self/fd").is_ok_and(|folder| folder.uid() == rustix::process::geteuid().as_raw())
}

/// The number of the protocol. Peers that have the same can open each other's files: they run on one kernel since it was
/// started, see each other's process numbers, and are of one user. All others get bytes.
pub(super) fn protocol() -> io::Result<u32> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let processes = fs::read_link("/proc/self/ns/pid")?;
    let user = rustix::process::geteuid().as_raw();
    let text = format!("mappable-bus 1 {boot} {} {user}", processes.display());
    // FNV-1a, which every build computes alike. The numbers below are Zenoh's own.
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Ok(hash | (1 << 31))
}
