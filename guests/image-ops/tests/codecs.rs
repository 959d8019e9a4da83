//! Decoding and encoding: what goes in comes out, and what is broken is an error.

use image_ops::decode::Decoder;
use image_ops::encode::{Level, bound_bytes, encode};
use image_ops::{Error, Geometry, Pixels};
use proptest::prelude::*;

fn decode(file: &[u8]) -> Result<(Geometry, Vec<u8>), Error> {
    let decoder = Decoder::new(file)?;
    let geometry = decoder.geometry();
    let mut picture = vec![0; geometry.size_bytes()];
    decoder.decode_into(&mut picture)?;
    Ok((geometry, picture))
}

fn encoded(picture: &[u8], geometry: Geometry, level: Level) -> Vec<u8> {
    let mut file = vec![0; bound_bytes(geometry) as usize];
    let size = encode(picture, geometry, level, &mut file).unwrap();
    file.truncate(size);
    file
}

/// A PNG of any kind, by the `png` crate.
fn png(
    color: png::ColorType,
    depth: png::BitDepth,
    sides: (u32, u32),
    data: &[u8],
    more: impl FnOnce(&mut png::Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, sides.0, sides.1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    more(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    file
}

fn jpeg(color: jpeg_encoder::ColorType, sides: (u16, u16), data: &[u8], progressive: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.set_progressive(progressive);
    encoder.encode(data, sides.0, sides.1, color).unwrap();
    file
}

#[test]
fn every_kind_of_png() {
    use png::{BitDepth, ColorType};
    let rgb = png(ColorType::Rgb, BitDepth::Eight, (2, 1), &[1, 2, 3, 4, 5, 6], |_| ());
    assert_eq!(decode(&rgb).unwrap().1, [1, 2, 3, 255, 4, 5, 6, 255]);

    let deep = png(ColorType::Rgb, BitDepth::Sixteen, (1, 1), &[9, 0, 8, 0, 7, 0], |_| ());
    assert_eq!(decode(&deep).unwrap().1, [9, 8, 7, 255]);

    let gray = png(ColorType::Grayscale, BitDepth::Eight, (3, 1), &[0, 100, 255], |_| ());
    assert_eq!(decode(&gray).unwrap(), (Geometry::new(Pixels::Gray8, 3, 1).unwrap(), vec![0, 100, 255]));

    let bits = png(ColorType::Grayscale, BitDepth::One, (3, 1), &[0b1010_0000], |_| ());
    assert_eq!(decode(&bits).unwrap().1, [255, 0, 255]);

    let gray_alpha = png(ColorType::GrayscaleAlpha, BitDepth::Eight, (3, 1), &[10, 11, 20, 21, 30, 31], |_| ());
    assert_eq!(decode(&gray_alpha).unwrap().1, [10, 10, 10, 11, 20, 20, 20, 21, 30, 30, 30, 31]);

    let keyed = png(ColorType::Grayscale, BitDepth::Eight, (2, 1), &[7, 8], |encoder| encoder.set_trns(vec![0, 8]));
    assert_eq!(decode(&keyed).unwrap().1, [7, 7, 7, 255, 8, 8, 8, 0]);

    let palette = png(ColorType::Indexed, BitDepth::Eight, (2, 1), &[1, 0], |encoder| {
        encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
        encoder.set_trns(vec![128]);
    });
    assert_eq!(decode(&palette).unwrap().1, [4, 5, 6, 255, 1, 2, 3, 128]);
}

#[test]
fn jpeg_in_color_and_gray() {
    for progressive in [false, true] {
        let file = jpeg(jpeg_encoder::ColorType::Rgb, (33, 17), &[200, 60, 30].repeat(33 * 17), progressive);
        let (geometry, picture) = decode(&file).unwrap();
        assert_eq!(geometry, Geometry::new(Pixels::Rgba8, 33, 17).unwrap());
        for pixel in picture.chunks(4) {
            assert!(pixel[0].abs_diff(200) < 4 && pixel[1].abs_diff(60) < 4 && pixel[2].abs_diff(30) < 4);
            assert_eq!(pixel[3], 255);
        }
        let file = jpeg(jpeg_encoder::ColorType::Luma, (33, 17), &[99; 33 * 17], progressive);
        let (geometry, picture) = decode(&file).unwrap();
        assert_eq!(geometry.pixels(), Pixels::Gray8);
        assert!(picture.iter().all(|gray| gray.abs_diff(99) < 3));
    }
}

/// Each file of `data` beside a PNG, which is what ImageMagick 6.9 made of it.
#[test]
fn what_people_have_is_what_imagemagick_makes_of_it() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for name in ["cmyk", "rgb_adobe", "exif6", "noeoi"] {
        let read = |extension| decode(&std::fs::read(data.join(name).with_extension(extension)).unwrap()).unwrap();
        let ((geometry, picture), (expected_geometry, expected)) = (read("jpg"), read("png"));
        assert_eq!(geometry, expected_geometry, "{name}");
        let far = picture.iter().zip(&expected).filter(|(is, expected)| is.abs_diff(**expected) > 1).count();
        assert_eq!(far, 0, "{name}: bytes that are further away than 1");
    }
}

/// The colors of a JPEG are those of its Adobe segment, or else of its JFIF segment and its components' names.
#[test]
fn jpeg_in_each_color_space() {
    use jpeg_encoder::ColorType;
    let is_near = |file: &[u8], expected: [u8; 3]| {
        let (geometry, picture) = decode(file).unwrap();
        assert_eq!(geometry, Geometry::new(Pixels::Rgba8, 21, 19).unwrap());
        let near = |pixel: &[u8]| pixel[3] == 255 && (0..3).all(|at| pixel[at].abs_diff(expected[at]) < 4);
        assert!(picture.chunks(4).all(near), "{expected:?} is {:?}", &picture[..4]);
    };
    for progressive in [false, true] {
        for inks in [ColorType::Cmyk, ColorType::CmykAsYcck] {
            // Red: no cyan. The encoder writes how much of an ink there is, inverted, as Adobe does.
            let file = jpeg(inks, (21, 19), &[0, 255, 255, 0].repeat(21 * 19), progressive);
            is_near(&file, [255, 0, 0]);
            let file = jpeg(inks, (21, 19), &[55, 105, 155, 51].repeat(21 * 19), progressive);
            is_near(&file, [160, 120, 80]);
            // Inks are not transformed when nothing says that they are.
            if inks == ColorType::Cmyk {
                is_near(&replaced(&file, b"Adobe", b"Other"), [160, 120, 80]);
            }
        }
        // Components that are not transformed, and read as YCbCr first: the decoder gives them as they are.
        let plain = jpeg(ColorType::Ycbcr, (21, 19), &[90, 140, 150].repeat(21 * 19), progressive);
        is_near(&plain, [121, 70, 111]);
        let unmarked = replaced(&plain, b"JFIF", b"NONE");
        is_near(&unmarked, [121, 70, 111]);
        let adobe = |transform| with_segment(&unmarked, 0xee, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat());
        is_near(&adobe(0), [90, 140, 150]);
        is_near(&adobe(1), [121, 70, 111]);
        is_near(&adobe(2), [121, 70, 111]);
        is_near(&adobe(7), [121, 70, 111]);
        is_near(&with_names(&unmarked, *b"RGB"), [90, 140, 150]);
        is_near(&with_names(&plain, *b"RGB"), [121, 70, 111]);
    }
}

/// `file` with the first `from` made `to`.
fn replaced(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = file.windows(from.len()).position(|bytes| bytes == from).unwrap();
    [&file[..at], to, &file[at + from.len()..]].concat()
}

/// A JPEG with one more segment in front.
fn with_segment(file: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&file[..2], &[0xff, marker], &length, content, &file[2..]].concat()
}

