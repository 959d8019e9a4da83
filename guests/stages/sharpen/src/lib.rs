//! Sharpens a picture in place. One optional argument: the amount, 0 to 10; the default is 1.

use image_ops::sharpen::{Amount, sharpen};
use image_ops::{Error, Geometry, arguments};
use stage_kit::{Cut, InPlace};

struct Sharpen;

impl InPlace for Sharpen {
    const CUT: Cut = Cut::Rows;
    type Setting = Amount;

    fn setting(arguments: &[String]) -> Result<Amount, Error> {
        arguments::amount(arguments)
    }

    fn halo(_: &Amount) -> usize {
        1
    }

    fn work(bytes: &mut [u8], geometry: Geometry, amount: &Amount) -> Result<(), Error> {
        sharpen(bytes, geometry, *amount)
    }
}

stage_kit::in_place_stage!(Sharpen);
