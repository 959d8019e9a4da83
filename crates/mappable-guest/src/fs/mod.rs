//! Files that are mapped, in the shape of the crate `memmap2`: for programs of WASI whose host offers `mappable:files`.
//!
//! ```ignore
//! let index = mappable_guest::fs::map("/data/index.fst")?;
//! let index = fst::Map::new(index)?; // anything that takes an `AsRef<[u8]>`
//! ```
//!
//! A [`MappedFile`] is a `[u8]`. Its bytes are not read into this component's memory: the host shows them there. With the feature
//! `fs`, descriptors are those of the crate `wasip2`; with `fs-p3`, they are those of the crate `wasip3`, and [`p3`] opens paths. Both
//! are there on WebAssembly alone.
//!
//! | `memmap2` | WASI 0.2 | WASI 0.3 |
//! | --- | --- | --- |
//! | `unsafe { Mmap::map(&file) }` | `map(path)`, [`MappedFile::map(&descriptor)`](MappedFile::map) | `p3::map(path)`, the same |
//! | `MmapOptions::new().offset(4096).len(100)` | [`MapOptions::new().offset(4096).len(100)`](MapOptions) | the same |
//! | `unsafe { options.map(&file) }` | [`options.map(&descriptor)`](MapOptions::map), `options.open(path)` | the same, `p3::open(path, options)` |
//! | `unsafe { options.map_copy(&file) }` | [`options.map_copy(&descriptor)`](MapOptions::map_copy), `options.open_copy(path)` | the same, `p3::open_copy(path, options)` |
//! | `MmapMut`, `flush` | none: nothing is written back | none |

#[cfg(feature = "fs")]
mod p2;
#[cfg(feature = "fs-p3")]
pub mod p3;

use alloc::string::String;
use core::fmt;
use core::ops::{Deref, DerefMut};

#[cfg(feature = "fs")]
pub use self::p2::map;
use self::sealed::{Files, Part};
use crate::error::{MapFailed, MapReason};
use crate::mapped::{MappedFrozen, MappedPrivate};

/// What a file is open by, or a folder: the descriptors of the crates `wasip2` and `wasip3`.
pub trait Descriptor: Files {}

impl<D: Files> Descriptor for D {}

mod sealed {
    use core::fmt;

    use crate::frozen::Frozen;

    /// What the host gives of a file.
    #[derive(Debug)]
    pub struct Part {
        pub(super) bytes: Frozen,
        pub(super) start: usize,
        pub(super) len: u64,
    }

    /// What the interfaces of both versions of WASI have.
    pub trait Files {
        type Code;

        fn freeze(&self, offset: u64, len: u64) -> Result<Part, Self::Code>;
    }

    /// Why the host gave nothing.
    pub trait Code {
        fn say(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    }
}

/// A file, or a part of one, that is mapped into this component's memory, for reading. Dropping it takes the bytes out.
///
/// Whether the bytes can change is the host's business: by default they are those of the moment when the file was mapped.
#[derive(Debug)]
pub struct MappedFile {
    /// `None` if there are no bytes.
    bytes: Option<MappedFrozen>,
    start: usize,
}

impl MappedFile {
    /// Maps all of an open file. As [`MapOptions::map`].
    ///
    /// # Errors
    ///
    /// As [`MapOptions::map`].
    pub fn map<D: Descriptor>(file: &D) -> Result<MappedFile, Error<D::Code>> {
        MapOptions::new().map(file)
    }

    fn new(part: Part) -> Result<MappedFile, MapReason> {
        // No placement is needed for what is not there.
        let bytes = match part.len {
            0 => None,
            _ => Some(part.bytes.map().map_err(|MapFailed { reason, .. }| reason)?),
        };
        Ok(MappedFile { bytes, start: part.start })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |bytes| &bytes[self.start..])
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A file, or a part of one, that is mapped into this component's memory, for reading and writing. What is written is this
/// mapping's own, and never the file's: [`Frozen::map_private`](crate::Frozen::map_private). Dropping it takes the bytes out, and
/// they are lost.
#[derive(Debug)]
pub struct MappedCopy {
    /// `None` if there are no bytes.
    bytes: Option<MappedPrivate>,
    start: usize,
}

impl MappedCopy {
    fn new(part: Part) -> Result<MappedCopy, MapReason> {
        let bytes = match part.len {
            0 => None,
            _ => Some(part.bytes.map_private().map_err(|MapFailed { reason, .. }| reason)?),
        };
        Ok(MappedCopy { bytes, start: part.start })
    }
}

impl Deref for MappedCopy {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], |bytes| &bytes[self.start..])
    }
}

