//! What a JPEG file says outside of its pixels, and whether the file is complete.

use super::Orientation;

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;
/// Coefficients of a block.
const COEFFICIENTS: usize = 64;
/// The largest number of components that a picture for people has.
const COMPONENTS: usize = 4;

/// A file's segments, read from its first byte to its end marker.
#[derive(Default)]
pub(super) struct Segments {
    frame: Option<Frame>,
    /// Whether the file says that it is JFIF. The colors are then YCbCr.
    jfif: bool,
    /// The transform that Adobe's segment names.
    adobe_transform: Option<u8>,
    /// Where the names of Adobe's segments begin.
    pub(super) adobe_at: Vec<usize>,
    /// What the Exif segment says.
    pub(super) orientation: Orientation,
    /// Whether the segments lead to an end marker.
    pub(super) ended: bool,
}

/// How the components of a JPEG file make a color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    /// One component: luminance.
    Gray,
    /// Luminance and two differences.
    YCbCr,
    /// Red, green and blue.
    Rgb,
    /// Four inks.
    Cmyk,
    /// Three inks as luminance and two differences, and black.
    Ycck,
}

struct Frame {
    progressive: bool,
    /// The components' names.
    names: Vec<u8>,
    /// The lowest bit to which each coefficient of each component is known, or [`u8::MAX`] if none is.
    known_to_bit: [[u8; COEFFICIENTS]; COMPONENTS],
}

impl Segments {
    /// Reads the segments of `bytes` and the headers of the scans. Stops where the file makes no more sense.
    pub(super) fn read(bytes: &[u8]) -> Segments {
        let mut segments = Segments::default();
        let mut scans = false;
        let mut at = 2;
        while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
            at += found + 1;
            let Some(&marker) = bytes.get(at) else { break };
            match marker {
                END_OF_IMAGE => {
                    segments.ended = true;
                    break;
                }
                // Fill bytes; an escaped byte and restarts, in a scan; markers that stand alone.
                0xff => {}
                0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
                _ => {
                    let Some(&[high, low]) = bytes.get(at + 1..at + 3).and_then(|length| length.first_chunk()) else {
                        break;
                    };
                    let end = at + 1 + usize::from(u16::from_be_bytes([high, low]));
                    let Some(content) = bytes.get(at + 3..end) else { break };
                    if marker == START_OF_SCAN {
                        scans = true;
                        segments.read_scan(content);
                    } else if !scans {
                        segments.read_header(marker, at + 3, content);
                    }
                    // A scan's header is followed by its data, in which the search for a marker goes on.
                    at = end;
                }
            }
        }
        segments
    }

    fn read_header(&mut self, marker: u8, at: usize, content: &[u8]) {
        match (marker, content) {
            (0xc0..=0xc2, [_, _, _, _, _, _, components @ ..]) => {
                let names = components.as_chunks::<3>().0.iter().map(|component| component[0]).collect();
                let known_to_bit = [[u8::MAX; COEFFICIENTS]; COMPONENTS];
                self.frame = Some(Frame { progressive: marker == 0xc2, names, known_to_bit });
            }
            (0xe0, [b'J', b'F', b'I', b'F', 0, ..]) => self.jfif = true,
            (0xe1, [b'E', b'x', b'i', b'f', 0, 0, tiff @ ..]) => self.orientation = Orientation::of_tiff(tiff),
            (0xee, [b'A', b'd', b'o', b'b', b'e', ..]) if content.len() >= 12 => {
                self.adobe_transform = Some(content[11]);
                self.adobe_at.push(at);
            }
            _ => {}
        }
    }

    fn read_scan(&mut self, content: &[u8]) {
        let Some(frame) = &mut self.frame else { return };
        let Some((&count, rest)) = content.split_first() else { return };
        let Some((components, &[first, last, bits])) = rest.split_at_checked(2 * usize::from(count)) else { return };
        for component in components.as_chunks::<2>().0 {
            let index = frame.names.iter().position(|&name| name == component[0]);
            let Some(known) = index.and_then(|index| frame.known_to_bit.get_mut(index)) else { continue };
            if !frame.progressive {
                known.fill(0);
            } else if let Some(known) = known.get_mut(usize::from(first)..=usize::from(last)) {
                known.fill(bits & 0xf);
            }
        }
    }

    /// Returns the number of components of the picture, 0 if there is no frame.
    pub(super) fn components(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.names.len())
    }

    /// Returns whether the scans whose headers are there contain every coefficient to its last bit.
    pub(super) fn scans_are_complete(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| {
            let known = frame.known_to_bit.iter().take(frame.names.len());
            known.flatten().all(|&bit| bit == 0)
        })
    }

    /// Returns the picture's colors by the rules of libjpeg, which all decoders follow. Returns `None` for a number of
    /// components that no color has.
    pub(super) fn colors(&self) -> Option<Colors> {
        let names = self.frame.as_ref().map_or(&[][..], |frame| &frame.names);
        match (names.len(), self.adobe_transform) {
            (1, _) => Some(Colors::Gray),
            (3, _) if self.jfif => Some(Colors::YCbCr),
            (3, Some(0)) => Some(Colors::Rgb),
            (3, None) if names == b"RGB" => Some(Colors::Rgb),
            (3, _) => Some(Colors::YCbCr),
            (4, None | Some(0)) => Some(Colors::Cmyk),
            (4, _) => Some(Colors::Ycck),
            _ => None,
        }
    }

    /// Returns whether the decoder reads Adobe's segment as this module does. The decoder looks at the transform alone,
    /// and so is misled by a transform that does not fit the number of components.
    pub(super) fn adobe_is_plain(&self) -> bool {
        matches!((self.components(), self.adobe_transform), (_, None) | (3, Some(1)))
    }
}
