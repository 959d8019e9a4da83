//! Scales a picture into a new one, by the Catmull-Rom cubic in each direction. When a side gets smaller, the kernel is
//! widened by the same factor.
//!
//! Each old row is scaled to the new width when it is first needed, and kept as long as it is needed. The kept rows are
//! then mixed into rows of the new picture. Scratch memory is a few rows.

use core::ops::Range;

use crate::geometry::scratch;
use crate::{Error, Geometry, Pixels, alpha};

/// Scales the picture `from`, of `from_geometry`, to the `rows` in `to` of a picture of `to_geometry`. So several can make a
/// picture, each some rows of it.
///
/// Colors are weighed by their alpha.
///
/// # Errors
///
/// There is no memory for the rows that are kept.
///
/// # Panics
///
/// If the two pictures differ in format, the rows are not in the new one, or bytes have another length than the geometry says.
pub fn resize(
    from: &[u8],
    from_geometry: Geometry,
    rows: Range<usize>,
    to: &mut [u8],
    to_geometry: Geometry,
) -> Result<(), Error> {
    assert_eq!(from_geometry.pixels(), to_geometry.pixels());
    assert!(rows.end <= to_geometry.height() && to.len() == rows.len() * to_geometry.stride());
    assert_eq!(from.len(), from_geometry.size_bytes());
    if from_geometry == to_geometry {
        to.copy_from_slice(&from[rows.start * to_geometry.stride()..][..to.len()]);
        return Ok(());
    }
    match from_geometry.pixels() {
        Pixels::Gray8 => both_ways::<1>(from, from_geometry, rows, to, to_geometry),
        Pixels::Rgba8 => both_ways::<4>(from, from_geometry, rows, to, to_geometry),
    }
}

fn both_ways<const CHANNELS: usize>(
    from: &[u8],
    from_geometry: Geometry,
    rows: Range<usize>,
    to: &mut [u8],
    to_geometry: Geometry,
) -> Result<(), Error> {
    let across = Taps::new(from_geometry.width(), to_geometry.width())?;
    let down = Taps::new(from_geometry.height(), to_geometry.height())?;
    let (from_stride, to_stride) = (from_geometry.stride(), to_geometry.stride());
    // Windows only move downwards, so that the last `longest` rows are all that a window can reach.
    let kept_rows = down.longest;
    let mut kept =
        scratch::<f32>(to_stride.checked_mul(kept_rows).ok_or(Error::OutOfMemory { size_bytes: u64::MAX })?)?;
    let mut sums = scratch::<f32>(to_stride)?;
    let mut wide = scratch::<f32>(from_stride)?;
    // A row that is opaque is not changed by either.
    let mut premultiplied = scratch::<u8>(if CHANNELS == 4 { from_stride } else { 0 })?;
    let is_opaque = |row: &[u8]| CHANNELS < 4 || alpha::is_opaque(row);
    let mut rows_done = 0;
    for (y, row) in rows.zip(to.chunks_exact_mut(to_stride)) {
        let (first, weights) = down.of(y);
        rows_done = rows_done.max(first);
        while rows_done < first + weights.len() {
            let slot = (rows_done % kept_rows) * to_stride;
            let mut old = &from[rows_done * from_stride..][..from_stride];
            if !is_opaque(old) {
                premultiplied.copy_from_slice(old);
                alpha::premultiply(&mut premultiplied);
                old = &premultiplied;
            }
            // Each byte goes into several pixels, so it is converted to a float once.
            for (wide, &byte) in wide.iter_mut().zip(old) {
                *wide = f32::from(byte);
            }
            mix::<CHANNELS>(&wide, &mut kept[slot..][..to_stride], &across);
            rows_done += 1;
        }
        sums.fill(0.5);
        for (tap, &weight) in weights.iter().enumerate() {
            let slot = ((first + tap) % kept_rows) * to_stride;
            for (sum, &value) in sums.iter_mut().zip(&kept[slot..][..to_stride]) {
                *sum += value * weight;
            }
        }
        for (byte, &sum) in row.iter_mut().zip(&sums) {
            // Rounds. Values below 0 or above 255 saturate.
            *byte = sum as u8;
        }
        if CHANNELS == 4 {
            // A premultiplied color is at most its alpha, and the cubic overshoots. (Opaque pixels are not changed.)
            for pixel in row.as_chunks_mut::<4>().0 {
                let alpha = pixel[3];
                pixel[..3].iter_mut().for_each(|color| *color = (*color).min(alpha));
            }
        }
        if !is_opaque(row) {
            alpha::unpremultiply(row);
        }
    }
    Ok(())
}

