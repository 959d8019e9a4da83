//! Decodes PNG and JPEG, straight into the buffer of the picture.
//!
//! Decoding has two steps, since only the file says how many bytes the picture takes: [`Decoder::new`] reads everything
//! before the pixels, and [`Decoder::decode_into`] reads the pixels. Gray, opaque pictures become
//! [`Gray8`](Pixels::Gray8), all others [`Rgba8`](Pixels::Rgba8). Channels of 16 bits become channels of 8. The result
//! is upright, however the picture is stored. Color profiles and gamma are not applied.

use std::io::{self, Cursor};

use jpeg::Jpeg;
use orientation::Orientation;
use png::Transformations;

use crate::{Error, Geometry, Pixels};

mod colors;
mod jpeg;
mod orientation;
mod segments;

const PNG: &str = "PNG";

/// A picture of which everything before the pixels has been read.
pub struct Decoder<'a> {
    /// The geometry of the upright picture.
    geometry: Geometry,
    file: File<'a>,
}

enum File<'a> {
    Png(Box<png::Reader<Cursor<&'a [u8]>>>, Orientation),
    Jpeg(Jpeg<'a>),
}

impl<'a> Decoder<'a> {
    /// Reads a file up to its pixels. The format is recognised by the first bytes.
    ///
    /// # Errors
    ///
    /// The file is of neither format, is broken or truncated, or the picture would be empty or too large.
    pub fn new(bytes: &'a [u8]) -> Result<Decoder<'a>, Error> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Decoder::new_png(bytes)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            let jpeg = Jpeg::new(bytes)?;
            Ok(Decoder { geometry: jpeg.geometry(), file: File::Jpeg(jpeg) })
        } else if b"\x89PNG\r\n\x1a\n".starts_with(bytes) && !bytes.is_empty() {
            Err(Error::Truncated { format: PNG })
        } else {
            Err(Error::UnknownFormat)
        }
    }

    fn new_png(bytes: &'a [u8]) -> Result<Decoder<'a>, Error> {
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        let info = decoder.read_header_info().map_err(png_error)?;
        let (width, height) = info.size();
        let gray = matches!(info.color_type, png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha);
        // The size is checked before anything is allocated for it.
        Geometry::new(Pixels::Rgba8, width, height)?;
        let alpha = if gray { Transformations::EXPAND } else { Transformations::EXPAND | Transformations::ALPHA };
        decoder.set_transformations(alpha | Transformations::STRIP_16);
        let reader = decoder.read_info().map_err(png_error)?;
        let pixels = match reader.output_color_type().0 {
            png::ColorType::Grayscale => Pixels::Gray8,
            _ => Pixels::Rgba8,
        };
        let exif = reader.info().exif_metadata.as_deref();
        let orientation = exif.map_or(Orientation::default(), Orientation::of_tiff);
        let geometry = orientation.turned(Geometry::new(pixels, width, height)?);
        Ok(Decoder { geometry, file: File::Png(Box::new(reader), orientation) })
    }

    /// Returns the geometry of the picture that [`decode_into`](Decoder::decode_into) writes.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Decodes the pixels into `picture`.
    ///
    /// # Errors
    ///
    /// The file is broken or truncated. The bytes of `picture` are then undefined.
    ///
    /// # Panics
    ///
    /// If `picture` has another length than [`geometry`](Decoder::geometry) says.
    pub fn decode_into(self, picture: &mut [u8]) -> Result<(), Error> {
        assert_eq!(picture.len(), self.geometry.size_bytes());
        match self.file {
            File::Png(mut reader, orientation) => {
                if reader.output_color_type().0 == png::ColorType::GrayscaleAlpha {
                    // Pixels of two bytes go to the rear half first. From there they are widened to four bytes.
                    let rear = picture.len() / 2;
                    reader.next_frame(&mut picture[rear..]).map_err(png_error)?;
                    spread_gray_alpha(picture);
                } else {
                    reader.next_frame(picture).map_err(png_error)?;
                }
                orientation.apply(picture, orientation.turned(self.geometry))
            }
            File::Jpeg(jpeg) => jpeg.decode_into(picture),
        }
    }
}

/// Converts gray and alpha, which lie in the rear half of `picture`, to RGBA in all of it.
fn spread_gray_alpha(picture: &mut [u8]) {
    let (count, rear) = (picture.len() / 4, picture.len() / 2);
    for pixel in 0..count {
        // Nothing that is still to be read has been overwritten: 4 * (pixel + 1) <= 2 * count + 2 * (pixel + 1).
        let (gray, alpha) = (picture[rear + 2 * pixel], picture[rear + 2 * pixel + 1]);
        picture[4 * pixel..][..4].copy_from_slice(&[gray, gray, gray, alpha]);
    }
}

fn png_error(error: png::DecodingError) -> Error {
    match error {
        png::DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Truncated { format: PNG }
        }
        error => Error::BadPicture { format: PNG, detail: one_line(&error.to_string()) },
    }
}

/// Makes a decoder's message a part of a sentence.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}
