//! The trait of a stage, independent of what holds its picture.

use core::ops::DerefMut;

use image_ops::{Geometry, Pixels};

use crate::bindings::mappable::stage::format;

/// The bytes that hold a picture: a mapped region or a vector. A buffer may be longer than the picture.
pub trait Buffer: DerefMut<Target = [u8]> + Sized {
    /// A new buffer of at least `size_bytes`, zeroed.
    ///
    /// # Errors
    ///
    /// There is no memory. The error is a sentence.
    fn allocate(size_bytes: u64) -> Result<Self, String>;
}

/// A picture, or a file that one is encoded in, in a buffer.
pub struct Pictured<B> {
    /// The buffer, whose first `size` bytes are the picture.
    pub buffer: B,
    /// The geometry of pixels, or `None` for a file.
    pub geometry: Option<Geometry>,
    /// In bytes.
    pub size: usize,
}

impl<B: Buffer> Pictured<B> {
    /// Returns a picture of pixels, as long as its geometry says.
    pub fn pixels(buffer: B, geometry: Geometry) -> Pictured<B> {
        Pictured { buffer, geometry: Some(geometry), size: geometry.size_bytes() }
    }

    /// Returns a file of `size` bytes.
    pub fn file(buffer: B, size: usize) -> Pictured<B> {
        Pictured { buffer, geometry: None, size }
    }

    /// Returns the bytes of the picture, without the rest of the buffer.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.size]
    }

    /// Returns the geometry of a picture of pixels.
    ///
    /// # Errors
    ///
    /// The picture is a file.
    pub fn expect_pixels(&self) -> Result<Geometry, String> {
        self.geometry
            .ok_or_else(|| "this stage works on pixels, and the picture is encoded: decode it first".to_owned())
    }

    /// # Errors
    ///
    /// The picture is pixels.
    pub fn expect_file(&self) -> Result<(), String> {
        match self.geometry {
            None => Ok(()),
            Some(_) => Err("this stage works on an encoded picture, and this one is decoded already".to_owned()),
        }
    }

    /// Makes a picture of a buffer and the header that describes it.
    pub(crate) fn new(buffer: B, header: &format::Header) -> Result<Pictured<B>, String> {
        let (says, has) = (header.size, buffer.len());
        let size = usize::try_from(says).ok().filter(|&size| size <= has);
        let size = size.ok_or_else(|| format!("the header says {says} bytes, but there are {has}"))?;
        let Some(geometry) = geometry_of(header)? else { return Ok(Pictured::file(buffer, size)) };
        geometry.check(&buffer[..size]).map_err(|error| error.to_string())?;
        Ok(Pictured::pixels(buffer, geometry))
    }

    /// Returns the buffer, and the header that describes it.
    pub(crate) fn into_parts(self) -> (B, format::Header) {
        let header = header_of(self.geometry, self.size);
        (self.buffer, header)
    }
}

/// Returns the geometry that a header tells, or `None` for a file.
pub(crate) fn geometry_of(header: &format::Header) -> Result<Option<Geometry>, String> {
    let pixels = match header.pixels {
        format::Pixels::Encoded => return Ok(None),
        format::Pixels::Gray8 => Pixels::Gray8,
        format::Pixels::Rgba8 => Pixels::Rgba8,
    };
    Geometry::new(pixels, header.width, header.height).map(Some).map_err(|error| error.to_string())
}

/// Returns the header that tells a geometry, or a file of so many bytes.
pub(crate) fn header_of(geometry: Option<Geometry>, size: usize) -> format::Header {
    let pixels = match geometry.map(|geometry| geometry.pixels()) {
        None => format::Pixels::Encoded,
        Some(Pixels::Gray8) => format::Pixels::Gray8,
        Some(Pixels::Rgba8) => format::Pixels::Rgba8,
    };
    let (width, height) = geometry.map_or((0, 0), |geometry| (geometry.width(), geometry.height()));
    format::Header { pixels, width: width as u32, height: height as u32, size: size as u64 }
}

/// One step of a pipeline.
pub trait Stage {
    /// Works on a picture and returns a picture, in the same buffer or in a new one.
    ///
    /// # Errors
    ///
    /// A sentence for a person that says why there is no picture.
    fn run<B: Buffer>(picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String>;
}
