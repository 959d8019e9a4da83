//! The size and the pixel format of a picture.

use crate::Error;

/// The largest number of pixels of a picture. As RGBA they take 2 GiB, and a stage may map two pictures into its 4 GiB.
pub const MAX_PIXELS: u64 = 1 << 29;

/// How a picture's bytes are to be read. Rows follow one another with no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// One byte a pixel: luminance.
    Gray8,
    /// Four bytes a pixel: red, green, blue, alpha, not premultiplied.
    Rgba8,
}

impl Pixels {
    /// How many bytes a pixel takes.
    pub fn channels(self) -> usize {
        match self {
            Pixels::Gray8 => 1,
            Pixels::Rgba8 => 4,
        }
    }
}

/// The size and format of a picture. Neither side is 0, and there are at most [`MAX_PIXELS`] pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pixels: Pixels,
    width: u32,
    height: u32,
}

impl Geometry {
    /// # Errors
    ///
    /// The picture would be empty or too large.
    pub fn new(pixels: Pixels, width: u32, height: u32) -> Result<Geometry, Error> {
        let (w, h) = (u64::from(width), u64::from(height));
        if width == 0 || height == 0 {
            Err(Error::Empty { width: w, height: h })
        } else if w * h > MAX_PIXELS {
            Err(Error::TooLarge { width: w, height: h })
        } else {
            Ok(Geometry { pixels, width, height })
        }
    }

    /// The format of a pixel.
    pub fn pixels(&self) -> Pixels {
        self.pixels
    }

    /// In pixels.
    pub fn width(&self) -> usize {
        self.width as usize
    }

    /// In pixels.
    pub fn height(&self) -> usize {
        self.height as usize
    }

    /// Bytes of a pixel.
    pub fn channels(&self) -> usize {
        self.pixels.channels()
    }

    /// Bytes of a row.
    pub fn stride(&self) -> usize {
        self.width() * self.channels()
    }

    /// Bytes of the picture.
    pub fn size_bytes(&self) -> usize {
        // At most 2^29 pixels of 4 bytes: fits 32 bits.
        self.stride() * self.height()
    }

    /// The same picture in another format.
    pub fn with_pixels(self, pixels: Pixels) -> Geometry {
        Geometry { pixels, ..self }
    }

    /// Some rows of the picture, as a picture.
    pub(crate) fn with_height(self, rows: usize) -> Result<Geometry, Error> {
        Geometry::new(self.pixels, self.width, u32::try_from(rows).unwrap_or(u32::MAX))
    }

    /// The picture with its rows and columns exchanged.
    pub(crate) fn transposed(self) -> Geometry {
        Geometry { width: self.height, height: self.width, ..self }
    }

    /// # Errors
    ///
    /// The number of bytes is not the one that the picture takes.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() == self.size_bytes() {
            return Ok(());
        }
        Err(Error::SizeMismatch {
            width: self.width,
            height: self.height,
            expected_bytes: self.size_bytes() as u64,
            actual_bytes: bytes.len() as u64,
        })
    }
}

/// Allocates zeroed scratch memory. Returns an error, rather than abort, if there is none.
pub(crate) fn scratch<T: Clone + Default>(count: usize) -> Result<Vec<T>, Error> {
    let mut scratch = Vec::new();
    let out_of_memory = |_| Error::OutOfMemory { size_bytes: count as u64 * size_of::<T>() as u64 };
    scratch.try_reserve_exact(count).map_err(out_of_memory)?;
    scratch.resize(count, T::default());
    Ok(scratch)
}
