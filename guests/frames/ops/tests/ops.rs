//! What the stages do, on small frames.

use frame_ops::{Size, exposure, histogram, letterbox, overlay, threshold};

const SIZE: Size = Size { width: 128, height: 100 };

fn frame(of: u8) -> Vec<u8> {
    vec![of; SIZE.bytes()]
}

#[test]
fn exposure_brightens_up_to_white() {
    let mut bytes = [0, 1, 2, 100, 170, 171, 255];
    exposure(&mut bytes, SIZE);
    assert_eq!(bytes, [0, 1, 3, 150, 255, 255, 255]);
}

#[test]
fn threshold_blackens_the_dark() {
    let mut bytes = [0, 71, 72, 255];
    threshold(&mut bytes, SIZE);
    assert_eq!(bytes, [0, 0, 72, 255]);
}

#[test]
fn letterbox_has_bars_and_legal_values() {
    let mut bytes = frame(250);
    letterbox(&mut bytes, SIZE);
    let rows: Vec<_> = bytes.chunks(SIZE.width).collect();
    // 128 pixels wide: 53 rows are shown, of 100.
    assert!(rows[..23].iter().chain(&rows[76..]).all(|row| row.iter().all(|byte| *byte == 16)));
    assert!(rows[23..76].iter().all(|row| row.iter().all(|byte| *byte == 235)));
}

#[test]
fn overlay_writes_the_word_again_and_again() {
    let mut bytes = frame(100);
    overlay(&mut bytes, SIZE);
    let first: String = bytes.iter().take(16).map(|byte| if *byte == 140 { '#' } else { ' ' }).collect();
    // The uppermost row of an M and an A.
    assert_eq!(first, "##   ##   ##    ");
    let row = SIZE.width;
    assert_eq!(bytes[..row / 2], bytes[row / 2..row]);
    assert_eq!(bytes[..row], bytes[8 * row..9 * row]);
}

#[test]
fn histogram_counts_every_byte_and_draws_bars() {
    let mut bytes = frame(0);
    let half = bytes.len() / 2;
    bytes[..half].fill(250);
    histogram(&mut bytes, SIZE);
    let last = &bytes[bytes.len() - SIZE.width..];
    let bright: Vec<_> = (0..SIZE.width).filter(|x| last[*x] == 235).collect();
    // Two of eight bars, two pixels wide each.
    assert_eq!(bright, [2, 3, 30, 31]);
}

#[test]
fn frames_that_are_too_small_for_bars_have_none() {
    for (width, height) in [(1, 1), (63, 9), (3, 200)] {
        let size = Size { width, height };
        let mut bytes = vec![1; size.bytes()];
        for work in [exposure, threshold, letterbox, overlay, histogram] {
            work(&mut bytes, size);
        }
    }
}
