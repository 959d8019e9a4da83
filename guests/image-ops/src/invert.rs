//! The negative, in place.

use crate::Pixels;

/// Inverts the colors of pixels. Alpha stays as it is.
pub fn invert(bytes: &mut [u8], pixels: Pixels) {
    match pixels {
        Pixels::Gray8 => bytes.iter_mut().for_each(|luminance| *luminance = !*luminance),
        Pixels::Rgba8 => {
            for pixel in bytes.as_chunks_mut::<4>().0 {
                *pixel = (u32::from_le_bytes(*pixel) ^ 0x00ff_ffff).to_le_bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_inverted_and_alpha_is_not() {
        let mut bytes = [0, 1, 255, 7, 128, 127, 3, 255];
        invert(&mut bytes, Pixels::Rgba8);
        assert_eq!(bytes, [255, 254, 0, 7, 127, 128, 252, 255]);
        invert(&mut bytes, Pixels::Gray8);
        assert_eq!(bytes, [0, 1, 255, 248, 128, 127, 3, 0]);
    }
}
