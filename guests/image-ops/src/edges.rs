//! Edges by Sobel's operator, in place.

use crate::grayscale::grayscale;
use crate::sharpen::{columns, sweep};
use crate::{Error, Geometry};

/// Replaces a picture by its edges, as [`Gray8`](crate::Pixels::Gray8) at the front of its own bytes. Returns the new
/// geometry.
///
/// Each pixel is the length of the luminance's gradient by Sobel's operator, 255 at most. Beyond the picture's edge,
/// the edge pixels are repeated.
///
/// # Errors
///
/// There is no memory for three rows.
///
/// # Panics
///
/// If `bytes` is shorter than the geometry says.
pub fn edges(bytes: &mut [u8], geometry: Geometry) -> Result<Geometry, Error> {
    let gray = grayscale(bytes, geometry);
    sweep(&mut bytes[..gray.size_bytes()], gray, |[above, middle, below], row| {
        let length = row.len();
        let [a0, a1, a2] = columns(above, 1, length);
        let [m0, _, m2] = columns(middle, 1, length);
        let [b0, b1, b2] = columns(below, 1, length);
        for at in 0..length {
            let sum = |one: u8, two: u8, three: u8| i16::from(one) + 2 * i16::from(two) + i16::from(three);
            let across = i32::from(sum(a2[at], m2[at], b2[at]) - sum(a0[at], m0[at], b0[at]));
            let down = i32::from(sum(b0[at], b1[at], b2[at]) - sum(a0[at], a1[at], a2[at]));
            // Below 2^22: exact in 24 bits.
            let square = (across * across + down * down) as f32;
            row[at] = square.sqrt().min(255.0) as u8;
        }
    })?;
    Ok(gray)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Pixels;

    #[test]
    fn flat_is_black_and_a_step_is_seen() {
        let geometry = Geometry::new(Pixels::Gray8, 4, 2).unwrap();
        let mut bytes = [50; 8];
        edges(&mut bytes, geometry).unwrap();
        assert_eq!(bytes, [0; 8]);
        let mut bytes = [10, 10, 30, 30, 10, 10, 30, 30];
        edges(&mut bytes, geometry).unwrap();
        assert_eq!(bytes, [0, 80, 80, 0, 0, 80, 80, 0]);
    }

    proptest! {
        #[test]
        fn in_place_is_the_same_as_naive(
            width in 1..30_u32, height in 1..30_u32, rgba in any::<bool>(),
            seed in prop::collection::vec(any::<u8>(), 3600),
        ) {
            let geometry = Geometry::new(if rgba { Pixels::Rgba8 } else { Pixels::Gray8 }, width, height).unwrap();
            let mut bytes = seed[..geometry.size_bytes()].to_vec();
            let mut gray = bytes.clone();
            grayscale(&mut gray, geometry);
            let get = |x: i64, y: i64| {
                let x = x.clamp(0, i64::from(width) - 1);
                let y = y.clamp(0, i64::from(height) - 1);
                f64::from(gray[(y * i64::from(width) + x) as usize])
            };
            let mut expected = Vec::new();
            for y in 0..i64::from(height) {
                for x in 0..i64::from(width) {
                    let column = |x: i64| get(x, y - 1) + 2.0 * get(x, y) + get(x, y + 1);
                    let row = |y: i64| get(x - 1, y) + 2.0 * get(x, y) + get(x + 1, y);
                    let (across, down) = (column(x + 1) - column(x - 1), row(y + 1) - row(y - 1));
                    expected.push((across * across + down * down).sqrt().min(255.0) as u8);
                }
            }
            let made = edges(&mut bytes, geometry).unwrap();
            prop_assert_eq!(&bytes[..made.size_bytes()], &expected[..]);
        }
    }
}
