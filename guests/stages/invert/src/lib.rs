//! The negative of a picture, in place. No arguments.

use image_ops::{Geometry, Pixels, arguments, invert::invert};
use stage_kit::{Buffer, Cut, Parallel, Pictured, Stage};

struct Invert;

impl Stage for Invert {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        Self::change_pixels(picture.bytes(), geometry.pixels(), arguments)?;
        Ok(picture)
    }
}

impl Parallel for Invert {
    const CUT: Cut = Cut::Pixels;

    fn plan(geometry: Geometry, arguments: &[String]) -> Result<Geometry, String> {
        arguments::none(arguments).map_err(|error| error.to_string())?;
        Ok(geometry)
    }

    fn change_pixels(bytes: &mut [u8], pixels: Pixels, arguments: &[String]) -> Result<(), String> {
        arguments::none(arguments).map_err(|error| error.to_string())?;
        invert(bytes, pixels);
        Ok(())
    }
}

stage_kit::parallel_stage!(Invert);
