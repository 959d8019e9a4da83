//! The header of a picture, as the WIT interface `mappable:stage/format` has it.

use anyhow::Result;
use serde::Serialize;
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::failure::{Exit, fail};

/// How the bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower, Serialize)]
#[component(enum)]
#[repr(u8)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pixels {
    #[component(name = "encoded")]
    Encoded,
    /// Made by stages only, and lifted; or of another process.
    #[component(name = "gray8")]
    #[allow(dead_code, reason = "only ever lifted, where there are no other processes")]
    Gray8,
    #[component(name = "rgba8")]
    Rgba8,
}

/// Geometry and format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower, Serialize)]
#[component(record)]
pub(crate) struct Header {
    pub(crate) pixels: Pixels,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The bytes that count.
    #[serde(rename = "bytes")]
    pub(crate) size: u64,
}

impl Header {
    /// A file of so many bytes.
    pub(crate) fn encoded(size: u64) -> Self {
        Self { pixels: Pixels::Encoded, width: 0, height: 0, size }
    }

    /// Pixels of four bytes.
    pub(crate) fn rgba8(width: u32, height: u32) -> Self {
        Self { pixels: Pixels::Rgba8, width, height, size: u64::from(width) * u64::from(height) * 4 }
    }

    /// As one number, for another process: all but the bytes that count. `None` if the picture is too large for that.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    pub(crate) fn tag(&self) -> Option<u64> {
        let side = |side: u32| (side < 1 << 28).then_some(u64::from(side));
        let pixels = match self.pixels {
            Pixels::Encoded => 0,
            Pixels::Gray8 => 1,
            Pixels::Rgba8 => 2,
        };
        Some(side(self.width)? | side(self.height)? << 28 | pixels << 56)
    }

    /// What another process has said with a region of so many bytes.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    pub(crate) fn of_tag(tag: u64, size: u64) -> Option<Self> {
        let pixels = [Pixels::Encoded, Pixels::Gray8, Pixels::Rgba8];
        let side = |at: u32| (tag >> at & ((1 << 28) - 1)) as u32;
        Some(Self { pixels: *pixels.get((tag >> 56) as usize)?, width: side(0), height: side(28), size })
    }

    /// Checks what a stage says against the bytes that it gave, of which there are `given`.
    pub(crate) fn check(&self, given: u64) -> Result<()> {
        let wrong = |what: String| Err(fail(Exit::Work, format!("its header is wrong: {what}")));
        let Self { width, height, size, .. } = *self;
        if size > given {
            return wrong(format!("it says {size} bytes, and the region has {given}"));
        }
        let bytes_a_pixel = match self.pixels {
            Pixels::Encoded => return Ok(()),
            Pixels::Gray8 => 1,
            Pixels::Rgba8 => 4,
        };
        // Fits: 2^32 * 2^32 * 4 is the one thing that u128 is needed for.
        let expected = u128::from(width) * u128::from(height) * bytes_a_pixel;
        if u128::from(size) != expected {
            return wrong(format!("{width}x{height} pixels take {expected} bytes, and it says {size}"));
        }
        Ok(())
    }

    /// As in a table: `1920x1080 gray8`.
    pub(crate) fn describe(&self) -> String {
        match self.pixels {
            Pixels::Encoded => "file".to_owned(),
            Pixels::Gray8 => format!("{}x{} gray8", self.width, self.height),
            Pixels::Rgba8 => format!("{}x{} rgba8", self.width, self.height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_not_believed() {
        let header = Header::rgba8(4, 2);
        assert!(header.check(65_536).is_ok());
        assert!(header.check(31).is_err());
        assert!(Header { size: 31, ..header }.check(65_536).is_err());
        assert!(Header { width: u32::MAX, height: u32::MAX, ..header }.check(65_536).is_err());
        assert!(Header::encoded(65_537).check(65_536).is_err());
    }
}
