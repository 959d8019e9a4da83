//! Converts the less common color formats of JPEG to RGBA, in place.

/// Converts pixels of three components, which lie in the rear three quarters of `picture`, to RGBA in all of it.
pub(super) fn spread_three(picture: &mut [u8], convert: fn([u8; 3]) -> [u8; 3]) {
    let count = picture.len() / 4;
    for pixel in 0..count {
        // Nothing that is still to be read has been overwritten: 4 * (pixel + 1) <= count + 3 * (pixel + 1).
        let [a, b, c] = [0, 1, 2].map(|component| picture[count + 3 * pixel + component]);
        let [red, green, blue] = convert([a, b, c]);
        picture[4 * pixel..][..4].copy_from_slice(&[red, green, blue, 255]);
    }
}

/// Converts four inks to RGBA. Files of four components store how much of each ink is *missing*, as Adobe's first ones
/// did.
pub(super) fn print_inks(picture: &mut [u8]) {
    for pixel in picture.as_chunks_mut::<4>().0 {
        let [cyan, magenta, yellow, black] = *pixel;
        *pixel = [times(cyan, black), times(magenta, black), times(yellow, black), 255];
    }
}

/// Converts inks to RGBA, where the first three are stored as luminance and color differences.
pub(super) fn print_transformed_inks(picture: &mut [u8]) {
    for pixel in picture.as_chunks_mut::<4>().0 {
        let [y, cb, cr, black] = *pixel;
        let [cyan, magenta, yellow] = rgb_of_ycbcr([y, cb, cr]).map(|ink| 255 - ink);
        *pixel = [times(cyan, black), times(magenta, black), times(yellow, black), 255];
    }
}

/// JFIF's colors, in fixed point.
pub(super) fn rgb_of_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// Returns the product of two fractions of 255, rounded.
fn times(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}
