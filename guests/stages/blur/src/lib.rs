//! Gaussian blur, in place. One optional argument: the radius in pixels, 0 to 100; the default is 3.

use image_ops::{arguments, blur::blur};
use stage_kit::{Buffer, Pictured, Stage};

struct Blur;

impl Stage for Blur {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let radius = arguments::radius(arguments).map_err(|error| error.to_string())?;
        blur(picture.bytes(), geometry, radius).map_err(|error| error.to_string())?;
        Ok(picture)
    }
}

stage_kit::stage!(Blur);
