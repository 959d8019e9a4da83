//! Color to luminance, in place.

use crate::{Geometry, Pixels};

/// How many pixels are worked on at once. All are read before any is written, so that working in place is safe.
const BLOCK: usize = 32;

/// Converts a picture to [`Gray8`](Pixels::Gray8) at the front of its own bytes, and returns its new geometry.
///
/// Luminance is that of Rec. 601. Transparent pixels are shown over white.
///
/// # Panics
///
/// If `bytes` is shorter than the geometry says.
pub fn grayscale(bytes: &mut [u8], geometry: Geometry) -> Geometry {
    if geometry.pixels() == Pixels::Rgba8 {
        let count = geometry.width() * geometry.height();
        let blocks = count / BLOCK;
        for block in 0..blocks {
            let mut pixels = [0; 4 * BLOCK];
            pixels.copy_from_slice(&bytes[4 * BLOCK * block..][..4 * BLOCK]);
            let mut gray = [0; BLOCK];
            for (gray, pixel) in gray.iter_mut().zip(pixels.as_chunks::<4>().0) {
                *gray = over_white(*pixel);
            }
            bytes[BLOCK * block..][..BLOCK].copy_from_slice(&gray);
        }
        for index in blocks * BLOCK..count {
            let pixel = &bytes[4 * index..][..4];
            bytes[index] = over_white([pixel[0], pixel[1], pixel[2], pixel[3]]);
        }
    }
    geometry.with_pixels(Pixels::Gray8)
}

/// Returns the luminance of a pixel over white. The weights are multiples of 1/256. The result is exact for opaque
/// gray, black and white.
fn over_white([red, green, blue, alpha]: [u8; 4]) -> u8 {
    let luminance = (77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue) + 128) >> 8;
    let alpha = u32::from(alpha);
    let sum = luminance * alpha + 255 * (255 - alpha) + 127;
    // Division by 255, exact below 65,536.
    ((sum + 1 + (sum >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(over_white([255, 255, 255, 255]), 255);
        assert_eq!(over_white([0, 0, 0, 255]), 0);
        assert_eq!(over_white([255, 0, 0, 255]), 77);
        assert_eq!(over_white([0, 255, 0, 255]), 149);
        assert_eq!(over_white([0, 0, 255, 255]), 29);
        assert_eq!(over_white([1, 2, 3, 0]), 255);
        for gray in 0..=255 {
            assert_eq!(over_white([gray, gray, gray, 255]), gray);
        }
    }

    proptest! {
        #[test]
        fn in_place_is_pixel_by_pixel(bytes in prop::collection::vec(any::<u8>(), 4..2000), alpha in any::<bool>()) {
            let mut bytes = bytes;
            bytes.truncate(bytes.len() / 4 * 4);
            if !alpha {
                bytes.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 255);
            }
            let width = bytes.len() / 4;
            let expected: Vec<u8> = bytes
                .chunks(4)
                .map(|p| {
                    let luminance = (77 * u32::from(p[0]) + 150 * u32::from(p[1]) + 29 * u32::from(p[2]) + 128) / 256;
                    ((luminance * u32::from(p[3]) + 255 * (255 - u32::from(p[3])) + 127) / 255) as u8
                })
                .collect();
            let geometry = Geometry::new(Pixels::Rgba8, width as u32, 1).unwrap();
            let gray = grayscale(&mut bytes, geometry);
            prop_assert_eq!(gray, geometry.with_pixels(Pixels::Gray8));
            prop_assert_eq!(&bytes[..width], &expected[..]);
        }
    }
}
