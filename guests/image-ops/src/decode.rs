//! PNG and JPEG to pixels, straight into the picture's own bytes.
//!
//! Two steps, since only the file says how many bytes the picture takes: [`Decoder::new`] reads what precedes the
//! pixels, [`Decoder::decode_into`] the pixels. What is gray and opaque becomes [`Gray8`](Pixels::Gray8), all else
//! [`Rgba8`](Pixels::Rgba8); 16 bits a channel become 8. Color profiles, gamma and Exif's orientation are not applied.

use std::io::{self, Cursor};

use png::Transformations;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::{Error, Geometry, Pixels};

const PNG: &str = "PNG";
const JPEG: &str = "JPEG";
/// The format has no room for more.
const LONGEST_JPEG_SIDE: usize = 65_535;

/// A picture of which the part before the pixels has been read.
pub struct Decoder<'a> {
    geometry: Geometry,
    file: File<'a>,
}

enum File<'a> {
    Png(Box<png::Reader<Cursor<&'a [u8]>>>),
    Jpeg(Box<JpegDecoder<ZCursor<&'a [u8]>>>),
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
            Decoder::new_jpeg(bytes)
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
        let geometry = Geometry::new(pixels, width, height)?;
        Ok(Decoder { geometry, file: File::Png(Box::new(reader)) })
    }

    fn new_jpeg(bytes: &'a [u8]) -> Result<Decoder<'a>, Error> {
        // The decoder makes up what is missing at the end, and we don't want that.
        if !has_end_of_jpeg(bytes) {
            return Err(Error::Truncated { format: JPEG });
        }
        let open = |out| {
            let sides = DecoderOptions::default().set_max_width(LONGEST_JPEG_SIDE).set_max_height(LONGEST_JPEG_SIDE);
            let options = sides.jpeg_set_out_colorspace(out);
            let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
            decoder.decode_headers().map_err(jpeg_error)?;
            Ok(decoder)
        };
        // The decoder settles on what it gives when it reads the headers: what is gray is opened again.
        let mut decoder = open(ColorSpace::RGBA)?;
        let mut pixels = Pixels::Rgba8;
        if decoder.input_colorspace() == Some(ColorSpace::Luma) {
            decoder = open(ColorSpace::Luma)?;
            pixels = Pixels::Gray8;
        }
        let (width, height) = decoder.dimensions().unwrap_or((0, 0));
        let geometry = Geometry::new(pixels, width as u32, height as u32)?;
        Ok(Decoder { geometry, file: File::Jpeg(Box::new(decoder)) })
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
            File::Png(mut reader) => {
                if reader.output_color_type().0 == png::ColorType::GrayscaleAlpha {
                    // Two bytes a pixel go to the rear half, and are spread from there to four.
                    let rear = picture.len() / 2;
                    reader.next_frame(&mut picture[rear..]).map_err(png_error)?;
                    spread_gray_alpha(picture);
                } else {
                    reader.next_frame(picture).map_err(png_error)?;
                }
                Ok(())
            }
            File::Jpeg(mut decoder) => decoder.decode_into(picture).map_err(jpeg_error),
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

/// Whether a JPEG file's segments and scans lead to its end marker.
fn has_end_of_jpeg(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut at = 2;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
        at += found + 1;
        let Some(&marker) = bytes.get(at) else { return false };
        match marker {
            END => return true,
            // Fill bytes; an escaped byte and restarts, in a scan; markers that stand alone.
            0xff => {}
            0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3).and_then(|length| length.first_chunk()) else {
                    return false;
                };
                // A scan's header is followed by its data, in which the search for a marker goes on.
                at += 1 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
    false
}

fn png_error(error: png::DecodingError) -> Error {
    match error {
        png::DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Truncated { format: PNG }
        }
        error => Error::BadPicture { format: PNG, detail: one_line(&error.to_string()) },
    }
}

fn jpeg_error(error: DecodeErrors) -> Error {
    match error {
        DecodeErrors::ExhaustedData => Error::Truncated { format: JPEG },
        DecodeErrors::ZeroError => Error::Empty { width: 0, height: 0 },
        DecodeErrors::FormatStatic(detail) => Error::BadPicture { format: JPEG, detail: one_line(detail) },
        DecodeErrors::Format(detail)
        | DecodeErrors::HuffmanDecode(detail)
        | DecodeErrors::DqtError(detail)
        | DecodeErrors::SosError(detail)
        | DecodeErrors::SofError(detail)
        | DecodeErrors::MCUError(detail) => Error::BadPicture { format: JPEG, detail: one_line(&detail) },
        error => Error::BadPicture { format: JPEG, detail: one_line(&format!("{error:?}")) },
    }
}

/// A decoder's message as a part of a sentence.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}
