//! Converts colors to luminance, in place. No arguments.

use core::ops::Range;

use image_ops::{Geometry, Pixels, arguments, grayscale::grayscale};
use stage_kit::{Buffer, Cut, Parallel, Pictured, Stage};

struct Grayscale;

impl Stage for Grayscale {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        arguments::none(arguments).map_err(|error| error.to_string())?;
        let gray = grayscale(picture.bytes(), geometry);
        Ok(Pictured::pixels(picture.buffer, gray))
    }
}

impl Parallel for Grayscale {
    const CUT: Cut = Cut::Rows;

    fn plan(geometry: Geometry, arguments: &[String]) -> Result<Geometry, String> {
        arguments::none(arguments).map_err(|error| error.to_string())?;
        Ok(geometry.with_pixels(Pixels::Gray8))
    }

    fn make_rows(
        picture: &[u8],
        geometry: Geometry,
        rows: Range<usize>,
        output: &mut [u8],
        arguments: &[String],
    ) -> Result<(), String> {
        arguments::none(arguments).map_err(|error| error.to_string())?;
        image_ops::rows(picture, geometry, rows, 0, output, |band, geometry| Ok(grayscale(band, geometry)))
            .map_err(|error| error.to_string())
    }
}

stage_kit::parallel_stage!(Grayscale);
