//! Sharpens a picture in place. One optional argument: the amount, 0 to 10; the default is 1.

use core::ops::Range;

use image_ops::{Geometry, arguments, sharpen::sharpen};
use stage_kit::{Buffer, Cut, Parallel, Pictured, Stage};

struct Sharpen;

impl Stage for Sharpen {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let amount = arguments::amount(arguments).map_err(|error| error.to_string())?;
        sharpen(picture.bytes(), geometry, amount).map_err(|error| error.to_string())?;
        Ok(picture)
    }
}

impl Parallel for Sharpen {
    const CUT: Cut = Cut::Rows;

    fn plan(geometry: Geometry, arguments: &[String]) -> Result<Geometry, String> {
        arguments::amount(arguments).map_err(|error| error.to_string())?;
        Ok(geometry)
    }

    fn make_rows(
        picture: &[u8],
        geometry: Geometry,
        rows: Range<usize>,
        output: &mut [u8],
        arguments: &[String],
    ) -> Result<(), String> {
        let amount = arguments::amount(arguments).map_err(|error| error.to_string())?;
        image_ops::rows(picture, geometry, rows, 1, output, |band, geometry| {
            sharpen(band, geometry, amount).map(|()| geometry)
        })
        .map_err(|error| error.to_string())
    }
}

stage_kit::parallel_stage!(Sharpen);
