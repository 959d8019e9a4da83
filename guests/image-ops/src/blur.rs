//! Gaussian blur, in place: across each row, then down the columns with the last `radius + 1` rows kept aside.

use crate::geometry::scratch;
use crate::{Error, Geometry, alpha};

/// The largest radius in pixels.
pub const MAX_RADIUS: u32 = 100;
/// The radius when none is given.
pub const DEFAULT_RADIUS: u32 = 3;

/// Weights are multiples of 1/65,536.
const ONE: u32 = 1 << 16;
const HALF: u32 = ONE / 2;
/// How many bytes are summed at once, in registers.
const TILE: usize = 32;

/// Blurs a picture in place. Beyond the edge, the edge pixels are repeated.
///
/// The kernel has `2 * radius + 1` taps each way and a standard deviation of half the radius. Radius 0 does nothing.
/// Colors are weighed by their alpha.
///
/// # Errors
///
/// There is no memory for `radius + 1` rows. The bytes are then undefined.
///
/// # Panics
///
/// If the radius is greater than [`MAX_RADIUS`], or `bytes` has another length than the geometry says.
pub fn blur(bytes: &mut [u8], geometry: Geometry, radius: u32) -> Result<(), Error> {
    assert!(radius <= MAX_RADIUS && bytes.len() == geometry.size_bytes());
    if radius == 0 {
        return Ok(());
    }
    let weights = kernel(radius);
    let transparent = alpha::matters(bytes, geometry);
    if transparent {
        alpha::premultiply(bytes);
    }
    both_ways(bytes, geometry, &weights)?;
    if transparent {
        alpha::unpremultiply(bytes);
    }
    Ok(())
}

/// Returns the weight of the middle tap and those of the taps to one side of it. The middle one and twice the sum of
/// the others add up to [`ONE`].
fn kernel(radius: u32) -> Vec<u16> {
    let sigma = f64::from(radius) / 2.0;
    let shape = |tap: u32| (-0.5 * (f64::from(tap) / sigma).powi(2)).exp();
    let total = shape(0) + 2.0 * (1..=radius).map(shape).sum::<f64>();
    let mut weights: Vec<u16> = (0..=radius).map(|tap| (shape(tap) / total * f64::from(ONE)).round() as u16).collect();
    let outer: u32 = weights[1..].iter().map(|&weight| u32::from(weight)).sum();
    // The middle tap takes up the rounding errors, so that a flat picture stays as it is.
    weights[0] = (ONE - 2 * outer) as u16;
    weights
}

fn both_ways(bytes: &mut [u8], geometry: Geometry, weights: &[u16]) -> Result<(), Error> {
    let (stride, height, channels) = (geometry.stride(), geometry.height(), geometry.channels());
    let radius = weights.len() - 1;
    let kept_rows = (radius + 1).min(height);
    let mut row = PaddedRow::new(stride, channels, radius)?;
    let mut kept = scratch::<u8>(stride.checked_mul(kept_rows).ok_or(Error::OutOfMemory { size_bytes: u64::MAX })?)?;

    let mut across = 0;
    for y in 0..height {
        while across < height.min(y + radius + 1) {
            row.blur(&mut bytes[across * stride..][..stride], weights);
            across += 1;
        }
        let (done, below) = bytes.split_at_mut((y + 1) * stride);
        let target = &mut done[y * stride..];
        let slot = |y: usize| (y % kept_rows) * stride;
        kept[slot(y)..][..stride].copy_from_slice(target);

        let middle = &kept[slot(y)..][..stride];
        let above = |tap: usize| &kept[slot(y.saturating_sub(tap))..][..stride];
        let beneath = |tap: usize| {
            let tap = tap.min(height - 1 - y);
            if tap == 0 { middle } else { &below[(tap - 1) * stride..][..stride] }
        };
        for base in (0..stride).step_by(TILE) {
            let length = TILE.min(stride - base);
            let mut sums = [HALF; TILE];
            add(&mut sums[..length], &middle[base..][..length], weights[0]);
            for (tap, &weight) in weights.iter().enumerate().skip(1) {
                let above = &above(tap)[base..][..length];
                let beneath = &beneath(tap)[base..][..length];
                match (above.try_into(), beneath.try_into()) {
                    (Ok(above), Ok(beneath)) => add_pair_tile(&mut sums, above, beneath, weight),
                    _ => add_pair(&mut sums[..length], above, beneath, weight),
                }
            }
            store(&mut target[base..][..length], &sums);
        }
    }
    Ok(())
}

/// A row with its edge pixels repeated on both sides.
struct PaddedRow {
    /// `radius` pixels, the row, `radius` pixels, and room for a whole tile at any byte of the row.
    bytes: Vec<u8>,
    stride: usize,
    channels: usize,
    radius: usize,
}

impl PaddedRow {
    fn new(stride: usize, channels: usize, radius: usize) -> Result<PaddedRow, Error> {
        let bytes = scratch(stride + 2 * radius * channels + TILE)?;
        Ok(PaddedRow { bytes, stride, channels, radius })
    }

