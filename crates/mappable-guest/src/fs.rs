//! Files that are mapped, in the shape of the crate `memmap2`: for programs of WASI 0.2 whose host offers `mappable:files`.
//!
//! ```ignore
//! let index = mappable_guest::fs::map("/data/index.fst")?;
//! let index = fst::Map::new(index)?; // anything that takes an `AsRef<[u8]>`
//! ```
//!
//! A [`MappedFile`] is a `[u8]`. Its bytes are not read into this component's memory: the host shows them there. Descriptors are
//! those of the crate `wasip2`. Needs the feature `fs`, and is there on WebAssembly alone.
//!
//! | `memmap2` | here |
//! | --- | --- |
//! | `unsafe { Mmap::map(&file) }` | [`map(path)`](map), [`MappedFile::map(&descriptor)`](MappedFile::map) |
//! | `MmapOptions::new().offset(4096).len(100)` | [`MapOptions::new().offset(4096).len(100)`](MapOptions) |
//! | `unsafe { options.map(&file) }` | [`options.map(&descriptor)`](MapOptions::map), [`options.open(path)`](MapOptions::open) |
//! | `unsafe { options.map_copy(&file) }` | [`options.map_copy(&descriptor)`](MapOptions::map_copy), [`options.open_copy(path)`](MapOptions::open_copy) |
//! | `MmapMut`, `flush` | none: nothing is written back |

use core::fmt;
use core::ops::{Deref, DerefMut};

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, ErrorCode, PathFlags};

use crate::bindings::files;
use crate::error::{MapFailed, MapReason};
use crate::frozen::Frozen;
use crate::mapped::{MappedFrozen, MappedPrivate};

/// Maps the whole file at `path`, below one of the folders that the program was given. As [`MapOptions::open`].
///
/// # Errors
///
/// As [`MapOptions::open`].
pub fn map(path: &str) -> Result<MappedFile, Error> {
    MapOptions::new().open(path)
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
    pub fn map(file: &Descriptor) -> Result<MappedFile, Error> {
        MapOptions::new().map(file)
    }

    fn new(file: files::FileBytes) -> Result<MappedFile, Error> {
        // No placement is needed for what is not there.
        let bytes = match file.len {
            0 => None,
            _ => Some(Frozen::from(file.bytes).map().map_err(|MapFailed { reason, .. }| Error::NotMapped(reason))?),
        };
        Ok(MappedFile { bytes, start: file.start as usize })
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
/// mapping's own, and never the file's: [`Frozen::map_private`]. Dropping it takes the bytes out, and they are lost.
#[derive(Debug)]
pub struct MappedCopy {
    /// `None` if there are no bytes.
    bytes: Option<MappedPrivate>,
    start: usize,
}

impl MappedCopy {
    fn new(file: files::FileBytes) -> Result<MappedCopy, Error> {
        let map = || Frozen::from(file.bytes).map_private();
        let bytes = match file.len {
            0 => None,
            _ => Some(map().map_err(|MapFailed { reason, .. }| Error::NotMapped(reason))?),
        };
        Ok(MappedCopy { bytes, start: file.start as usize })
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
    pub fn map(self, file: &Descriptor) -> Result<MappedFile, Error> {
        MappedFile::new(self.freeze(file)?)
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
    pub fn map_copy(self, file: &Descriptor) -> Result<MappedCopy, Error> {
        MappedCopy::new(self.freeze(file)?)
    }

    fn freeze(self, file: &Descriptor) -> Result<files::FileBytes, Error> {
        Ok(files::freeze(file, self.offset, self.len.unwrap_or(u64::MAX))?)
    }

    /// Maps these bytes of the file at `path`, below one of the folders that the program was given, by the name that it was
    /// given under.
    ///
    /// # Errors
    ///
    /// As [`MapOptions::map`], and those of opening the file.
    pub fn open(self, path: &str) -> Result<MappedFile, Error> {
        MappedFile::new(self.freeze_at(path)?)
    }

    /// Maps these bytes of the file at `path` as [`MapOptions::open`] does, to be written to.
    ///
    /// ```ignore
    /// let mut bytes = MapOptions::new().open_copy("/data/image.raw")?;
    /// bytes.iter_mut().for_each(|byte| *byte = !*byte); // the file stays as it is
    /// ```
    ///
    /// # Errors
    ///
    /// As [`MapOptions::open`].
    pub fn open_copy(self, path: &str) -> Result<MappedCopy, Error> {
        MappedCopy::new(self.freeze_at(path)?)
    }

    fn freeze_at(self, path: &str) -> Result<files::FileBytes, Error> {
        let given = get_directories();
        let found = given.iter().filter_map(|(folder, name)| Some((folder, below(name, path)?)));
        // The innermost folder leaves the shortest path.
        let (folder, rest) = found.min_by_key(|(_, rest)| rest.len()).ok_or(Error::NotGiven)?;
        let len = self.len.unwrap_or(u64::MAX);
        Ok(files::freeze_at(folder, PathFlags::SYMLINK_FOLLOW, rest, self.offset, len)?)
    }
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

/// Why a file was not mapped.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The path is in no folder that the program was given.
    NotGiven,
    /// The host gave no bytes of it.
    Refused(ErrorCode),
    /// There are bytes, but they could not be mapped.
    NotMapped(MapReason),
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Error {
        Error::Refused(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotGiven => f.write_str("the path is in no folder that the program was given"),
            Error::Refused(code) => write!(f, "the file was not mapped: {}", code.message()),
            Error::NotMapped(reason) => write!(f, "{}", MapFailed { region: (), reason: *reason }),
        }
    }
}

impl core::error::Error for Error {}
