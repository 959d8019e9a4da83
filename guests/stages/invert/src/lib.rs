//! The negative of a picture, in place. No arguments.

use image_ops::{Error, Geometry, arguments, invert::invert};
use stage_kit::{Cut, InPlace};

struct Invert;

impl InPlace for Invert {
    const CUT: Cut = Cut::Pixels;
    type Setting = ();

    fn setting(arguments: &[String]) -> Result<(), Error> {
        arguments::none(arguments)
    }

    fn work(bytes: &mut [u8], geometry: Geometry, (): &()) -> Result<(), Error> {
        invert(bytes, geometry.pixels());
        Ok(())
    }
}

stage_kit::in_place_stage!(Invert);
