//! Some rows of a picture, by what works on whole pictures in place: for those who share a picture out by rows.

use core::ops::Range;

use crate::geometry::scratch;
use crate::{Error, Geometry};

/// How many rows are worked on at once, at the least. More cost memory, fewer cost more work on the rows around them.
const BAND: usize = 64;

/// Makes `rows` of what `work` makes of a picture, in `output`.
///
/// `work` is given bands of the picture, with `halo` rows around those that are made, where there are such. It works in
/// place as [`blur`](crate::blur::blur) does: a row may depend on so many rows around it and on nothing else. It returns the
/// geometry of what it made.
///
/// # Errors
///
/// Those of `work`, and [`Error::OutOfMemory`] for a band.
///
/// # Panics
///
/// If the rows are not in the picture, or `output` has no room for them.
pub fn rows(
    picture: &[u8],
    geometry: Geometry,
    rows: Range<usize>,
    halo: usize,
    output: &mut [u8],
    mut work: impl FnMut(&mut [u8], Geometry) -> Result<Geometry, Error>,
) -> Result<(), Error> {
    let stride = geometry.stride();
    let longest = BAND.max(4 * halo);
    let mut band = scratch::<u8>((longest + 2 * halo).min(geometry.height()) * stride)?;
    let mut first = rows.start;
    while first < rows.end {
        let end = rows.end.min(first + longest);
        let shown = first.saturating_sub(halo)..geometry.height().min(end + halo);
        let band = &mut band[..shown.len() * stride];
        band.copy_from_slice(&picture[shown.start * stride..shown.end * stride]);
        let made = work(band, geometry.with_height(shown.len())?)?.stride();
        let output = &mut output[(first - rows.start) * made..(end - rows.start) * made];
        output.copy_from_slice(&band[(first - shown.start) * made..][..output.len()]);
        first = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Pixels;
    use crate::blur::blur;
    use crate::edges::edges;
    use crate::grayscale::grayscale;
    use crate::sharpen::{Amount, sharpen};

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn rows_are_those_of_the_whole(
            width in 1..9_u32, height in 1..400_u32, rgba in any::<bool>(), opaque in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4), seed in any::<u64>(), radius in 1..30_u32,
        ) {
            let geometry = Geometry::new(if rgba { Pixels::Rgba8 } else { Pixels::Gray8 }, width, height).unwrap();
            let mut state = seed | 1;
            let mut picture: Vec<u8> = (0..geometry.size_bytes())
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            if rgba {
                // All of it, or the lower half.
                let from = if opaque { 0 } else { geometry.height() / 2 * geometry.stride() };
                picture[from..].iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 255);
            }
            let amount = Amount::new(1.5).unwrap();
            type Work<'a> = Box<dyn Fn(&mut [u8], Geometry) -> Result<Geometry, Error> + 'a>;
            let works: [(usize, Work<'_>); 4] = [
                (0, Box::new(|bytes, geometry| Ok(grayscale(bytes, geometry)))),
                (1, Box::new(edges)),
                (1, Box::new(|bytes, geometry| sharpen(bytes, geometry, amount).map(|()| geometry))),
                (radius as usize, Box::new(|bytes, geometry| blur(bytes, geometry, radius).map(|()| geometry))),
            ];
            let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(height as usize)).collect();
            bounds.extend([0, height as usize]);
            bounds.sort_unstable();
            for (halo, work) in works {
                let mut whole = picture.clone();
                let made = work(&mut whole, geometry).unwrap();
                let mut found = vec![0; made.size_bytes()];
                for cut in bounds.windows(2) {
                    let output = &mut found[cut[0] * made.stride()..cut[1] * made.stride()];
                    rows(&picture, geometry, cut[0]..cut[1], halo, output, &work).unwrap();
                }
                prop_assert_eq!(&found[..], &whole[..made.size_bytes()], "{}", halo);
            }
        }
    }
}
