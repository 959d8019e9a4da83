//! JPEG files. The decoder returns components. This module finds out which colors they are, and which way up the
//! picture is.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::colors::{print_inks, print_transformed_inks, rgb_of_ycbcr, spread_three};
use super::segments::{Colors, Segments};
use super::{Orientation, one_line};
use crate::{Error, Geometry, Pixels};

const FORMAT: &str = "JPEG";
/// The largest side that the format can express.
const LONGEST_SIDE: usize = 65_535;
/// The end that a file without an end marker gets.
const END: &[u8] = b"\xff\xd9";
/// Bits that differ from the zeros that the decoder reads at the end of a file: the first are set, the others vary.
const NOISE: &[u8] = &noise();

/// A file of which everything before the pixels has been read.
pub(super) struct Jpeg<'a> {
    file: Cow<'a, [u8]>,
    colors: Colors,
    /// The colors that the decoder would choose for the file.
    decoder_colors: ColorSpace,
    orientation: Orientation,
    stored: Geometry,
    /// A file without an end marker is complete if the bytes that follow it make no difference.
    ended: bool,
}

impl<'a> Jpeg<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Jpeg<'a>, Error> {
        let segments = Segments::read(bytes);
        if !segments.ended && !segments.scans_are_complete() {
            return Err(Error::Truncated { format: FORMAT });
        }
        let mut file = Cow::Borrowed(bytes);
        if !segments.adobe_is_plain() {
            for &at in &segments.adobe_at {
                owned(&mut file, 0)?[at] = b'_';
            }
        }
        if !segments.ended {
            owned(&mut file, NOISE.len())?.extend_from_slice(END);
        }
        let decoder = open(&file, ColorSpace::RGBA, false)?;
        let components = segments.components();
        let colors = segments.colors().ok_or_else(|| {
            let detail = format!("{components} components are no color");
            Error::BadPicture { format: FORMAT, detail }
        })?;
        let pixels = if colors == Colors::Gray { Pixels::Gray8 } else { Pixels::Rgba8 };
        let (width, height) = decoder.dimensions().unwrap_or((0, 0));
        let stored = Geometry::new(pixels, width as u32, height as u32)?;
        let decoder_colors = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
        let (orientation, ended) = (segments.orientation, segments.ended);
        Ok(Jpeg { file, colors, decoder_colors, orientation, stored, ended })
    }

    /// Returns the geometry of the picture that [`decode_into`](Jpeg::decode_into) writes.
    pub(super) fn geometry(&self) -> Geometry {
        self.orientation.turned(self.stored)
    }

    pub(super) fn decode_into(mut self, picture: &mut [u8]) -> Result<(), Error> {
        self.decode_components(picture, false)?;
        if !self.ended {
            let first = hash(picture);
            let end = self.file.len() - END.len();
            let file = owned(&mut self.file, 0)?;
            file.truncate(end);
            file.extend_from_slice(NOISE);
            if self.decode_components(picture, true).is_err() || hash(picture) != first {
                return Err(Error::Truncated { format: FORMAT });
            }
        }
        match self.colors {
            Colors::Gray => {}
            Colors::YCbCr if self.decoder_colors == ColorSpace::YCbCr => {}
            Colors::YCbCr => spread_three(picture, rgb_of_ycbcr),
            Colors::Rgb => spread_three(picture, |rgb| rgb),
            Colors::Cmyk => print_inks(picture),
            Colors::Ycck => print_transformed_inks(picture),
        }
        self.orientation.apply(picture, self.stored)
    }

    /// Decodes the common color formats to pixels. For the others it writes the components as they are: four for each
    /// pixel, or three in the rear three quarters of `picture`.
    fn decode_components(&self, picture: &mut [u8], strict: bool) -> Result<(), Error> {
        let rear = picture.len() / 4;
        let (out, into) = match self.colors {
            Colors::Gray => (ColorSpace::Luma, picture),
            Colors::YCbCr if self.decoder_colors == ColorSpace::YCbCr => (ColorSpace::RGBA, picture),
            Colors::YCbCr | Colors::Rgb => (self.decoder_colors, &mut picture[rear..]),
            Colors::Cmyk | Colors::Ycck => (self.decoder_colors, picture),
        };
        open(&self.file, out, strict)?.decode_into(into).map_err(error)
    }
}

/// Returns a decoder that has read everything before the pixels and will decode them as `out`. If it is `strict`, it
/// refuses a broken file.
fn open(file: &[u8], out: ColorSpace, strict: bool) -> Result<JpegDecoder<ZCursor<&[u8]>>, Error> {
    let sides = DecoderOptions::default().set_max_width(LONGEST_SIDE).set_max_height(LONGEST_SIDE);
    let options = sides.jpeg_set_out_colorspace(out).set_strict_mode(strict);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(error)?;
    Ok(decoder)
}

/// Returns a copy of the file, with room for `more` bytes.
fn owned<'f>(file: &'f mut Cow<'_, [u8]>, more: usize) -> Result<&'f mut Vec<u8>, Error> {
    if let Cow::Borrowed(bytes) = *file {
        let mut copy = Vec::new();
        let size = bytes.len() + more;
        copy.try_reserve_exact(size).map_err(|_| Error::OutOfMemory { size_bytes: size as u64 })?;
        copy.extend_from_slice(bytes);
        *file = Cow::Owned(copy);
    }
    Ok(file.to_mut())
}

fn hash(picture: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    picture.hash(&mut hasher);
    hasher.finish()
}

const fn noise() -> [u8; 1026] {
    let mut bytes = [0; 1026];
    // A byte of ones is followed by a zero; otherwise it would begin a marker.
    bytes[0] = 0xff;
    let mut state = 1_u32;
    let mut at = 2;
    while at < 1024 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[at] = (state >> 24) as u8 & 0xfe;
        at += 1;
    }
    (bytes[1024], bytes[1025]) = (END[0], END[1]);
    bytes
}

fn error(error: DecodeErrors) -> Error {
    match error {
        DecodeErrors::ExhaustedData => Error::Truncated { format: FORMAT },
        DecodeErrors::ZeroError => Error::Empty { width: 0, height: 0 },
        DecodeErrors::FormatStatic(detail) => Error::BadPicture { format: FORMAT, detail: one_line(detail) },
        DecodeErrors::Format(detail)
        | DecodeErrors::HuffmanDecode(detail)
        | DecodeErrors::DqtError(detail)
        | DecodeErrors::SosError(detail)
        | DecodeErrors::SofError(detail)
        | DecodeErrors::MCUError(detail) => Error::BadPicture { format: FORMAT, detail: one_line(&detail) },
        error => Error::BadPicture { format: FORMAT, detail: one_line(&format!("{error:?}")) },
    }
}
