//! Opening a file below a folder without waiting. WASI's own way opens a pipe as well, and waits there until somebody writes to it.

use std::fs::File;
use std::io;

/// Opens the file at a path for reading, as WASI does: nothing out of the folder. `None` where the system has no means to, and WASI
/// opens it.
#[cfg(target_os = "linux")]
pub(crate) fn open_below(folder: &File, path: &str, follow: bool) -> Option<io::Result<File>> {
    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;

    let how = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let how = if follow { how } else { how | OFlags::NOFOLLOW };
    // A rename meanwhile, anywhere, may be an error. As often as WASI's.
    for _ in 0..4 {
        return match openat2(folder, path, how, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS) {
            Err(Errno::AGAIN) => continue,
            // Older systems, and a sandbox around this process.
            Err(Errno::NOSYS | Errno::PERM) => None,
            Err(Errno::XDEV) => Some(Err(Errno::PERM.into())),
            opened => Some(opened.map(File::from).map_err(io::Error::from)),
        };
    }
    // Not WASI's way, which would wait: whoever renames without end could have that.
    Some(Err(Errno::AGAIN.into()))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn open_below(_: &File, _: &str, _: bool) -> Option<io::Result<File>> {
    None
}
