//! The image stages, as they are built for a host with regions, on a host without.

use crate::composition::Composition;
use crate::image::{Header, Pixels};
use crate::stock::Stock;
use crate::{GRANULE, STEP};

/// A stage, as it is built for regions and for lists, with arguments.
struct Stage {
    name: &'static str,
    regions: &'static [u8],
    copying: &'static [u8],
    args: &'static [&'static str],
}

macro_rules! stage {
    ($name:literal $(, $arg:literal)*) => {
        Stage { name: $name, regions: built!($name), copying: built!($name ".copying"), args: &[$($arg),*] }
    };
}

/// All of them, in an order in which each takes what the one before gives.
const STAGES: [Stage; 8] = [
    stage!("encode", "fast"),
    stage!("decode"),
    stage!("blur", "2"),
    stage!("sharpen", "2"),
    stage!("resize", "50%"),
    stage!("grayscale"),
    stage!("edges"),
    stage!("encode"),
];

/// A picture of more than 1 MiB, in all colours.
fn picture() -> (Vec<u8>, Header) {
    let (width, height) = (640, 480);
    let pixels = (0..width * height * 4).map(|at| (at * 7 + at / (width * 4) * 13) as u8).collect();
    (pixels, Header { pixels: Pixels::Rgba8, width, height, size: u64::from(width * height * 4) })
}

#[test]
fn stages_on_a_stock_engine_give_what_their_copying_twins_do() {
    let (mut picture, mut header) = picture();
    for stage in &STAGES {
        let mut composition = Composition::new();
        let step = composition.plug(stage.regions, STEP);
        let mut virtualized = Stock::new(&composition.export(step, STEP));
        let args: Vec<String> = stage.args.iter().map(|&arg| arg.to_owned()).collect();
        let given = virtualized.step(&picture, header, &args);
        let again = virtualized.step(&picture, header, &args);
        let expected = Stock::new(stage.copying).copying_step(&picture, header, stage.args);
        assert!(given == expected, "{}", stage.name);
        assert!(again == expected, "{}, the second time", stage.name);
        assert!(given != (picture, header), "{} did something", stage.name);
        (picture, header) = given;
    }
    assert_eq!((header.pixels, &picture[1..4]), (Pixels::Encoded, &b"PNG"[..]));
}

#[test]
fn stages_that_share_a_portable_instance_hand_regions_to_one_another() {
    let (picture, header) = picture();
    let mut composition = Composition::new();
    let steps: Vec<_> = STAGES.iter().map(|stage| composition.plug(stage.regions, STEP)).collect();
    let all = steps.into_iter().reduce(|first, second| composition.pair(first, second)).unwrap();
    let args = STAGES.map(|stage| stage.args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
    let given = Stock::new(&composition.export(all, STEP)).step(&picture, header, &args.join(&"--".to_owned()));
    let expected = STAGES.iter().fold((picture, header), |(picture, header), stage| {
        Stock::new(stage.copying).copying_step(&picture, header, stage.args)
    });
    assert!(given == expected);
}

#[test]
fn a_guest_freezes_shares_splits_and_joins_what_it_is_given() {
    let bytes: Vec<u8> = (0..3 * GRANULE + 5).map(|at| (at * 7 + at / 300) as u8).collect();
    let header = Header { pixels: Pixels::Encoded, width: 0, height: 0, size: bytes.len() as u64 };
    let mut composition = Composition::new();
    let step = composition.plug(built!("sharing"), STEP);
    let mut stock = Stock::new(&composition.export(step, STEP));
    let given = stock.step(&bytes, header, &[]);
    let (first, rest) = bytes.split_at(GRANULE as usize);
    let added = rest.iter().zip(first.iter().cycle()).map(|(byte, first)| byte.wrapping_add(*first));
    assert!(given == ([first, &added.collect::<Vec<_>>()].concat(), header));
}
