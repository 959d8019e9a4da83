//! A stage that draws the histogram of a picture's luminance: 256 pixels wide, and 100 high unless its argument says otherwise.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "histogram",
        generate_all,
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
    });

    use super::Histogram;
    export!(Histogram);
}

use bindings::exports::mappable::stage::step::{Guest, Header};
use bindings::mappable::stage::format::Pixels;
use mappable_guest::{Handle, Mappable};

struct Histogram;

impl Guest for Histogram {
    fn run(region: Handle, header: Header, args: Vec<String>) -> Result<(Handle, Header), String> {
        let height = height(&args)?;
        let counts = count(Mappable::from(region), &header)?;
        let header = Header { pixels: Pixels::Gray8, width: 256, height: height as u32, size: 256 * height as u64 };
        let drawing = Mappable::allocate(header.size).map_err(|error| error.to_string())?;
        let mut rows = drawing.map().map_err(|error| error.to_string())?;
        draw(&counts, height, &mut rows);
        Ok((rows.unmap().into(), header))
    }
}

/// What an argument of `./histogram.wasm:200` says.
fn height(args: &[String]) -> Result<usize, String> {
    let height = match args {
        [] => Some(100),
        [height] => height.parse().ok().filter(|height| (1..=4096).contains(height)),
        _ => None,
    };
    height.ok_or_else(|| "its argument is the height, 1 to 4096".into())
}

/// How many pixels have each luminance. The region is freed: it is not what the stage returns.
fn count(region: Mappable, header: &Header) -> Result<[u64; 256], String> {
    let picture = region.map().map_err(|error| error.to_string())?;
    let bytes = &picture[..header.size as usize];
    let mut counts = [0; 256];
    match header.pixels {
        Pixels::Encoded => return Err("this stage works on pixels, and the picture is a file: decode it first".into()),
        Pixels::Gray8 => bytes.iter().for_each(|&gray| counts[gray as usize] += 1),
        Pixels::Rgba8 => {
            for pixel in bytes.chunks_exact(4) {
                let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(usize::from);
                counts[(77 * red + 150 * green + 29 * blue) >> 8] += 1;
            }
        }
    }
    Ok(counts)
}

/// Draws black bars on white. The highest is as high as the drawing.
fn draw(counts: &[u64; 256], height: usize, rows: &mut [u8]) {
    let most = counts.iter().copied().max().unwrap_or_default().max(1);
    for (row, pixels) in rows.chunks_exact_mut(256).enumerate() {
        let above = (height - row) as u64;
        for (pixel, count) in pixels.iter_mut().zip(counts) {
            *pixel = if count * height as u64 >= above * most { 0 } else { 255 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_there_are_pixels() {
        let region = Mappable::allocate_from(&[7, 7, 7, 7, 9, 9]).unwrap();
        let header = Header { pixels: Pixels::Gray8, width: 3, height: 2, size: 6 };
        let (region, header) = Histogram::run(region.into(), header, vec!["4".into()]).unwrap();
        assert_eq!((header.width, header.height, header.size), (256, 4, 1024));
        let rows = Mappable::from(region).map().unwrap();
        let column = |x: usize| [0, 1, 2, 3].map(|row| rows[256 * row + x]);
        assert_eq!(column(7), [0, 0, 0, 0]);
        assert_eq!(column(9), [255, 255, 0, 0]);
        assert_eq!(column(8), [255; 4]);
    }
}
