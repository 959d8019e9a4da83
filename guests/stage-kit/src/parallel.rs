//! Stages that several instances run at once, each on a part that it owns.

use core::ops::Range;

use image_ops::{Geometry, Pixels};

use crate::Stage;

/// How a picture may be cut for a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Between pixels, each of which is changed in place.
    Pixels,
    /// Between rows of a new picture, made from the one that is given.
    Rows,
}

/// A [`Stage`] whose work can be shared out. [`parallel_stage!`](crate::parallel_stage) exports it in the world `parallel-stage`
/// with the feature `regions`, and in the world `copying-stage` with the feature `copying`.
pub trait Parallel: Stage {
    /// How a picture may be cut.
    const CUT: Cut;

    /// Returns the geometry of what is made of a picture.
    ///
    /// # Errors
    ///
    /// A sentence for a person: the arguments are wrong.
    fn plan(geometry: Geometry, arguments: &[String]) -> Result<Geometry, String>;

    /// Changes pixels in place. A stage that is cut so has it.
    ///
    /// # Errors
    ///
    /// As [`Stage::run`].
    fn change_pixels(_bytes: &mut [u8], _pixels: Pixels, _arguments: &[String]) -> Result<(), String> {
        Err("this stage is not cut between pixels".to_owned())
    }

    /// Makes rows of the new picture. A stage that is cut so has it.
    ///
    /// # Errors
    ///
    /// As [`Stage::run`].
    fn make_rows(
        _picture: &[u8],
        _geometry: Geometry,
        _rows: Range<usize>,
        _output: &mut [u8],
        _arguments: &[String],
    ) -> Result<(), String> {
        Err("this stage is not cut between rows".to_owned())
    }
}

#[cfg(not(feature = "copying"))]
mod adapter {
    use core::ops::Range;

    use image_ops::Geometry;
    use mappable_guest::bindings::types;
    use mappable_guest::{Frozen, Mappable, Mapped};

    use super::{Cut, Parallel};
    use crate::parallel_bindings::exports::mappable::stage::parallel;
    use crate::picture::{geometry_of, header_of};
    use crate::{Adapter, bindings};

    type Header = bindings::mappable::stage::format::Header;

    impl<S: Parallel> parallel::Guest for Adapter<S> {
        fn plan(header: Header, arguments: Vec<String>) -> Result<(parallel::Cut, Header), String> {
            // A file is for `run` to refuse.
            let Some(geometry) = geometry_of(&header)? else { return Ok((parallel::Cut::Whole, header)) };
            let cut = match S::CUT {
                Cut::Pixels => parallel::Cut::Pixels,
                Cut::Rows => parallel::Cut::Rows,
            };
            let made = S::plan(geometry, &arguments)?;
            Ok((cut, header_of(Some(made), made.size_bytes())))
        }

        fn change_pixels(
            part: types::Mappable,
            header: Header,
            offset: u64,
            size: u64,
            arguments: Vec<String>,
        ) -> Result<types::Mappable, String> {
            let geometry = pixels(&header)?;
            let mut part = map(part)?;
            let bytes = bytes_at(&mut part, offset, size)?;
            S::change_pixels(bytes, geometry.pixels(), &arguments)?;
            Ok(part.unmap().into())
        }

        fn make_rows(
            picture: types::Frozen,
            header: Header,
            part: types::Mappable,
            offset: u64,
            first: u32,
            count: u32,
            arguments: Vec<String>,
        ) -> Result<types::Mappable, String> {
            let geometry = pixels(&header)?;
            let picture = Frozen::from(picture).map().map_err(|error| error.to_string())?;
            let pixels =
                picture.get(..geometry.size_bytes()).ok_or("the picture has fewer bytes than its header says")?;
            let made = S::plan(geometry, &arguments)?;
            let rows: Range<usize> = first as usize..(first as usize).saturating_add(count as usize);
            if rows.end > made.height() {
                return Err(format!("there are no rows up to {}", rows.end));
            }
            let mut part = map(part)?;
            let output = bytes_at(&mut part, offset, (rows.len() * made.stride()) as u64)?;
            S::make_rows(pixels, geometry, rows, output, &arguments)?;
            Ok(part.unmap().into())
        }
    }

    fn map(part: types::Mappable) -> Result<Mapped, String> {
        Mappable::from(part).map().map_err(|error| error.to_string())
    }

    fn pixels(header: &Header) -> Result<Geometry, String> {
        geometry_of(header)?.ok_or_else(|| "a file can't be cut".to_owned())
    }

    fn bytes_at(part: &mut Mapped, offset: u64, size: u64) -> Result<&mut [u8], String> {
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(size)).ok());
        let bytes = range.and_then(|(start, end)| part.get_mut(start..end));
        bytes.ok_or_else(|| format!("the part has no {size} bytes at {offset}"))
    }
}
