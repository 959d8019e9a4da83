//! Sharpens a picture in place. One optional argument: the amount, 0 to 10; the default is 1.

use image_ops::{arguments, sharpen::sharpen};
use stage_kit::{Buffer, Pictured, Stage};

struct Sharpen;

impl Stage for Sharpen {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let amount = arguments::amount(arguments).map_err(|error| error.to_string())?;
        sharpen(picture.bytes(), geometry, amount).map_err(|error| error.to_string())?;
        Ok(picture)
    }
}

stage_kit::stage!(Sharpen);
