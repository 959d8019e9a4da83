//! Scales a picture into a new one. Both are mapped at once.
//!
//! One argument: `WIDTHxHEIGHT`, `WIDTHx`, `xHEIGHT` or `WIDTH`, which keep the proportions, or `PERCENT%`.

use core::ops::Range;

use image_ops::{Geometry, arguments, resize::resize};
use stage_kit::{Buffer, Cut, Parallel, Pictured, Stage};

struct Resize;

impl Stage for Resize {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let new_geometry = Self::plan(geometry, arguments)?;
        let mut made = Pictured::pixels(B::allocate(new_geometry.size_bytes() as u64)?, new_geometry);
        Self::make_rows(picture.bytes(), geometry, 0..new_geometry.height(), made.bytes(), arguments)?;
        Ok(made)
    }
}

impl Parallel for Resize {
    const CUT: Cut = Cut::Rows;

    fn plan(geometry: Geometry, arguments: &[String]) -> Result<Geometry, String> {
        arguments::size(arguments, geometry).map_err(|error| error.to_string())
    }

    fn make_rows(
        picture: &[u8],
        geometry: Geometry,
        rows: Range<usize>,
        output: &mut [u8],
        arguments: &[String],
    ) -> Result<(), String> {
        let new_geometry = Self::plan(geometry, arguments)?;
        resize(picture, geometry, rows, output, new_geometry).map_err(|error| error.to_string())
    }
}

stage_kit::parallel_stage!(Resize);
