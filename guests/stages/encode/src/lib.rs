//! Encodes pixels as a new PNG file. One optional argument: `fast` (used if there is none), `default` or `best`.

use image_ops::{arguments, encode};
use stage_kit::{Buffer, Pictured, Stage};

struct Encode;

impl Stage for Encode {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let level = arguments::level(arguments).map_err(|error| error.to_string())?;
        let mut file = B::allocate(encode::bound_bytes(geometry))?;
        let size = encode::encode(picture.bytes(), geometry, level, &mut file).map_err(|error| error.to_string())?;
        Ok(Pictured::file(file, size))
    }
}

stage_kit::stage!(Encode);
