//! Files at paths, for programs of WASI 0.3. Open files are mapped by [`MapOptions::map`], as those of WASI 0.2 are.
//!
//! ```ignore
//! let index = mappable_guest::fs::p3::map("/data/index.fst")?;
//! ```

use core::fmt;

use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, ErrorCode, PathFlags};

use super::sealed::{Code, Files, Part};
use super::{Error, MapOptions, MappedCopy, MappedFile, innermost};
use crate::bindings::files_p3 as files;
use crate::frozen::Frozen;

impl Files for Descriptor {
    type Code = ErrorCode;

    fn freeze(&self, offset: u64, len: u64) -> Result<Part, ErrorCode> {
        files::freeze(self, offset, len).map(Part::from)
    }
}

impl Code for ErrorCode {
    /// There are no texts in the crate. These are the codes that the host answers in most cases.
    fn say(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorCode::Access => "Permission denied.",
            ErrorCode::InsufficientMemory => "Not enough space.",
            ErrorCode::IsDirectory => "Is a directory.",
            ErrorCode::Loop => "Too many levels of symbolic links.",
            ErrorCode::NoDevice => "No such device.",
            ErrorCode::NoEntry => "No such file or directory.",
            ErrorCode::NotDirectory => "Not a directory.",
            ErrorCode::NotPermitted => "Operation not permitted.",
            code => return write!(f, "{code}"),
        })
    }
}

impl From<files::FileBytes> for Part {
    fn from(file: files::FileBytes) -> Part {
        Part { bytes: Frozen::from(file.bytes), start: file.start as usize, len: file.len }
    }
}

/// Maps the whole file at `path`, below one of the folders that the program was given. As [`open`].
///
/// # Errors
///
/// As [`open`].
pub fn map(path: &str) -> Result<MappedFile, Error<ErrorCode>> {
    open(path, MapOptions::new())
}

/// Maps bytes of the file at `path`, below one of the folders that the program was given, by the name that it was given under.
///
/// # Errors
///
/// As [`MapOptions::map`], and those of opening the file.
pub fn open(path: &str, options: MapOptions) -> Result<MappedFile, Error<ErrorCode>> {
    MappedFile::new(freeze_at(path, options)?).map_err(Error::NotMapped)
}

/// Maps bytes of the file at `path` as [`open`] does, to be written to.
///
/// ```ignore
/// let mut bytes = mappable_guest::fs::p3::open_copy("/data/image.raw", MapOptions::new())?;
/// bytes.iter_mut().for_each(|byte| *byte = !*byte); // the file stays as it is
/// ```
///
/// # Errors
///
/// As [`open`].
pub fn open_copy(path: &str, options: MapOptions) -> Result<MappedCopy, Error<ErrorCode>> {
    MappedCopy::new(freeze_at(path, options)?).map_err(Error::NotMapped)
}

fn freeze_at(path: &str, options: MapOptions) -> Result<Part, Error<ErrorCode>> {
    let given = get_directories();
    let (folder, rest) = innermost(&given, path).ok_or(Error::NotGiven)?;
    let part = files::freeze_at(folder, PathFlags::SYMLINK_FOLLOW, rest, options.offset, options.len_or_all());
    part.map(Part::from).map_err(Error::Refused)
}
