//! Gaussian blur, in place. One optional argument: the radius in pixels, 0 to 100; the default is 3.

use core::ops::Range;

use image_ops::{Geometry, arguments, blur::blur};
use stage_kit::{Buffer, Cut, Parallel, Pictured, Stage};

struct Blur;

impl Stage for Blur {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let radius = arguments::radius(arguments).map_err(|error| error.to_string())?;
        blur(picture.bytes(), geometry, radius).map_err(|error| error.to_string())?;
        Ok(picture)
    }
}

impl Parallel for Blur {
    const CUT: Cut = Cut::Rows;

    fn plan(geometry: Geometry, arguments: &[String]) -> Result<Geometry, String> {
        arguments::radius(arguments).map_err(|error| error.to_string())?;
        Ok(geometry)
    }

    fn make_rows(
        picture: &[u8],
        geometry: Geometry,
        rows: Range<usize>,
        output: &mut [u8],
        arguments: &[String],
    ) -> Result<(), String> {
        let radius = arguments::radius(arguments).map_err(|error| error.to_string())?;
        image_ops::rows(picture, geometry, rows, radius as usize, output, |band, geometry| {
            blur(band, geometry, radius).map(|()| geometry)
        })
        .map_err(|error| error.to_string())
    }
}

stage_kit::parallel_stage!(Blur);
