//! Encodes pixels as PNG, straight into the buffer of the file.

use std::io::{self, Write};

use crate::{Error, Geometry, Pixels};

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Hundreds of megabytes a second.
    Fast,
    /// zlib's usual effort, ten times slower.
    Default,
    /// The smallest files, slower still.
    Best,
}

/// The largest size of a chunk of compressed data.
const CHUNK_BYTES: usize = 1 << 16;

/// Returns an upper bound of the file's size in bytes, for every level.
pub fn bound_bytes(geometry: Geometry) -> u64 {
    let raw = raw_bytes(geometry);
    // The fast level's fixed code has at most 12 bits a byte; the other levels fall back to storing. Each chunk adds
    // 12 bytes to at most `CHUNK_BYTES`. Headers and the end of the file come on top.
    let compressed = raw + raw / 2 + 1024;
    compressed + compressed.div_ceil(CHUNK_BYTES as u64) * 12 + 256
}

/// The rows of pixels, each behind the byte that names its filter.
fn raw_bytes(geometry: Geometry) -> u64 {
    (geometry.size_bytes() + geometry.height()) as u64
}

/// Writes a PNG file to the front of `file`, and returns its size in bytes.
///
/// # Errors
///
/// The file does not fit into `file`. It always fits if `file` is as long as [`bound_bytes`] says.
///
/// # Panics
///
/// If `picture` has another length than `geometry` says.
pub fn encode(picture: &[u8], geometry: Geometry, level: Level, file: &mut [u8]) -> Result<usize, Error> {
    assert_eq!(picture.len(), geometry.size_bytes());
    let compression = match level {
        Level::Fast => png::Compression::Fastest,
        Level::Default => png::Compression::Balanced,
        Level::Best => png::Compression::High,
    };
    let size = encode_with(picture, geometry, compression, file)?;
    // The fast level makes incompressible data longer.
    if size as u64 > raw_bytes(geometry) + raw_bytes(geometry) / 1000 + 1024 {
        return encode_with(picture, geometry, png::Compression::NoCompression, file);
    }
    Ok(size)
}

fn encode_with(
    picture: &[u8],
    geometry: Geometry,
    compression: png::Compression,
    file: &mut [u8],
) -> Result<usize, Error> {
    let space_bytes = file.len() as u64;
    let no_space = |_| Error::NoSpace { space_bytes };
    let mut sink = Sink { file, size: 0 };
    let mut encoder = png::Encoder::new(&mut sink, geometry.width() as u32, geometry.height() as u32);
    encoder.set_color(match geometry.pixels() {
        Pixels::Gray8 => png::ColorType::Grayscale,
        Pixels::Rgba8 => png::ColorType::Rgba,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(compression);
    let mut writer = encoder.write_header().map_err(no_space)?;
    let mut stream = writer.stream_writer_with_size(CHUNK_BYTES).map_err(no_space)?;
    stream.write_all(picture).map_err(|_| Error::NoSpace { space_bytes })?;
    stream.finish().map_err(no_space)?;
    writer.finish().map_err(no_space)?;
    Ok(sink.size)
}

/// A writer into a slice, from its front. Writing past the end is an error.
struct Sink<'a> {
    file: &'a mut [u8],
    /// The number of bytes written so far.
    size: usize,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.file[self.size..].get_mut(..bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        room.copy_from_slice(bytes);
        self.size += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