/// A JPEG of three components, named otherwise.
fn with_names(file: &[u8], names: [u8; 3]) -> Vec<u8> {
    let mut file = file.to_vec();
    let mut old = [0; 3];
    let mut at = 2;
    while file[at + 1] != 0xd9 {
        let length = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        match file[at + 1] {
            // In the frame, a name in three bytes.
            0xc0..=0xc2 => {
                for (index, name) in names.into_iter().enumerate() {
                    old[index] = std::mem::replace(&mut file[at + 10 + 3 * index], name);
                }
            }
            // In a scan, a name in two.
            0xda => {
                for entry in 0..usize::from(file[at + 4]) {
                    let name = &mut file[at + 5 + 2 * entry];
                    *name = names[old.iter().position(|old| old == name).unwrap()];
                }
            }
            _ => {}
        }
        at += 2 + length;
        // A scan's data goes on to the next marker.
        while file[at] != 0xff || matches!(file[at + 1], 0 | 0xd0..=0xd7) {
            at += 1;
        }
    }
    file
}

/// A picture whose Exif block says how it lies comes upright.
#[test]
fn each_orientation_is_upright() {
    let (width, height) = (70_u32, 41_u32);
    let gray: Vec<u8> =
        (0..height).flat_map(|y| (0..width).map(move |x| (3 * x + 40 * (y % 2) + y / 2) as u8)).collect();
    for (orientation, little) in (0..=9_u16).flat_map(|orientation| [(orientation, false), (orientation, true)]) {
        let (short, long) = if little {
            (u16::to_le_bytes as fn(u16) -> [u8; 2], u32::to_le_bytes as fn(u32) -> [u8; 4])
        } else {
            (u16::to_be_bytes as fn(u16) -> [u8; 2], u32::to_be_bytes as fn(u32) -> [u8; 4])
        };
        let mut exif: Vec<u8> = if little { b"II" } else { b"MM" }.to_vec();
        exif.extend(short(42).into_iter().chain(long(8)));
        // Another tag first, as a camera writes.
        exif.extend(short(2).into_iter().chain([short(0x0100), short(3)].concat()).chain(long(1)).chain([0; 4]));
        exif.extend(
            [short(0x0112), short(3)].concat().into_iter().chain(long(1)).chain(short(orientation)).chain([0; 6]),
        );
        // Where a pixel that is shown is stored.
        let stored = |x: u32, y: u32| match orientation {
            2 => (width - 1 - x, y),
            3 => (width - 1 - x, height - 1 - y),
            4 => (x, height - 1 - y),
            5 => (y, x),
            6 => (y, height - 1 - x),
            7 => (width - 1 - y, height - 1 - x),
            8 => (width - 1 - y, x),
            _ => (x, y),
        };
        let (w, h) = if (5..=8).contains(&orientation) { (height, width) } else { (width, height) };
        let is_upright = |file: &[u8], pixels, off_by| {
            let (geometry, picture) = decode(file).unwrap();
            assert_eq!(geometry, Geometry::new(pixels, w, h).unwrap(), "{orientation}");
            for (at, pixel) in picture.chunks(geometry.channels()).enumerate() {
                let (x, y) = stored(at as u32 % w, at as u32 / w);
                let expected = gray[(y * width + x) as usize];
                assert!(pixel[0].abs_diff(expected) <= off_by, "{orientation}: {at} is {} of {expected}", pixel[0]);
            }
        };
        let rgb: Vec<u8> = gray.iter().flat_map(|&gray| [gray; 3]).collect();
        let sides = (width as u16, height as u16);
        let of_jpeg = |color, data: &[u8]| {
            with_segment(&jpeg(color, sides, data, false), 0xe1, &[b"Exif\0\0", &exif[..]].concat())
        };
        is_upright(&of_jpeg(jpeg_encoder::ColorType::Luma, &gray), Pixels::Gray8, 20);
        is_upright(&of_jpeg(jpeg_encoder::ColorType::Rgb, &rgb), Pixels::Rgba8, 20);
        let of_png = png(png::ColorType::Rgb, png::BitDepth::Eight, (width, height), &rgb, |_| ());
        let mut chunk = [b"eXIf", &exif[..]].concat();
        chunk.extend(crc(&chunk).to_be_bytes());
        let file = [&of_png[..33], &(exif.len() as u32).to_be_bytes(), &chunk, &of_png[33..]].concat();
        is_upright(&file, Pixels::Rgba8, 0);
    }
}

