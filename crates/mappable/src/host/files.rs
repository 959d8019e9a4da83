//! Regions and frozen bytes from files and other readers.
//!
//! A file's length is a guess, never a fact: it reads 0 for files that the kernel makes up (`/proc`), and changes while
//! the file is read. So a file is read until it ends.
//!
//! # Safety
//!
//! [`Frozen::from_file_mapped`] shows pages that others could change; that they don't is its caller's word.

#![allow(unsafe_code)]

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};

use super::runtime::Runtime;
use crate::region::{Frozen, FrozenRegion, GRANULE, Mappable};
use crate::sys::File;

impl Runtime {
    /// A new region of all the bytes that `from` gives until it ends. It has as many granules as they take (one at the least),
    /// and zeroes behind them. `expected` is a guess at their number: where it is right, they are read straight into the
    /// region; where it is too small, they are moved into larger regions on the way.
    ///
    /// Reads without a limit: use [`Read::take`] where the reader may not end.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = mappable::Runtime::new()?;
    /// let region = runtime.allocate_from_reader(&b"from anywhere"[..], 0)?;
    /// assert_eq!(region.bytes()?, b"from anywhere");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The reader's, and [`io::ErrorKind::OutOfMemory`].
    pub fn allocate_from_reader(&self, mut from: impl Read, expected: u64) -> io::Result<Mappable> {
        let allocate = |size| self.allocate(size).map_err(|error| io::Error::new(io::ErrorKind::OutOfMemory, error));
        let mut region = allocate(expected.max(1))?;
        let mut len = read_until_full(&mut from, region.all_bytes_mut()?)?;
        while len as u64 == region.size() {
            // A file that is as long as expected ends here, and is not moved.
            let mut more = [0; 64];
            let count = read_until_full(&mut from, &mut more)?;
            if count == 0 {
                break;
            }
            let mut larger = allocate(region.size().saturating_mul(2))?;
            let bytes = larger.all_bytes_mut()?;
            bytes[..len].copy_from_slice(region.all_bytes()?);
            bytes[len..len + count].copy_from_slice(&more[..count]);
            len += count;
            region = larger;
            len += read_until_full(&mut from, &mut region.all_bytes_mut()?[len..])?;
        }
        let len = len as u64;
        let needed = len.max(1).next_multiple_of(GRANULE);
        if needed < region.size() {
            (region, _) = region.split(needed).map_err(|failed| io::Error::new(io::ErrorKind::OutOfMemory, failed))?;
        }
        region.set_len(len)?;
        Ok(region)
    }
}

/// Reads until there is no room or nothing more. Returns how many bytes were read.
pub(super) fn read_until_full(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < into.len() {
        match from.read(&mut into[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

impl Frozen {
    /// The bytes of a file from its beginning to its end, copied once; what becomes of the file later is of no consequence.
    /// Its length is theirs. Behind them are zeroes up to a whole granule, of which there is one at the least.
    ///
    /// Reads until the file ends, whatever its length is said to be: also files that are longer than they say (`/proc`),
    /// and all that is there of one that grows or shrinks meanwhile.
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
    /// assert_eq!(weights[..], *b"model weights");
    /// # std::fs::remove_file(path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_file(runtime: &Runtime, mut file: &fs::File) -> io::Result<Self> {
        let expected = file.metadata()?.len();
        file.seek(SeekFrom::Start(0))?;
        let region = runtime.allocate_from_reader(file, expected)?;
        region.freeze().map_err(|failed| failed.source)
    }

    /// The bytes of a file without a copy: its own pages are shown, to the host and to every component that maps them,
    /// and are read from the file when they are first touched. The file is not empty; its length is that of the reference,
    /// and behind its bytes are zeroes up to a whole granule.
    ///
    /// Can't be thawed, only copied. Where regions are mapped by copying, the same as [`Frozen::from_file`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::{Frozen, Runtime};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("weights");
    /// # std::fs::write(&path, b"model weights")?;
    /// let runtime = Runtime::new()?;
    /// let file = std::fs::File::open(&path)?;
    /// // SAFETY: nobody changes the file: it is this program's own.
    /// let weights = unsafe { Frozen::from_file_mapped(&runtime, &file)? };
    /// assert_eq!(weights[..], *b"model weights");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Safety
    ///
    /// As of [`FileBytes::shared`](crate::FileBytes::shared): until the last reference is gone, and the stores that mapped one,
    /// nobody writes to the file or makes it shorter, in this process or another. That would change bytes that are taken for
    /// constant, by Rust code and by components. If it is made shorter all the same, components trap where a page is gone, and
    /// the host reads zeroes.
    ///
    /// # Errors
    ///
    /// The file's, where it can't be mapped; [`io::ErrorKind::InvalidInput`] if its length is 0, because it is empty or
    /// because its bytes are made up as they are read (`/proc`).
    pub unsafe fn from_file_mapped(runtime: &Runtime, file: &fs::File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        if len == 0 {
            let text = "a file of length 0 has no pages to map: use Frozen::from_file, which reads it";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if !runtime.backing().is_in_file() {
            return Self::from_file(runtime, file);
        }
        Self::of(FrozenRegion::of_file(runtime.backing(), File::of(file.try_clone()?.into())?, 0..len)?)
    }
}
