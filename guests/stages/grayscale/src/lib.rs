//! Converts colors to luminance, in place. No arguments.

use image_ops::{arguments, grayscale::grayscale};
use stage_kit::{Buffer, Pictured, Stage};

struct Grayscale;

impl Stage for Grayscale {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        arguments::none(arguments).map_err(|error| error.to_string())?;
        let gray = grayscale(picture.bytes(), geometry);
        Ok(Pictured::pixels(picture.buffer, gray))
    }
}

stage_kit::stage!(Grayscale);
