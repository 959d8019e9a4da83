//! A test picture: a gradient, shapes with hard edges, text-like fine lines, and noise. The same each time.

/// Draws `width` times `height` pixels of four bytes.
pub(in crate::demo) fn draw(to: &mut [u8], width: u32, height: u32) {
    let (w, h) = (width.max(1) as i32, height.max(1) as i32);
    let (pixels, _) = to.as_chunks_mut::<4>();
    let mut noise = fastrand::Rng::with_seed(1);
    for (y, row) in (0..h).zip(pixels.chunks_mut(w as usize)) {
        for (x, pixel) in (0..w).zip(row) {
            let grain = noise.i32(-8..8);
            let color = shape(x, y, w, h).unwrap_or_else(|| sky(x, y, w, h));
            let [red, green, blue] = color.map(|channel| (channel + grain).clamp(0, 255) as u8);
            *pixel = [red, green, blue, 255];
        }
    }
}

/// A gradient across and down.
fn sky(x: i32, y: i32, w: i32, h: i32) -> [i32; 3] {
    let across = |from: i32, to: i32| from + (to - from) * x / w;
    [across(30, 220), 60 + 120 * y / h, across(200, 90)]
}

/// What is drawn over the gradient, from front to back.
fn shape(x: i32, y: i32, w: i32, h: i32) -> Option<[i32; 3]> {
    let unit = h.min(w).max(16);
    let inside = |cx: i32, cy: i32, radius: i32| {
        let (dx, dy) = (i64::from(x - cx), i64::from(y - cy));
        dx * dx + dy * dy < i64::from(radius) * i64::from(radius)
    };
    if inside(w / 4, h / 3, unit / 6) {
        return Some([250, 210, 60]);
    }
    let ring = (w * 5 / 8, h / 2);
    if inside(ring.0, ring.1, unit / 4) && !inside(ring.0, ring.1, unit / 5) {
        return Some([240, 240, 240]);
    }
    // A checkerboard.
    let (left, top, side) = (w * 4 / 5, h / 8, unit / 4);
    if (left..left + side).contains(&x) && (top..top + side).contains(&y) {
        let cell = (unit / 32).max(1);
        let dark = ((x - left) / cell + (y - top) / cell) % 2 == 0;
        return Some(if dark { [20, 20, 30] } else { [230, 230, 220] });
    }
    // Fine lines that grow closer.
    if y > h * 4 / 5 && y < h * 9 / 10 {
        let pitch = 2 + 30 * x / w;
        return Some(if x % pitch < pitch / 2 { [15, 40, 25] } else { [150, 220, 160] });
    }
    // Hills.
    let wave = |period: f32, swing: f32| ((x as f32 / w as f32 * period).sin() * swing * h as f32) as i32;
    (y > h * 2 / 3 + wave(9.0, 0.05) + wave(23.0, 0.02)).then_some([40, 90, 50])
}
