//! Edges by Sobel'\''s operator, in place. No arguments.

use image_ops::{arguments, edges::edges};
use stage_kit::{Buffer, Pictured, Stage};

struct Edges;

impl Stage for Edges {
    fn run<B: Buffer>(mut picture: Pictured<B>, arguments: &[String]) -> Result<Pictured<B>, String> {
        let geometry = picture.expect_pixels()?;
        arguments::none(arguments).map_err(|error| error.to_string())?;
        let edges = edges(picture.bytes(), geometry).map_err(|error| error.to_string())?;
        Ok(Pictured::pixels(picture.buffer, edges))
    }
}

stage_kit::stage!(Edges);
