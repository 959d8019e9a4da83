//! The orientation of a picture: cameras write a tag instead of turning the pixels.

use crate::geometry::scratch;
use crate::{Error, Geometry};

/// The tag's number, in Exif's first directory.
const ORIENTATION: u16 = 0x0112;
/// The type of a tag's value: 16 bits.
const SHORT: u16 = 3;
/// The side in pixels of the squares that are turned at once. All their rows and columns fit into the cache.
const SQUARE: usize = 32;

/// The steps that make the stored pixels upright, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orientation {
    /// Rows and columns change places.
    transpose: bool,
    /// Then left and right do.
    mirror: bool,
    /// Then top and bottom do.
    flip: bool,
}

impl Orientation {
    /// Returns the steps for the values 1 to 8 of the tag. Other values change nothing.
    fn of_tag(value: u16) -> Orientation {
        let (transpose, mirror, flip) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Orientation { transpose, mirror, flip }
    }

    /// Returns the orientation that an Exif block, which is a TIFF file, asks for. A broken block asks for none.
    pub(super) fn of_tiff(tiff: &[u8]) -> Orientation {
        tag_of_tiff(tiff).map_or(Orientation::default(), Orientation::of_tag)
    }

    /// Converts the stored geometry to the upright one, and the other way round.
    pub(super) fn turned(self, geometry: Geometry) -> Geometry {
        if self.transpose { geometry.transposed() } else { geometry }
    }

    /// Turns `picture`, whose stored geometry is `stored`, upright.
    pub(super) fn apply(self, picture: &mut [u8], stored: Geometry) -> Result<(), Error> {
        match stored.channels() {
            1 => self.apply_to(picture.as_chunks_mut::<1>().0, stored),
            _ => self.apply_to(picture.as_chunks_mut::<4>().0, stored),
        }
    }

    fn apply_to<const N: usize>(self, pixels: &mut [[u8; N]], stored: Geometry) -> Result<(), Error>
    where
        [u8; N]: Default,
    {
        if self.transpose {
            let mut copy = scratch::<[u8; N]>(pixels.len())?;
            copy.copy_from_slice(pixels);
            transpose(&copy, pixels, stored.width(), stored.height());
        }
        let shown = self.turned(stored);
        let width = shown.width();
        if self.mirror {
            pixels.chunks_exact_mut(width).for_each(<[_]>::reverse);
        }
        if self.flip {
            let (top, bottom) = pixels.split_at_mut(shown.height() / 2 * width);
            for (high, low) in top.chunks_exact_mut(width).zip(bottom.rchunks_exact_mut(width)) {
                high.swap_with_slice(low);
            }
        }
        Ok(())
    }
}

/// Writes the rows of `from` as the columns of `to`.
fn transpose<T: Copy>(from: &[T], to: &mut [T], width: usize, height: usize) {
    for top in (0..height).step_by(SQUARE) {
        for left in (0..width).step_by(SQUARE) {
            for x in left..width.min(left + SQUARE) {
                for y in top..height.min(top + SQUARE) {
                    to[x * height + y] = from[y * width + x];
                }
            }
        }
    }
}

fn tag_of_tiff(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.first_chunk()? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = usize::from(short(directory)?);
    let mut entries = (0..entries).filter_map(|entry| directory.checked_add(2 + 12 * entry));
    let entry = entries.find(|&entry| short(entry) == Some(ORIENTATION))?;
    // A value that fits is in the entry itself.
    if short(entry + 2)? == SHORT { short(entry + 8) } else { None }
}
