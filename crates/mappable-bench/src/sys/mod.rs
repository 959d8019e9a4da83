//! Counts the instructions that a process runs between two marks, by stepping through them one by one: exactly, and on
//! any machine, where the processor's own counters often can't be had.
//!
//! The process that is counted is one that wants to be: a child that calls [`be_counted`], and [`mark`] before and
//! after what is to be counted. Its parent calls [`Steps::between_marks`], on the thread that made it.
//!
//! What is counted is the thread that sets marks, in user mode. A system call is one instruction; so is a repeated one
//! (`rep movsb`), however often it repeats.

#[cfg_attr(all(target_os = "linux", target_arch = "x86_64"), path = "linux.rs")]
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "unsupported.rs")]
mod platform;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::process::Child;
use std::time::Duration;

use wasmtime::{AsContextMut, Memory};

/// How many instructions there are between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steps {
    /// So many.
    Counted(u64),
    /// More than was allowed. The child is ended.
    TooMany,
}

/// How long this thread has run on a core.
///
/// # Errors
///
/// As [`be_counted`].
pub(crate) fn thread_cpu_time() -> io::Result<Duration> {
    platform::thread_cpu_time()
}

/// Maps bytes of a file over whole pages of a linear memory, until that is dropped: for reading, or privately to be written to. What was
/// there is gone. The embedder is to see to it that nobody makes the file shorter.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] for what is not within the memory, or not of whole pages; as [`be_counted`].
pub(crate) fn map_over(
    memory: Memory,
    store: impl AsContextMut,
    range: Range<u64>,
    file: &File,
    offset: u64,
    written: bool,
) -> io::Result<()> {
    platform::map_over(memory, store, range, file, offset, written)
}

/// Has the parent see the marks of this thread from here on.
///
/// # Errors
///
/// The operating system's; [`io::ErrorKind::Unsupported`] where it has not the means.
pub(crate) fn be_counted() -> io::Result<()> {
    platform::be_counted()
}

/// Stops this thread, for the parent to take note. Where nobody [counts](be_counted) the process stops.
///
/// # Errors
///
/// As [`be_counted`].
pub(crate) fn mark() -> io::Result<()> {
    platform::mark()
}

impl Steps {
    /// Counts the instructions of a child between its first mark and its second, and lets it go on. The child was made
    /// by the calling thread.
    ///
    /// # Errors
    ///
    /// If the child ends before its second mark; the operating system's; [`io::ErrorKind::Unsupported`] where it has
    /// not the means.
    pub(crate) fn between_marks(child: &mut Child, at_most: u64) -> io::Result<Self> {
        let counted = platform::between_marks(child, at_most);
        if !matches!(counted, Ok(Self::Counted(_))) {
            // A child that is stopped would stay for ever. One that has ended has ended.
            let _ = child.kill();
        }
        counted
    }
}
