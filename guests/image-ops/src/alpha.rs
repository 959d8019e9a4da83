//! Transparency. An operation that mixes pixels weighs their colors by their alpha; otherwise colors of transparent
//! pixels, which nobody sees, would show in their neighbours.

use crate::{Geometry, Pixels};

/// Returns whether the colors of a picture must be multiplied by their alpha before they are mixed. They must unless
/// the whole picture is opaque.
pub(crate) fn matters(bytes: &[u8], geometry: Geometry) -> bool {
    geometry.pixels() == Pixels::Rgba8 && !is_opaque(bytes)
}

/// Whether all pixels of an RGBA picture are opaque.
pub(crate) fn is_opaque(bytes: &[u8]) -> bool {
    // In runs, so that the inner loop has no exit and is vectorised.
    bytes.chunks(4096).all(|run| run.as_chunks::<4>().0.iter().fold(255, |all, pixel| all & pixel[3]) == 255)
}

/// Multiplies the colors of an RGBA picture by their alpha.
pub(crate) fn premultiply(bytes: &mut [u8]) {
    for pixel in bytes.as_chunks_mut::<4>().0 {
        let alpha = u32::from(pixel[3]);
        for color in &mut pixel[..3] {
            *color = ((u32::from(*color) * alpha + 127) / 255) as u8;
        }
    }
}

/// Divides the colors of an RGBA picture by their alpha. Wholly transparent pixels become black.
pub(crate) fn unpremultiply(bytes: &mut [u8]) {
    for pixel in bytes.as_chunks_mut::<4>().0 {
        let alpha = u32::from(pixel[3]);
        for color in &mut pixel[..3] {
            let wide = (u32::from(*color) * 255 + alpha / 2).checked_div(alpha);
            *color = wide.unwrap_or(0).min(255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_and_transparent_pixels_come_back() {
        let mut bytes = vec![10, 20, 30, 255, 9, 9, 9, 0, 200, 100, 0, 128];
        assert!(!is_opaque(&bytes));
        assert!(is_opaque(&bytes[..4]));
        premultiply(&mut bytes);
        assert_eq!(bytes, [10, 20, 30, 255, 0, 0, 0, 0, 100, 50, 0, 128]);
        unpremultiply(&mut bytes);
        assert_eq!(bytes, [10, 20, 30, 255, 0, 0, 0, 0, 199, 100, 0, 128]);
    }
}
