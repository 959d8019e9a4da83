//! Sharpening, in place, with copies of three rows. Adds to each pixel its difference from the blurred picture.

use crate::geometry::scratch;
use crate::{Error, Geometry};

/// How much to sharpen. 0 does nothing, 1 is clearly visible, 10 is the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(
    /// In 1/256.
    i32,
);

impl Amount {
    /// Returns `None` if the amount is not from 0 to 10.
    pub fn new(amount: f32) -> Option<Amount> {
        (0.0..=10.0).contains(&amount).then(|| Amount((amount * 256.0).round() as i32))
    }
}

/// Sharpens a picture in place: `pixel + amount * (pixel - blurred)`, blurred by the kernel 1 2 1 each way.
///
/// Beyond the edge, the edge pixels are repeated. Alpha stays as it is.
///
/// # Errors
///
/// There is no memory for three rows.
///
/// # Panics
///
/// If `bytes` has another length than the geometry says.
pub fn sharpen(bytes: &mut [u8], geometry: Geometry, amount: Amount) -> Result<(), Error> {
    assert_eq!(bytes.len(), geometry.size_bytes());
    let channels = geometry.channels();
    sweep(bytes, geometry, |[above, middle, below], row| {
        let length = row.len();
        let ([a0, a1, a2], [m0, m1, m2], [b0, b1, b2]) =
            (columns(above, channels, length), columns(middle, channels, length), columns(below, channels, length));
        for at in 0..length {
            // 16 bits are enough up to `over`, and twice as many of them go into a vector.
            let sum = |left: u8, middle: u8, right: u8| i16::from(left) + 2 * i16::from(middle) + i16::from(right);
            let blurred = sum(a0[at], a1[at], a2[at]) + 2 * sum(m0[at], m1[at], m2[at]) + sum(b0[at], b1[at], b2[at]);
            let over = 16 * i16::from(m1[at]) - blurred;
            let sharp = i32::from(m1[at]) + ((amount.0 * i32::from(over) + 2048) >> 12);
            row[at] = sharp.clamp(0, 255) as u8;
        }
        if channels == 4 {
            for (pixel, old) in row.chunks_exact_mut(4).zip(m1.chunks_exact(4)) {
                pixel[3] = old[3];
            }
        }
    })
}

/// For each of the `length` bytes of a row that has one more pixel on each side: the byte to its left, itself, and the
/// byte to its right.
pub(crate) fn columns(padded: &[u8], channels: usize, length: usize) -> [&[u8]; 3] {
    [0, channels, 2 * channels].map(|start| &padded[start..][..length])
}

/// Calls `each` for every row, with the row to write and with the old bytes of three rows: the one above, the row
/// itself, and the one below. The old rows have one more pixel on each side. Beyond the edge, the edge pixels are
/// repeated.
pub(crate) fn sweep(
    bytes: &mut [u8],
    geometry: Geometry,
    mut each: impl FnMut([&[u8]; 3], &mut [u8]),
) -> Result<(), Error> {
    let (stride, height, channels) = (geometry.stride(), geometry.height(), geometry.channels());
    let padded = stride + 2 * channels;
    let keep = |kept: &mut [u8], row: &[u8]| {
        kept[..channels].copy_from_slice(&row[..channels]);
        kept[channels..][..stride].copy_from_slice(row);
        kept[channels + stride..].copy_from_slice(&row[stride - channels..]);
    };
    let (mut above, mut middle, mut below) = (scratch::<u8>(padded)?, scratch::<u8>(padded)?, scratch::<u8>(padded)?);
    keep(&mut middle, &bytes[..stride]);
    above.copy_from_slice(&middle);
    for y in 0..height {
        let next = (y + 1).min(height - 1);
        if next > y {
            keep(&mut below, &bytes[next * stride..][..stride]);
        } else {
            below.copy_from_slice(&middle);
        }
        each([&above, &middle, &below], &mut bytes[y * stride..][..stride]);
        core::mem::swap(&mut above, &mut middle);
        core::mem::swap(&mut middle, &mut below);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Pixels;

    fn naive(bytes: &[u8], geometry: Geometry, amount: Amount) -> Vec<u8> {
        let (width, height, channels) = (geometry.width() as i64, geometry.height() as i64, geometry.channels());
        let mut made = bytes.to_vec();
        for y in 0..height {
            for x in 0..width {
                for channel in 0..channels.min(3) {
                    let get = |x: i64, y: i64| {
                        let at = y.clamp(0, height - 1) * width + x.clamp(0, width - 1);
                        i32::from(bytes[at as usize * channels + channel])
                    };
                    let mut blurred = 0;
                    for (dy, weight_y) in [(-1, 1), (0, 2), (1, 1)] {
                        for (dx, weight_x) in [(-1, 1), (0, 2), (1, 1)] {
                            blurred += weight_x * weight_y * get(x + dx, y + dy);
                        }
                    }
                    let sharp = get(x, y) + ((amount.0 * (16 * get(x, y) - blurred) + 2048) >> 12);
                    made[(y * width + x) as usize * channels + channel] = sharp.clamp(0, 255) as u8;
                }
            }
        }
        made
    }

    #[test]
    fn amounts_have_limits() {
        assert_eq!(Amount::new(1.0), Some(Amount(256)));
        assert_eq!(Amount::new(10.0), Some(Amount(2560)));
        assert_eq!(Amount::new(-0.1), None);
        assert_eq!(Amount::new(f32::NAN), None);
    }

    #[test]
    fn a_step_gets_steeper() {
        let geometry = Geometry::new(Pixels::Gray8, 4, 1).unwrap();
        let mut bytes = [100, 100, 140, 140];
        sharpen(&mut bytes, geometry, Amount::new(1.0).unwrap()).unwrap();
        assert_eq!(bytes, [100, 90, 150, 140]);
    }

    proptest! {
        #[test]
        fn in_place_is_the_same_as_naive(
            width in 1..30_u32, height in 1..30_u32, rgba in any::<bool>(), amount in 0..2560_i32,
            seed in prop::collection::vec(any::<u8>(), 3600),
        ) {
            let geometry = Geometry::new(if rgba { Pixels::Rgba8 } else { Pixels::Gray8 }, width, height).unwrap();
            let mut bytes = seed[..geometry.size_bytes()].to_vec();
            let expected = naive(&bytes, geometry, Amount(amount));
            sharpen(&mut bytes, geometry, Amount(amount)).unwrap();
            prop_assert_eq!(bytes, expected);
        }
    }
}
