//! Decodes a PNG or JPEG file into a new picture. No arguments.

use image_ops::arguments;
use image_ops::decode::Decoder;
use stage_kit::{Buffer, Pictured, Stage};

struct Decode;

impl Stage for Decode {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        picture.expect_file()?;
        arguments::none(arguments).map_err(|error| error.to_string())?;
        let decoder = Decoder::new(picture.bytes()).map_err(|error| error.to_string())?;
        let geometry = decoder.geometry();
        let mut made = Pictured::pixels(B::allocate(geometry.size_bytes() as u64)?, geometry);
        decoder.decode_into(made.bytes()).map_err(|error| error.to_string())?;
        Ok(made)
    }
}

stage_kit::stage!(Decode);
