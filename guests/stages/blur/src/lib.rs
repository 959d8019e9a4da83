//! Gaussian blur, in place. One optional argument: the radius in pixels, 0 to 100; the default is 3.

use image_ops::{Error, Geometry, arguments, blur::blur};
use stage_kit::{Cut, InPlace};

struct Blur;

impl InPlace for Blur {
    const CUT: Cut = Cut::Rows;
    /// The radius.
    type Setting = u32;

    fn setting(arguments: &[String]) -> Result<u32, Error> {
        arguments::radius(arguments)
    }

    fn halo(radius: &u32) -> usize {
        *radius as usize
    }

    fn work(bytes: &mut [u8], geometry: Geometry, radius: &u32) -> Result<(), Error> {
        blur(bytes, geometry, *radius)
    }
}

stage_kit::in_place_stage!(Blur);
