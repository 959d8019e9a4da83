//! Scales a picture into a new one. Both are mapped at once.
//!
//! One argument: `WIDTHxHEIGHT`, `WIDTHx`, `xHEIGHT` or `WIDTH`, which keep the proportions, or `PERCENT%`.

use image_ops::{arguments, resize::resize};
use stage_kit::{Buffer, Pictured, Stage};

struct Resize;

impl Stage for Resize {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let new_geometry = arguments::size(arguments, geometry).map_err(|error| error.to_string())?;
        let mut made = Pictured::pixels(B::allocate(new_geometry.size_bytes() as u64)?, new_geometry);
        resize(picture.bytes(), geometry, made.bytes(), new_geometry).map_err(|error| error.to_string())?;
        Ok(made)
    }
}

stage_kit::stage!(Resize);
