//! Frozen bytes from files.
//!
//! # Safety
//!
//! [`Frozen::from_file_mapped`] shows pages that others could change; that they don't is its caller's word.

#![allow(unsafe_code)]

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};

use super::runtime::Runtime;
use crate::region::{Frozen, FrozenRegion};
use crate::sys::File;

impl Frozen {
    /// The bytes of a file from its beginning, copied once; what becomes of the file later is of no consequence. They are
    /// followed by zeroes up to a whole granule, of which there is one at the least.
    ///
    /// # Errors
    ///
    /// The file's, and [`io::ErrorKind::OutOfMemory`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = std::env::temp_dir().join(format!("mappable-doc-{}", std::process::id()));
    /// # std::fs::write(&dir, b"model weights")?;
    /// # let path = &dir;
    /// let runtime = mappable::Runtime::new()?;
    /// let weights = mappable::Frozen::from_file(&runtime, &std::fs::File::open(path)?)?;
    /// assert!(weights.starts_with(b"model weights"));
    /// # std::fs::remove_file(path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_file(runtime: &Runtime, mut file: &fs::File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let out_of_memory = |error| io::Error::new(io::ErrorKind::OutOfMemory, error);
        let mut region = runtime.allocate_at_least(len).map_err(out_of_memory)?;
        file.seek(SeekFrom::Start(0))?;
        let bytes = region.bytes_mut()?;
        let mut at = 0;
        while at < bytes.len() {
            match file.read(&mut bytes[at..]) {
                Ok(0) => break,
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        region.freeze().map_err(|failed| failed.source)
    }

    /// The bytes of a file without a copy: its own pages are shown, to the host and to every component that maps them,
    /// and are read from the file when they are first touched. The file is not empty; its bytes are followed by zeroes up
    /// to a whole granule.
    ///
    /// Can't be thawed, only copied. Where regions are mapped by copying, the same as [`Frozen::from_file`].
    ///
    /// # Safety
    ///
    /// Until the last reference is gone, and the stores that mapped one, nobody writes to the file or makes it shorter, in
    /// this process or another. A write would change bytes that are taken for constant, by Rust code and by components;
    /// an access past the end of a file that was made shorter ends the process.
    ///
    /// # Errors
    ///
    /// The file's (it can't be mapped, or is empty).
    pub unsafe fn from_file_mapped(runtime: &Runtime, file: &fs::File) -> io::Result<Self> {
        if !runtime.backing().is_in_file() {
            return Self::from_file(runtime, file);
        }
        Self::of(FrozenRegion::of_file(runtime.backing(), File::of(file)?)?)
    }
}