/// Scales one row from its old width to its new one.
fn mix<const CHANNELS: usize>(from: &[f32], to: &mut [f32], taps: &Taps) {
    let from = from.as_chunks::<CHANNELS>().0;
    for (x, pixel) in to.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
        let (first, weights) = taps.of(x);
        let mut sums = [0.0; CHANNELS];
        for (old, &weight) in from[first..].iter().zip(weights) {
            for channel in 0..CHANNELS {
                sums[channel] += old[channel] * weight;
            }
        }
        *pixel = sums;
    }
}

/// For each new pixel along a side: which old pixels it is made of, and their weights.
struct Taps {
    /// For each new pixel: the first of its old pixels, and where its weights begin in `weights`.
    starts: Vec<(u32, u32)>,
    weights: Vec<f32>,
    /// The largest number of old pixels that make one new pixel.
    longest: usize,
}

impl Taps {
    fn new(old: usize, new: usize) -> Result<Taps, Error> {
        let scale = old as f64 / new as f64;
        // When the side gets smaller, the kernel is wider by the same factor.
        let stretch = scale.max(1.0);
        let reach = 2.0 * stretch;
        let out_of_memory = |_| Error::OutOfMemory { size_bytes: old as u64 * 16 };
        let (mut starts, mut weights) = (Vec::new(), Vec::new());
        starts.try_reserve_exact(new + 1).map_err(out_of_memory)?;
        weights.try_reserve(old.max(new) * 4).map_err(out_of_memory)?;
        let mut longest = 1;
        for index in 0..new {
            let middle = (index as f64 + 0.5) * scale;
            let first = (middle - reach - 0.5).ceil().max(0.0) as usize;
            let end = ((middle + reach + 0.5).floor() as usize).min(old);
            let weight = |at: usize| cubic((at as f64 + 0.5 - middle) / stretch);
            let total: f64 = (first..end).map(weight).sum();
            starts.push((first as u32, weights.len() as u32));
            weights.extend((first..end).map(|at| (weight(at) / total) as f32));
            longest = longest.max(end - first);
        }
        starts.push((0, weights.len() as u32));
        Ok(Taps { starts, weights, longest })
    }

    fn of(&self, index: usize) -> (usize, &[f32]) {
        let (first, start) = self.starts[index];
        let (_, end) = self.starts[index + 1];
        (first as usize, &self.weights[start as usize..end as usize])
    }
}

