//! Converts colors to luminance, in place. No arguments.

use image_ops::{Error, Geometry, Pixels, arguments, grayscale::grayscale};
use stage_kit::{Cut, InPlace};

struct Grayscale;

impl InPlace for Grayscale {
    const CUT: Cut = Cut::Rows;
    type Setting = ();

    fn setting(arguments: &[String]) -> Result<(), Error> {
        arguments::none(arguments)
    }

    fn made(_: Pixels) -> Pixels {
        Pixels::Gray8
    }

    fn work(bytes: &mut [u8], geometry: Geometry, (): &()) -> Result<(), Error> {
        grayscale(bytes, geometry);
        Ok(())
    }
}

stage_kit::in_place_stage!(Grayscale);