impl DerefMut for MappedCopy {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.as_mut().map_or(&mut [], |bytes| &mut bytes[self.start..])
    }
}

impl AsRef<[u8]> for MappedCopy {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// What of a file is mapped: all of it, unless told. Any offset and length will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapOptions {
    offset: u64,
    len: Option<u64>,
}

impl MapOptions {
    /// All of it.
    pub fn new() -> MapOptions {
        MapOptions::default()
    }

    /// From this byte on.
    #[must_use]
    pub fn offset(self, offset: u64) -> MapOptions {
        MapOptions { offset, ..self }
    }

    /// At most so many bytes: fewer if the file ends before.
    #[must_use]
    pub fn len(self, len: u64) -> MapOptions {
        MapOptions { len: Some(len), ..self }
    }

    /// Maps these bytes of an open file.
    ///
    /// # Errors
    ///
    /// The host's, and those of mapping.
    pub fn map<D: Descriptor>(self, file: &D) -> Result<MappedFile, Error<D::Code>> {
        MappedFile::new(self.freeze(file)?).map_err(Error::NotMapped)
    }

    /// Maps these bytes of an open file, to be written to. The file stays as it is, and needs no right but that to be read.
    ///
    /// ```ignore
    /// let mut page = MapOptions::new().offset(8192).len(4096).map_copy(&descriptor)?;
    /// page[0] = 7; // this mapping's alone
    /// ```
    ///
    /// # Errors
    ///
    /// As [`MapOptions::map`].
    pub fn map_copy<D: Descriptor>(self, file: &D) -> Result<MappedCopy, Error<D::Code>> {
        MappedCopy::new(self.freeze(file)?).map_err(Error::NotMapped)
    }

    fn freeze<D: Descriptor>(self, file: &D) -> Result<Part, Error<D::Code>> {
        file.freeze(self.offset, self.len_or_all()).map_err(Error::Refused)
    }

    fn len_or_all(self) -> u64 {
        self.len.unwrap_or(u64::MAX)
    }
}

/// The innermost of the folders that the program was given in which a path is, and what is left of the path.
fn innermost<'a, D>(given: &'a [(D, String)], path: &'a str) -> Option<(&'a D, &'a str)> {
    let found = given.iter().filter_map(|(folder, name)| Some((folder, below(name, path)?)));
    // It leaves the shortest path.
    found.min_by_key(|(_, rest)| rest.len())
}

/// What is left of a path below the folder of that name.
fn below<'a>(folder: &str, path: &'a str) -> Option<&'a str> {
    let plain = |path: &'a str| path.strip_prefix("./").unwrap_or(path);
    let folder = folder.strip_prefix("./").unwrap_or(folder).trim_end_matches('/');
    let path = plain(path);
    let rest = match folder {
        // The root, which was all slashes, and the folder that the program is in.
        "" => path.strip_prefix('/')?,
        "." if !path.starts_with('/') => path,
        _ => path.strip_prefix(folder)?.strip_prefix('/')?,
    };
    Some(rest.trim_start_matches('/'))
}

/// Why a file was not mapped. `Code` is the `ErrorCode` of the crate whose descriptors are used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error<Code> {
    /// The path is in no folder that the program was given.
    NotGiven,
    /// The host gave no bytes of it.
    Refused(Code),
    /// There are bytes, but they could not be mapped.
    NotMapped(MapReason),
}

impl<Code: sealed::Code> fmt::Display for Error<Code> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotGiven => f.write_str("the path is in no folder that the program was given"),
            Error::Refused(code) => {
                f.write_str("the file was not mapped: ")?;
                code.say(f)
            }
            Error::NotMapped(reason) => write!(f, "{}", MapFailed { region: (), reason: *reason }),
        }
    }
}

impl<Code: sealed::Code + fmt::Debug> core::error::Error for Error<Code> {}
