//! Descriptors and paths of WASI 0.2.

use core::fmt;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, ErrorCode, PathFlags};

use super::sealed::{Code, Files, Part};
use super::{Error, MapOptions, MappedCopy, MappedFile, innermost};
use crate::bindings::files;
use crate::frozen::Frozen;

impl Files for Descriptor {
    type Code = ErrorCode;

    fn freeze(&self, offset: u64, len: u64) -> Result<Part, ErrorCode> {
        files::freeze(self, offset, len).map(Part::from)
    }
}

impl Code for ErrorCode {
    fn say(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl From<files::FileBytes> for Part {
    fn from(file: files::FileBytes) -> Part {
        Part { bytes: Frozen::from(file.bytes), start: file.start as usize, len: file.len }
    }
}

/// Maps the whole file at `path`, below one of the folders that the program was given. As [`MapOptions::open`].
///
/// # Errors
///
/// As [`MapOptions::open`].
pub fn map(path: &str) -> Result<MappedFile, Error<ErrorCode>> {
    MapOptions::new().open(path)
}

impl MapOptions {
    /// Maps these bytes of the file at `path`, below one of the folders that the program was given, by the name that it was
    /// given under.
    ///
    /// # Errors
    ///
    /// As [`MapOptions::map`], and those of opening the file.
    pub fn open(self, path: &str) -> Result<MappedFile, Error<ErrorCode>> {
        MappedFile::new(self.freeze_at(path)?).map_err(Error::NotMapped)
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
    pub fn open_copy(self, path: &str) -> Result<MappedCopy, Error<ErrorCode>> {
        MappedCopy::new(self.freeze_at(path)?).map_err(Error::NotMapped)
    }

    fn freeze_at(self, path: &str) -> Result<Part, Error<ErrorCode>> {
        let given = get_directories();
        let (folder, rest) = innermost(&given, path).ok_or(Error::NotGiven)?;
        let part = files::freeze_at(folder, PathFlags::SYMLINK_FOLLOW, rest, self.offset, self.len_or_all());
        part.map(Part::from).map_err(Error::Refused)
    }
}
