//! Edges by Sobel's operator, in place. No arguments.

use core::ops::Range;

use image_ops::{Geometry, Pixels, arguments, edges::edges};
use stage_kit::{Buffer, Cut, Parallel, Pictured, Stage};

struct Edges;

impl Stage for Edges {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        arguments::none(arguments).map_err(|error| error.to_string())?;
        let edges = edges(picture.bytes(), geometry).map_err(|error| error.to_string())?;
        Ok(Pictured::pixels(picture.buffer, edges))
    }
}

impl Parallel for Edges {
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
        image_ops::rows(picture, geometry, rows, 1, output, edges).map_err(|error| error.to_string())
    }
}

stage_kit::parallel_stage!(Edges);