/// Cut anywhere, a file is an error, and of the right kind; or nothing was cut but what ends it.
#[test]
fn truncated_files_are_errors() {
    let noise: Vec<u8> = (0..40 * 30 * 3_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let rgba: Vec<u8> = noise.chunks(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
    let file = encoded(&rgba, Geometry::new(Pixels::Rgba8, 40, 30).unwrap(), Level::Default);
    for cut in 8..file.len() - 12 {
        let error = decode(&file[..cut]).unwrap_err();
        assert_eq!(error, Error::Truncated { format: "PNG" }, "cut at {cut} of {}", file.len());
    }
    assert_eq!(decode(&file[..4]).unwrap_err(), Error::Truncated { format: "PNG" });
    for progressive in [false, true] {
        let file = jpeg(jpeg_encoder::ColorType::Rgb, (40, 30), &noise, progressive);
        for cut in 3..file.len() - 2 {
            let made = decode(&file[..cut]).map(|_| "a picture");
            assert_eq!(made, Err(Error::Truncated { format: "JPEG" }), "cut at {cut} of {}", file.len());
        }
        for cut in file.len() - 2..file.len() {
            assert_eq!(decode(&file[..cut]), decode(&file), "cut at {cut} of {}", file.len());
        }
    }
}

#[test]
fn what_is_no_picture_is_an_error() {
    assert_eq!(decode(b"").unwrap_err(), Error::UnknownFormat);
    assert_eq!(decode(b"GIF89a").unwrap_err(), Error::UnknownFormat);
    assert_eq!(decode(b"\xff\xd8\xff\xe0 and no more\xff\xd9").unwrap_err().to_string().lines().count(), 1);
}

#[test]
fn a_bomb_is_refused_before_it_takes_memory() {
    let mut file = png(png::ColorType::Grayscale, png::BitDepth::Eight, (1, 1), &[0], |_| ());
    // The sides are in the header, whose checksum is made anew.
    file[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let checksum = crc(&file[12..29]);
    file[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(decode(&file).unwrap_err(), Error::TooLarge { width: 65_536, height: 65_536 });
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn noise_fits_the_bound_and_is_stored() {
    let geometry = Geometry::new(Pixels::Rgba8, 256, 256).unwrap();
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..geometry.size_bytes())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    for level in [Level::Fast, Level::Default, Level::Best] {
        let file = encoded(&noise, geometry, level);
        assert!(file.len() < noise.len() + noise.len() / 100 + 2048, "{level:?}: {}", file.len());
        assert_eq!(decode(&file).unwrap().1, noise);
    }
    let mut small = vec![0; 1000];
    let error = encode(&noise, geometry, Level::Fast, &mut small).unwrap_err();
    assert_eq!(error, Error::NoSpace { space_bytes: 1000 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn png_comes_back(
        width in 1..50_u32, height in 1..20_u32, rgba in any::<bool>(), coarse in 1..255_u8,
        seed in prop::collection::vec(any::<u8>(), 4000),
        level in prop_oneof![Just(Level::Fast), Just(Level::Default), Just(Level::Best)],
    ) {
        let geometry = Geometry::new(if rgba { Pixels::Rgba8 } else { Pixels::Gray8 }, width, height).unwrap();
        let picture: Vec<u8> = seed[..geometry.size_bytes()].iter().map(|byte| byte / coarse * coarse).collect();
        let file = encoded(&picture, geometry, level);
        prop_assert!(file.len() as u64 <= bound_bytes(geometry));
        prop_assert_eq!(decode(&file).unwrap(), (geometry, picture));
    }

    /// Any change of a byte gives a picture or an error, and no panic.
    #[test]
    fn broken_files_do_not_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), as_jpeg in any::<bool>()) {
        let mut file = if as_jpeg {
            jpeg(jpeg_encoder::ColorType::Rgb, (20, 20), &[200, 60, 30].repeat(400), false)
        } else {
            png(png::ColorType::Rgb, png::BitDepth::Eight, (20, 20), &[200, 60, 30].repeat(400), |_| ())
        };
        let at = at.index(file.len());
        file[at] = byte;
        if let Err(error) = decode(&file) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