/// Catmull-Rom's kernel.
fn cubic(at: f64) -> f64 {
    let x = at.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gray(width: u32, height: u32) -> Geometry {
        Geometry::new(Pixels::Gray8, width, height).unwrap()
    }

    #[test]
    fn weights_are_whole_and_inside() {
        for (old, new) in [(1, 1), (1, 50), (50, 1), (7, 13), (13, 7), (3840, 1920), (1000, 999)] {
            let taps = Taps::new(old, new).unwrap();
            for index in 0..new {
                let (first, weights) = taps.of(index);
                assert!(!weights.is_empty() && first + weights.len() <= old, "{old} to {new} at {index}");
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                assert!(weights.len() <= taps.longest);
                assert!(index == 0 || first >= taps.of(index - 1).0, "windows move on");
            }
        }
    }

    #[test]
    fn a_ramp_stays_a_ramp() {
        let from: Vec<u8> = (0..100).map(|x| 2 * x).collect();
        let mut to = vec![0; 50];
        resize(&from, gray(100, 1), 0..1, &mut to, gray(50, 1)).unwrap();
        for x in 3..47 {
            assert!(to[x].abs_diff((4 * x + 1) as u8) <= 1, "{to:?}");
        }
    }

    #[test]
    fn what_is_transparent_does_not_bleed() {
        let from = Geometry::new(Pixels::Rgba8, 2, 1).unwrap();
        let to = Geometry::new(Pixels::Rgba8, 1, 1).unwrap();
        let mut made = [0; 4];
        resize(&[200, 0, 0, 255, 0, 255, 0, 0], from, 0..1, &mut made, to).unwrap();
        assert_eq!(made, [199, 0, 0, 128]);
    }

    proptest! {
        /// Flat stays flat, whatever the sizes; and all of the new picture is written.
        #[test]
        fn flat_stays_flat(
            old in (1..60_u32, 1..60_u32), new in (1..60_u32, 1..60_u32), pixel in any::<[u8; 3]>(),
        ) {
            let from = Geometry::new(Pixels::Rgba8, old.0, old.1).unwrap();
            let to = Geometry::new(Pixels::Rgba8, new.0, new.1).unwrap();
            let pixel = [pixel[0], pixel[1], pixel[2], 255];
            let bytes = pixel.repeat((old.0 * old.1) as usize);
            let mut made = vec![1; to.size_bytes()];
            resize(&bytes, from, 0..to.height(), &mut made, to).unwrap();
            prop_assert_eq!(made, pixel.repeat((new.0 * new.1) as usize));
        }

        /// The kept rows are the right ones: the same as both passes over whole pictures.
        #[test]
        fn rows_kept_are_the_same_as_naive(
            old in (1..40_u32, 1..40_u32), new in (1..40_u32, 1..40_u32),
            seed in prop::collection::vec(any::<u8>(), 1600),
        ) {
            let (from, to) = (gray(old.0, old.1), gray(new.0, new.1));
            let bytes = seed[..from.size_bytes()].to_vec();
            let across = Taps::new(from.width(), to.width()).unwrap();
            let down = Taps::new(from.height(), to.height()).unwrap();
            let mut expected = Vec::new();
            for y in 0..to.height() {
                for x in 0..to.width() {
                    let (top, down) = down.of(y);
                    let (left, across) = across.of(x);
                    let mut sum = 0.5_f32;
                    for (dy, down) in down.iter().enumerate() {
                        let row = &bytes[(top + dy) * from.width()..];
                        let mut value = 0.0_f32;
                        for (dx, across) in across.iter().enumerate() {
                            value += f32::from(row[left + dx]) * across;
                        }
                        sum += value * down;
                    }
                    expected.push(sum as u8);
                }
            }
            if from == to {
                expected.clone_from(&bytes);
            }
            let mut made = vec![0; to.size_bytes()];
            resize(&bytes, from, 0..to.height(), &mut made, to).unwrap();
            prop_assert_eq!(made, expected);
        }

        /// Whoever makes them, and whether or not what is seen of the old picture is opaque.
        #[test]
        fn rows_are_those_of_the_whole(
            old in (1..20_u32, 1..60_u32), new in (1..20_u32, 1..60_u32), cut in any::<prop::sample::Index>(),
            opaque_from in any::<prop::sample::Index>(), mut bytes in prop::collection::vec(any::<u8>(), 4800),
        ) {
            let from = Geometry::new(Pixels::Rgba8, old.0, old.1).unwrap();
            let to = Geometry::new(Pixels::Rgba8, new.0, new.1).unwrap();
            bytes.truncate(from.size_bytes());
            let opaque = opaque_from.index(from.height()) * from.stride();
            bytes[opaque..].iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 255);
            let mut whole = vec![0; to.size_bytes()];
            resize(&bytes, from, 0..to.height(), &mut whole, to).unwrap();
            let cut = cut.index(to.height() + 1);
            let mut made = vec![1; to.size_bytes()];
            let (top, bottom) = made.split_at_mut(cut * to.stride());
            resize(&bytes, from, 0..cut, top, to).unwrap();
            resize(&bytes, from, cut..to.height(), bottom, to).unwrap();
            prop_assert_eq!(made, whole);
        }
    }
}