    fn blur(&mut self, row: &mut [u8], weights: &[u16]) {
        let PaddedRow { ref mut bytes, stride, channels, radius } = *self;
        let padding = radius * channels;
        for pixel in bytes[..padding].chunks_exact_mut(channels) {
            pixel.copy_from_slice(&row[..channels]);
        }
        bytes[padding..][..stride].copy_from_slice(row);
        for pixel in bytes[padding + stride..][..padding].chunks_exact_mut(channels) {
            pixel.copy_from_slice(&row[stride - channels..]);
        }
        for base in (0..stride).step_by(TILE) {
            let tile = |start: usize| bytes[start..].first_chunk::<TILE>().expect("the padding has room for a tile");
            let middle = base + padding;
            let mut sums = [HALF; TILE];
            add(&mut sums, tile(middle), weights[0]);
            for (tap, &weight) in weights.iter().enumerate().skip(1) {
                add_pair_tile(&mut sums, tile(middle - tap * channels), tile(middle + tap * channels), weight);
            }
            let length = TILE.min(stride - base);
            store(&mut row[base..][..length], &sums);
        }
    }
}

fn add(sums: &mut [u32], bytes: &[u8], weight: u16) {
    for (sum, &byte) in sums.iter_mut().zip(bytes) {
        *sum += u32::from(byte) * u32::from(weight);
    }
}

fn add_pair(sums: &mut [u32], left: &[u8], right: &[u8], weight: u16) {
    for ((sum, &left), &right) in sums.iter_mut().zip(left).zip(right) {
        *sum += u32::from(u16::from(left) + u16::from(right)) * u32::from(weight);
    }
}

/// [`add_pair`] for a whole tile. Its length is a constant, so that the loop becomes a few vector instructions.
#[inline(always)]
fn add_pair_tile(sums: &mut [u32; TILE], left: &[u8; TILE], right: &[u8; TILE], weight: u16) {
    for index in 0..TILE {
        sums[index] += u32::from(u16::from(left[index]) + u16::from(right[index])) * u32::from(weight);
    }
}

fn store(bytes: &mut [u8], sums: &[u32; TILE]) {
    for (byte, &sum) in bytes.iter_mut().zip(sums) {
        *byte = (sum >> 16) as u8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Pixels;

    /// The same arithmetic, pixel by pixel into new pictures.
    fn naive(bytes: &[u8], geometry: Geometry, radius: u32) -> Vec<u8> {
        let (width, height, channels) = (geometry.width() as i64, geometry.height() as i64, geometry.channels());
        let weights = kernel(radius);
        let pass = |bytes: &[u8], dx: i64, dy: i64| {
            let mut made = vec![0; bytes.len()];
            for y in 0..height {
                for x in 0..width {
                    for channel in 0..channels {
                        let mut sum = HALF;
                        for tap in -i64::from(radius)..=i64::from(radius) {
                            let x = (x + tap * dx).clamp(0, width - 1);
                            let y = (y + tap * dy).clamp(0, height - 1);
                            let at = (y * width + x) as usize * channels + channel;
                            sum += u32::from(bytes[at]) * u32::from(weights[tap.unsigned_abs() as usize]);
                        }
                        made[(y * width + x) as usize * channels + channel] = (sum >> 16) as u8;
                    }
                }
            }
            made
        };
        let mut bytes = bytes.to_vec();
        let transparent = alpha::matters(&bytes, geometry);
        if transparent {
            alpha::premultiply(&mut bytes);
        }
        let mut made = pass(&pass(&bytes, 1, 0), 0, 1);
        if transparent {
            alpha::unpremultiply(&mut made);
        }
        made
    }

    #[test]
    fn kernels_are_whole_and_fall_outwards() {
        for radius in 1..=MAX_RADIUS {
            let weights = kernel(radius);
            let outer: u32 = weights[1..].iter().map(|&weight| u32::from(weight)).sum();
            assert_eq!(u32::from(weights[0]) + 2 * outer, ONE);
            assert!(weights[1..].is_sorted_by(|inner, outer| inner >= outer), "radius {radius}");
            assert!(weights[0].abs_diff(weights[1]) < 60_000 && *weights.last().unwrap() > 0);
        }
    }

    #[test]
    fn a_flat_picture_stays_and_a_point_spreads() {
        let geometry = Geometry::new(Pixels::Gray8, 9, 9).unwrap();
        let mut flat = [77; 81];
        blur(&mut flat, geometry, 40).unwrap();
        assert_eq!(flat, [77; 81]);

        let mut point = [0; 81];
        point[40] = 255;
        blur(&mut point, geometry, 2).unwrap();
        assert_eq!(point[36..45], [0, 0, 6, 25, 41, 25, 6, 0, 0]);
        blur(&mut point, geometry, 0).unwrap();
        assert_eq!(point[40], 41);
    }

    #[test]
    fn what_is_transparent_does_not_bleed() {
        let geometry = Geometry::new(Pixels::Rgba8, 2, 1).unwrap();
        let mut bytes = [255, 0, 0, 255, 0, 255, 0, 0];
        blur(&mut bytes, geometry, 1).unwrap();
        assert_eq!(bytes[..3], [255, 0, 0]);
        assert!(bytes[3] < 255 && bytes[7] > 0);
    }

    proptest! {
        #[test]
        fn in_place_is_the_same_as_naive(
            width in 1..40_u32, height in 1..40_u32, radius in 0..50_u32,
            rgba in any::<bool>(), opaque in any::<bool>(), seed in any::<u64>(),
        ) {
            let geometry = Geometry::new(if rgba { Pixels::Rgba8 } else { Pixels::Gray8 }, width, height).unwrap();
            let mut state = seed | 1;
            let mut bytes: Vec<u8> = (0..geometry.size_bytes())
                .map(|at| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if opaque && at % 4 == 3 { 255 } else { (state >> 56) as u8 }
                })
                .collect();
            let expected = if radius == 0 { bytes.clone() } else { naive(&bytes, geometry, radius) };
            blur(&mut bytes, geometry, radius).unwrap();
            prop_assert_eq!(bytes, expected);
        }
    }
}
