//! The twin of `linux` for platforms on which pages can't be mapped yet: every constructor answers
//! [`io::ErrorKind::Unsupported`], so that nothing else can be reached. Regions are mapped by copying there.

use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use super::{Access, Budget, WriteCount};

/// Never exists here.
#[derive(Debug)]
pub(crate) struct File(Infallible);

impl File {
    pub(crate) fn create(_name: &str, _len: u64) -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn of(_file: Arc<std::fs::File>) -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn is_constant(&self) -> io::Result<bool> {
        match self.0 {}
    }

    pub(crate) fn check_pages(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn read(&self, _start: u64, _into: &mut [u8]) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn write(&self, _start: u64, _from: &[u8]) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn punch(&self, _start: u64, _len: u64) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn data(&self, _within: Range<u64>) -> io::Result<Option<u64>> {
        match self.0 {}
    }

    pub(crate) fn hole(&self, _within: Range<u64>) -> io::Result<u64> {
        match self.0 {}
    }
}

/// Never exists here.
#[derive(Debug)]
pub(crate) struct Space(Infallible);

impl Space {
    pub(crate) fn reserve(_len: usize, _like: u64) -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        match self.0 {}
    }

    pub(crate) fn len(&self) -> usize {
        match self.0 {}
    }

    pub(crate) fn split_off(&mut self, _at: usize) -> io::Result<Self> {
        match self.0 {}
    }

    pub(crate) fn append(&mut self, _high: Self) -> Result<(), Self> {
        match self.0 {}
    }

    pub(crate) fn advise_huge(&self, _at: usize, _len: usize) {
        match self.0 {}
    }

    pub(crate) fn collapse(&self, _at: usize, _len: usize) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn unmap(&self, _at: usize, _len: usize) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn reserve_file(&self, _at: usize, _file: &File, _start: u64, _len: usize) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn commit(&self, _at: usize, _len: usize) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn decommit(&self, _at: usize, _len: usize) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn discard(&self, _at: usize, _len: usize) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn map(&self, _at: usize, _file: &File, _start: u64, _len: usize, _access: Access) -> io::Result<()> {
        match self.0 {}
    }
}

/// Guards nothing: there is no `Space` to show anything in.
#[derive(Debug)]
pub(crate) struct Guard;

impl Guard {
    pub(crate) fn new(_range: Range<usize>, _of_others: bool, _count: Option<WriteCount>) -> Self {
        Self
    }

    pub(crate) fn private(_range: Range<usize>, _of_others: bool, _budget: Arc<Budget>) -> Self {
        Self
    }

    pub(crate) fn of_window(_range: Range<usize>) -> Self {
        Self
    }

    pub(crate) fn is_dirty(&self) -> bool {
        false
    }
}

pub(crate) fn faults() -> u64 {
    0
}

pub(crate) fn install_fault_handler() -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn install_first_fault_handler() -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn reopened(_file: &std::fs::File) -> io::Result<std::fs::File> {
    Err(unsupported())
}

pub(crate) fn unnamed_clone(_file: &std::fs::File) -> io::Result<std::fs::File> {
    Err(unsupported())
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "mapping regions needs 64-bit Linux")
}

/// Nothing comes from other processes.
#[cfg(feature = "internals")]
pub fn left_to_close() -> usize {
    0
}

pub(crate) fn address_space_limit() -> Option<u64> {
    None
}

pub(crate) fn may_refuse_pages() -> bool {
    false
}

pub(crate) fn with_spare_mappings(mut restore: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    restore()
}
