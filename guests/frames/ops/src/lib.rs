//! What the stages of the frame pipeline do with pixels, as functions over slices.
//!
//! A frame has a byte a pixel, its luminance. Each function goes over it once. The loops are written so that the compiler
//! makes vector instructions of them.

/// The size of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
}

impl Size {
    /// The size of a frame in bytes.
    pub fn bytes(self) -> usize {
        self.width * self.height
    }
}

/// Half as much light again, up to white.
pub fn exposure(frame: &mut [u8], _: Size) {
    for byte in frame {
        *byte = byte.saturating_add(*byte >> 1);
    }
}

/// Darker than this becomes black.
const THRESHOLD: u8 = 72;

/// Takes the noise out of the dark: pixels below a threshold become 0.
pub fn threshold(frame: &mut [u8], _: Size) {
    for byte in frame {
        *byte = if *byte < THRESHOLD { 0 } else { *byte };
    }
}

/// The least and the greatest luminance in a broadcast.
const LEGAL: (u8, u8) = (16, 235);

/// Black bars above and below a picture of 2.39:1, and what is between them in the range of broadcasts.
pub fn letterbox(frame: &mut [u8], size: Size) {
    let shown = (size.width * 100 / 239).min(size.height);
    let above = (size.height - shown) / 2 * size.width;
    let (top, rest) = frame.split_at_mut(above);
    let (picture, bottom) = rest.split_at_mut(shown * size.width);
    for bar in [top, bottom] {
        bar.fill(LEGAL.0);
    }
    for byte in picture {
        *byte = (*byte).clamp(LEGAL.0, LEGAL.1);
    }
}

/// A word of eight letters, a bit a pixel, the leftmost in the lowest bit.
const WORD: [u64; 8] = word();

/// Pixels across.
const TILE: usize = 64;

/// How much brighter the word makes a pixel.
const INK: u8 = 40;

const fn word() -> [u64; 8] {
    const M: [u8; 8] = [0x63, 0x77, 0x7f, 0x7f, 0x6b, 0x63, 0x63, 0];
    const A: [u8; 8] = [0x0c, 0x1e, 0x33, 0x33, 0x3f, 0x33, 0x33, 0];
    const P: [u8; 8] = [0x3f, 0x66, 0x66, 0x3e, 0x06, 0x06, 0x0f, 0];
    const B: [u8; 8] = [0x3f, 0x66, 0x66, 0x3e, 0x66, 0x66, 0x3f, 0];
    const L: [u8; 8] = [0x0f, 0x06, 0x06, 0x06, 0x46, 0x66, 0x7f, 0];
    const E: [u8; 8] = [0x7f, 0x46, 0x16, 0x1e, 0x16, 0x46, 0x7f, 0];
    const LETTERS: [[u8; 8]; 8] = [M, A, P, P, A, B, L, E];
    let mut rows = [0; 8];
    let mut at = 0;
    while at < 64 {
        rows[at / 8] |= (LETTERS[at % 8][at / 8] as u64) << (at % 8 * 8);
        at += 1;
    }
    rows
}

/// Puts a bitmap over the whole frame: a word, again and again.
pub fn overlay(frame: &mut [u8], size: Size) {
    for (y, row) in frame.chunks_exact_mut(size.width).enumerate() {
        let bits = WORD[y % WORD.len()];
        let ink: [u8; TILE] = core::array::from_fn(|x| if bits >> x & 1 == 1 { INK } else { 0 });
        let (tiles, rest) = row.as_chunks_mut::<TILE>();
        for tile in tiles.iter_mut().map(|tile| &mut tile[..]).chain([rest]) {
            for (byte, ink) in tile.iter_mut().zip(&ink) {
                *byte = byte.saturating_add(*ink);
            }
        }
    }
}

/// Bars of a histogram.
const BARS: usize = 8;

/// Counts the frame's bytes by their upper three bits, and draws that into the lower left corner.
pub fn histogram(frame: &mut [u8], size: Size) {
    let counts = count(frame);
    let [width, height] = [size.width / 64, size.height / 10];
    if width == 0 || height == 0 {
        return;
    }
    let most = counts.into_iter().max().unwrap_or(0).max(1);
    for (bar, count) in counts.into_iter().enumerate() {
        let tall = (count * height as u64 / most) as usize;
        let from = width * (1 + 2 * bar);
        for row in frame.chunks_exact_mut(size.width).rev().take(tall) {
            row[from..from + width].fill(LEGAL.1);
        }
    }
}

/// How many bytes there are of each value of the upper three bits.
///
/// Counts how many are *at least* as great as each bound: a comparison and a subtraction for 16 bytes. A lane counts up to
/// 255 before it is emptied.
fn count(frame: &[u8]) -> [u64; BARS] {
    const LANES: usize = 16;
    let mut at_least = [0_u64; BARS];
    let (blocks, rest) = frame.as_chunks::<LANES>();
    for blocks in blocks.chunks(u8::MAX.into()) {
        let mut lanes = [[0_u8; LANES]; BARS];
        for block in blocks {
            for (bar, lanes) in lanes.iter_mut().enumerate().skip(1) {
                let bound = (bar * 256 / BARS) as u8;
                for (lane, byte) in lanes.iter_mut().zip(block) {
                    *lane += u8::from(*byte >= bound);
                }
            }
        }
        for (sum, lanes) in at_least.iter_mut().zip(lanes) {
            *sum += lanes.into_iter().map(u64::from).sum::<u64>();
        }
    }
    for byte in rest {
        for (bar, sum) in at_least.iter_mut().enumerate().skip(1) {
            *sum += u64::from(usize::from(*byte) * BARS / 256 >= bar);
        }
    }
    at_least[0] = frame.len() as u64;
    core::array::from_fn(|bar| at_least[bar] - at_least.get(bar + 1).copied().unwrap_or(0))
}
