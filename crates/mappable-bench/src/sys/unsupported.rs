//! Where no process can be stepped through by these means.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::process::Child;
use std::time::Duration;

use wasmtime::{AsContextMut, Memory};

use super::Steps;

pub(super) fn thread_cpu_time() -> io::Result<Duration> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn map_over(_: Memory, _: impl AsContextMut, _: Range<u64>, _: &File, _: u64, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn be_counted() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn mark() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn between_marks(_: &mut Child, _: u64) -> io::Result<Steps> {
    Err(io::ErrorKind::Unsupported.into())
}
