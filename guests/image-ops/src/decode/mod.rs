//! PNG and JPEG to pixels, straight into the picture's own bytes.
//!
//! Two steps, since only the file says how many bytes the picture takes: [`Decoder::new`] reads what precedes the
//! pixels, [`Decoder::decode_into`] the pixels. What is gray and opaque becomes [`Gray8`](Pixels::Gray8), all else
//! [`Rgba8`](Pixels::Rgba8); 16 bits a channel become 8. A picture comes upright, whichever way it is stored. Color
//! profiles and gamma are not applied.

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

/// A picture of which the part before the pixels has been read.
pub struct Decoder<'a> {
    /// As it is shown.
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

    /// What [`decode_into`](Decoder::decode_into) will give.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Decodes the pixels into `picture`.
    ///
    /// # Errors
    ///
    /// The file is broken or truncated. Then the bytes of `picture` are undefined.
    ///
    /// # Panics
    ///
    /// When `picture` is not as long as [`geometry`](Decoder::geometry) says.
    pub fn decode_into(self, picture: &mut [u8]) -> Result<(), Error> {
        assert_eq!(picture.len(), self.geometry.size_bytes());
        match self.file {
            File::Png(mut reader, orientation) => {
                if reader.output_color_type().0 == png::ColorType::GrayscaleAlpha {
                    // Two bytes a pixel go to the rear half, and are spread from there to four.
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

/// Makes gray and alpha in the rear half of `picture` RGBA in all of it.
fn spread_gray_alpha(picture: &mut [u8]) {
    let (count, rear) = (picture.len() / 4, picture.len() / 2);
    for pixel in 0..count {
        // Of what is read, nothing was written yet: 4 * (pixel + 1) <= 2 * count + 2 * (pixel + 1).
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

/// A decoder's message as a part of a sentence.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}
