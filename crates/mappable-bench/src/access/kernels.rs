//! The kernels' inputs, and their results computed natively, for comparison.

use serde::Serialize;

use crate::figures::noise;

/// Side of the largest matrix, so that a run does not take minutes.
const MAX_SIDE: u32 = 512;

/// Bytes in a row of the picture that is blurred.
const WIDTH: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kernel {
    /// Every byte inverted, one at a time
    Invert,
    /// Every byte inverted, 16 at a time
    InvertSimd,
    /// A 64-bit FNV-1a hash of all bytes
    Fnv,
    /// The sum of all 32-bit words
    Sum,
    /// The product of two square matrices of f32, of side 512 at the most
    Matmul,
    /// The mean of each 3 by 3 bytes of a picture
    Blur,
    /// 32-bit words sorted
    Sort,
}

impl Kernel {
    /// How many items it works on in so many bytes, as kernels.wat takes it.
    pub(crate) fn count(self, bytes: u32) -> u32 {
        match self {
            Self::Invert | Self::InvertSimd | Self::Fnv => bytes,
            Self::Sum | Self::Sort => bytes / 4,
            Self::Matmul => (bytes / 12).isqrt().min(MAX_SIDE),
            Self::Blur => bytes / 2 / WIDTH as u32,
        }
    }

    /// What it works on.
    pub(crate) fn input(self, bytes: u32) -> Vec<u8> {
        let words = noise(bytes as usize / 8);
        match self {
            // Numbers from 0 to 1: any bits would be numbers of which the machine may choose one.
            Self::Matmul => words
                .flat_map(|word| [word as u32, (word >> 32) as u32])
                .flat_map(|word| ((word >> 8) as f32 / (1 << 24) as f32).to_le_bytes())
                .collect(),
            _ => words.flat_map(u64::to_le_bytes).collect(),
        }
    }

    /// Works on the bytes, and gives the answer.
    pub(crate) fn natively(self, bytes: &mut [u8]) -> u64 {
        let count = self.count(bytes.len() as u32) as usize;
        match self {
            Self::Invert | Self::InvertSimd => bytes.iter_mut().for_each(|byte| *byte = !*byte),
            Self::Fnv => return fnv(bytes),
            Self::Sum => return words(bytes).map(u64::from).sum(),
            Self::Matmul => matmul(bytes, count),
            Self::Blur => blur(bytes, count),
            Self::Sort => {
                let mut sorted: Vec<_> = words(bytes).collect();
                sorted.sort_unstable();
                put(bytes, sorted.into_iter().map(u32::to_le_bytes));
            }
        }
        0
    }
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word))
}

fn put(bytes: &mut [u8], words: impl Iterator<Item = [u8; 4]>) {
    bytes.as_chunks_mut().0.iter_mut().zip(words).for_each(|(to, word)| *to = word);
}

fn matmul(bytes: &mut [u8], side: usize) {
    let numbers: Vec<_> = words(bytes).map(f32::from_bits).collect();
    let (a, b) = numbers.split_at(side * side);
    let term = |row: usize, column: usize, at: usize| a[row * side + at] * b[at * side + column];
    let sum = |row, column| (0..side).fold(0.0, |sum, at| sum + term(row, column, at));
    let product = (0..side * side).map(|at| sum(at / side, at % side));
    put(&mut bytes[2 * side * side * 4..], product.map(f32::to_le_bytes));
}

fn blur(bytes: &mut [u8], rows: usize) {
    let (from, to) = bytes.split_at_mut(rows * WIDTH);
    for row in 1..rows - 1 {
        for column in 1..WIDTH - 1 {
            let around = |row: usize| &from[row * WIDTH + column - 1..][..3];
            let sum: u32 = [row - 1, row, row + 1].into_iter().flat_map(around).map(|&byte| u32::from(byte)).sum();
            to[row * WIDTH + column] = (sum / 9) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_compute_what_they_are_named_for() {
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8, "the published value");
        let mut sorted = [3_u32, 0xffff_ffff, 1, 2].map(u32::to_le_bytes).concat();
        assert_eq!(Kernel::Sum.natively(&mut sorted), 0xffff_ffff + 6);
        Kernel::Sort.natively(&mut sorted);
        assert_eq!(words(&sorted).collect::<Vec<_>>(), [1, 2, 3, 0xffff_ffff]);
        let mut matrices =
            [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.0, 0.0, 0.0, 0.0].map(f32::to_le_bytes).concat();
        Kernel::Matmul.natively(&mut matrices);
        let product: Vec<_> = words(&matrices[32..]).map(f32::from_bits).collect();
        assert_eq!(product, [19.0, 22.0, 43.0, 50.0]);
        let mut picture = vec![0; 2 * 3 * WIDTH];
        picture[WIDTH + 1] = 90;
        Kernel::Blur.natively(&mut picture);
        assert_eq!(picture[4 * WIDTH..][..4], [0, 10, 10, 0]);
    }
}
