//! The errors of all operations. Each message is a sentence for a person.

use core::fmt;

/// Why an operation returned no picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes are neither PNG nor JPEG.
    UnknownFormat,
    /// The file ends before the picture does.
    Truncated {
        /// "PNG" or "JPEG".
        format: &'static str,
    },
    /// The file breaks its format, or uses what the decoder does not know.
    BadPicture {
        /// "PNG" or "JPEG".
        format: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// A side is 0.
    Empty {
        /// In pixels.
        width: u64,
        /// In pixels.
        height: u64,
    },
    /// More pixels than [`MAX_PIXELS`](crate::MAX_PIXELS).
    TooLarge {
        /// In pixels.
        width: u64,
        /// In pixels.
        height: u64,
    },
    /// The number of bytes is not the one that the geometry says.
    SizeMismatch {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// How many bytes the geometry asks for.
        expected_bytes: u64,
        /// How many bytes there are.
        actual_bytes: u64,
    },
    /// An argument that the operation does not accept.
    BadArgument {
        /// The argument.
        argument: String,
        /// What the operation accepts.
        expected: &'static str,
    },
    /// The output did not fit into its buffer.
    NoSpace {
        /// The size of the buffer in bytes.
        space_bytes: u64,
    },
    /// No memory for scratch rows.
    OutOfMemory {
        /// How many bytes were asked for.
        size_bytes: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownFormat => f.write_str("the picture is neither PNG nor JPEG"),
            Error::Truncated { format } => write!(f, "the {format} picture is truncated"),
            Error::BadPicture { format, detail } => write!(f, "the {format} picture can't be decoded: {detail}"),
            Error::Empty { width, height } => write!(f, "a picture of {width}x{height} pixels is empty"),
            Error::TooLarge { width, height } => {
                let most = crate::MAX_PIXELS;
                write!(f, "a picture of {width}x{height} pixels is too large: the most is {most} pixels")
            }
            Error::SizeMismatch { width, height, expected_bytes, actual_bytes } => write!(
                f,
                "a picture of {width}x{height} pixels takes {expected_bytes} bytes, but there are {actual_bytes}"
            ),
            Error::BadArgument { argument, expected } => {
                write!(f, "the argument {argument:?} is not understood: expected {expected}")
            }
            Error::NoSpace { space_bytes } => {
                write!(f, "the encoded picture does not fit into {space_bytes} bytes")
            }
            Error::OutOfMemory { size_bytes } => {
                write!(f, "the component has no memory for {size_bytes} more bytes")
            }
        }
    }
}

impl core::error::Error for Error {}
