//! What goes into the pipeline, and what comes out of it: a film that the camera moves over, and the screen, which looks at
//! each frame.

use std::sync::Arc;
use std::task::Waker;

use crate::demo::picture::draw;

/// How many different frames there are.
pub(super) const PICTURES: usize = 4;
/// How many rows the camera moves from one to the next.
const PAN: usize = 8;

/// Different frames, again and again.
pub(super) struct Film {
    /// A picture that is taller than a frame.
    pixels: Vec<u8>,
    width: usize,
    frame_bytes: usize,
}

impl Film {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let rows = height as usize + PAN * (PICTURES - 1);
        let width_bytes = width as usize;
        let mut colors = vec![0; 4 * width_bytes * rows];
        draw::draw(&mut colors, width, rows as u32);
        let luminance = |[red, green, blue, _]: &[u8; 4]| {
            ((u32::from(*red) * 77 + u32::from(*green) * 150 + u32::from(*blue) * 29) >> 8) as u8
        };
        let pixels = colors.as_chunks().0.iter().map(luminance).collect();
        Self { pixels, width: width_bytes, frame_bytes: width_bytes * height as usize }
    }

    pub(super) fn frame(&self, number: usize) -> &[u8] {
        let from = number % PICTURES * PAN * self.width;
        &self.pixels[from..from + self.frame_bytes]
    }

    pub(super) fn frame_bytes(&self) -> usize {
        self.frame_bytes
    }
}

/// How the screen looks at frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// At each byte.
    Whole,
    /// At a cache line of each page or so: takes next to no time.
    Spots,
}

/// The distance of spots, and their size, in bytes.
const SPOTS: (usize, usize) = (64 << 10, 64);

/// Where frames come out.
pub(super) struct Screen {
    film: Arc<Film>,
    /// What the stages make of each picture of the film: what the first pass gave.
    made: Vec<Vec<u8>>,
    /// Whether this pass is the first.
    records: bool,
    /// Whether stages work in this pass. If not, what comes out is what went in.
    work: bool,
    look: Look,
    /// How many frames were seen in this pass, and how many bytes of the next one.
    seen: usize,
    at: usize,
    /// How many frames were not as they should be, in this pass.
    wrong: usize,
    /// Whether a stream has ended, and who wants to know.
    pub(super) ended: bool,
    pub(super) waker: Option<Waker>,
}

impl Screen {
    pub(super) fn new(film: Arc<Film>) -> Self {
        Self {
            film,
            made: vec![],
            records: false,
            work: true,
            look: Look::Whole,
            seen: 0,
            at: 0,
            wrong: 0,
            ended: false,
            waker: None,
        }
    }

    /// Begins a pass, with the first frame of the film.
    pub(super) fn begin(&mut self, work: bool, look: Look) {
        self.records = work && self.made.is_empty();
        (self.work, self.look) = (work, look);
        (self.seen, self.at, self.wrong, self.ended) = (0, 0, 0, false);
    }

    /// Shows the next bytes of a frame, which may be all of them.
    pub(super) fn show(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(self.film.frame_bytes() - self.at));
            self.part(part);
            bytes = rest;
        }
    }

    /// Shows some bytes of one frame.
    fn part(&mut self, bytes: &[u8]) {
        let number = self.seen % PICTURES;
        if self.records && self.seen < PICTURES {
            if self.at == 0 {
                self.made.push(Vec::with_capacity(self.film.frame_bytes()));
            }
            self.made[number].extend_from_slice(bytes);
        }
        let expected = if self.work { &self.made[number] } else { self.film.frame(number) };
        let expected = &expected[self.at..self.at + bytes.len()];
        let right = match self.look {
            Look::Whole => bytes == expected,
            Look::Spots => spots(bytes).eq(spots(expected)),
        };
        self.at += bytes.len();
        self.wrong += usize::from(!right);
        if self.at == self.film.frame_bytes() {
            (self.seen, self.at) = (self.seen + 1, 0);
        }
    }

    /// How many frames of the pass were right, if all were.
    pub(super) fn all_right(&self) -> Option<usize> {
        (self.wrong == 0 && self.at == 0).then_some(self.seen)
    }

    /// No frame follows.
    pub(super) fn end(&mut self) {
        self.ended = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn spots(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(SPOTS.0).map(|chunk| &chunk[..SPOTS.1.min(chunk.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> (Arc<Film>, Screen) {
        let film = Arc::new(Film::new(1024, 200));
        (film.clone(), Screen::new(film))
    }

    #[test]
    fn pictures_differ() {
        let (film, _) = screen();
        for number in 1..PICTURES {
            assert_ne!(film.frame(0), film.frame(number));
        }
        assert_eq!(film.frame(1), film.frame(1 + PICTURES));
    }

    #[test]
    fn a_frame_that_is_not_like_the_first_passes_is_seen() {
        let (film, mut screen) = screen();
        screen.begin(true, Look::Whole);
        (0..PICTURES).for_each(|number| screen.show(film.frame(number)));
        assert_eq!(screen.all_right(), Some(PICTURES));
        let mut bad = film.frame(1).to_vec();
        let last = bad.len() - 1;
        bad[last] ^= 1;
        for (look, right) in [(Look::Whole, None), (Look::Spots, Some(2))] {
            screen.begin(true, look);
            screen.show(film.frame(0));
            screen.show(&bad);
            assert_eq!(screen.all_right(), right, "{look:?}");
        }
        bad[SPOTS.0] ^= 1;
        screen.begin(true, Look::Spots);
        screen.show(film.frame(0));
        screen.show(&bad);
        assert_eq!(screen.all_right(), None);
    }

    #[test]
    fn frames_come_in_parts() {
        let (film, mut screen) = screen();
        let both = [film.frame(0), film.frame(1)].concat();
        screen.begin(false, Look::Whole);
        both.chunks(1000).for_each(|part| screen.show(part));
        assert_eq!(screen.all_right(), Some(2));
        screen.show(&film.frame(2)[..10]);
        assert_eq!(screen.all_right(), None);
    }
}
