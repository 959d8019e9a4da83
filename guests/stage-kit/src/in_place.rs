//! Stages that work in place, on a whole picture or on some of it.

use core::marker::PhantomData;
use core::ops::Range;

use image_ops::{Error, Geometry, Pixels};

use crate::{Buffer, Cut, Parallel, Pictured, Stage};

/// Work on pixels in place. [`in_place_stage!`](crate::in_place_stage) makes a stage of it that can be shared out.
pub trait InPlace {
    /// How a picture may be cut.
    const CUT: Cut;
    /// What arguments say.
    type Setting;

    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// They are wrong.
    fn setting(arguments: &[String]) -> Result<Self::Setting, Error>;

    /// How many rows above and below a row it depends on.
    fn halo(_: &Self::Setting) -> usize {
        0
    }

    /// The format of what is made of pixels of a format.
    fn made(pixels: Pixels) -> Pixels {
        pixels
    }

    /// Works on a picture, or on some of its rows as a picture. If it is cut between pixels, then on any run of them as one row.
    ///
    /// # Errors
    ///
    /// There is no memory for it.
    fn work(bytes: &mut [u8], geometry: Geometry, setting: &Self::Setting) -> Result<(), Error>;
}

/// The stage that does this work.
pub struct InPlaceStage<W>(PhantomData<W>);

fn setting<W: InPlace>(arguments: &[String]) -> Result<W::Setting, String> {
    W::setting(arguments).map_err(|error| error.to_string())
}

fn made<W: InPlace>(geometry: Geometry) -> Geometry {
    geometry.with_pixels(W::made(geometry.pixels()))
}

impl<W: InPlace> Stage for InPlaceStage<W> {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        let setting = setting::<W>(arguments)?;
        W::work(picture.bytes(), geometry, &setting).map_err(|error| error.to_string())?;
        Ok(Pictured::pixels(picture.buffer, made::<W>(geometry)))
    }
}

impl<W: InPlace> Parallel for InPlaceStage<W> {
    const CUT: Cut = W::CUT;

    fn plan(geometry: Geometry, arguments: &[String]) -> Result<Geometry, String> {
        setting::<W>(arguments)?;
        Ok(made::<W>(geometry))
    }

    fn change_pixels(bytes: &mut [u8], pixels: Pixels, arguments: &[String]) -> Result<(), String> {
        let setting = setting::<W>(arguments)?;
        let width = u32::try_from(bytes.len() / pixels.channels()).unwrap_or(u32::MAX);
        let changed = Geometry::new(pixels, width, 1).and_then(|geometry| W::work(bytes, geometry, &setting));
        changed.map_err(|error| error.to_string())
    }

    fn make_rows(
        picture: &[u8],
        geometry: Geometry,
        rows: Range<usize>,
        output: &mut [u8],
        arguments: &[String],
    ) -> Result<(), String> {
        let setting = setting::<W>(arguments)?;
        image_ops::rows(picture, geometry, rows, W::halo(&setting), output, |band, geometry| {
            W::work(band, geometry, &setting)?;
            Ok(made::<W>(geometry))
        })
        .map_err(|error| error.to_string())
    }
}
