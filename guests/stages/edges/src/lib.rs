//! Edges by Sobel's operator, in place. No arguments.

use image_ops::{Error, Geometry, Pixels, arguments, edges::edges};
use stage_kit::{Cut, InPlace};

struct Edges;

impl InPlace for Edges {
    const CUT: Cut = Cut::Rows;
    type Setting = ();

    fn setting(arguments: &[String]) -> Result<(), Error> {
        arguments::none(arguments)
    }

    fn halo((): &()) -> usize {
        1
    }

    fn made(_: Pixels) -> Pixels {
        Pixels::Gray8
    }

    fn work(bytes: &mut [u8], geometry: Geometry, (): &()) -> Result<(), Error> {
        edges(bytes, geometry).map(drop)
    }
}

stage_kit::in_place_stage!(Edges);
