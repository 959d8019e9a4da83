//! Random programs over a stream between two guests, compared with a model of what is whose (R52, R54, R55, R57).

use std::collections::VecDeque;

use super::ends::*;
use crate::support::*;

const PROGRAMS: u64 = 12;
const STEPS: usize = 80;

/// A region: the handle that its owner has, and its bytes.
type Region = (u32, u8);

/// Who has what.
#[derive(Default)]
struct Model {
    /// The writer's, and those of them that its write in progress names, in order.
    free: Vec<Region>,
    named: VecDeque<Region>,
    /// How many the write in progress has handed over.
    written: Option<u32>,
    /// The reader's.
    got: Vec<Region>,
    /// How many the read in progress got, and has room for still.
    read: Option<(u32, u32)>,
}

struct Program {
    scene: Scene,
    writer: Guest,
    reader: Guest,
    ends: (u32, u32),
    model: Model,
    random: u64,
}

impl Program {
    fn new(setup: Setup, seed: u64) -> Self {
        let mut scene = Scene::new(setup, "(own $mappable)");
        let (writer, reader) = (scene.guest(), scene.guest());
        let ends = scene.stream(&writer, &reader);
        let random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { scene, writer, reader, ends, model: Model::default(), random }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) as usize % end
    }

    /// The reader has so many more, from that number of its read on.
    fn came(&mut self, regions: Vec<Region>, from: u32) {
        for ((_, byte), number) in regions.into_iter().zip(from..) {
            let handle = self.scene.element(&self.reader, number);
            self.model.got.push((handle, byte));
        }
    }

    fn write(&mut self) {
        let count = self.below(4).min(self.model.free.len());
        if self.model.written.is_some() || count == 0 {
            return;
        }
        let mut named: VecDeque<_> = self.model.free.drain(..count).collect();
        let mut handles: Vec<_> = named.iter().map(|region| region.0).collect();
        let returned = self.scene.write(&self.writer, self.ends.0, &mut handles).unwrap();
        named.iter_mut().zip(handles).for_each(|(region, handle)| region.0 = handle);
        match self.model.read {
            Some((got, room)) if room > 0 => {
                let moved = room.min(count as u32);
                assert_eq!(returned, completed(moved));
                let regions = named.drain(..moved as usize).collect();
                self.came(regions, got);
                self.model.read = Some((got + moved, room - moved));
                self.model.free.extend(named);
            }
            _ => {
                assert_eq!(returned, BLOCKED);
                (self.model.named, self.model.written) = (named, Some(0));
            }
        }
    }

    fn read(&mut self) {
        if self.model.read.is_some() {
            return;
        }
        let room = 1 + self.below(3) as u32;
        let returned = self.scene.read(&self.reader, self.ends.1, room).unwrap();
        let moved = room.min(self.model.named.len() as u32);
        if moved == 0 {
            assert_eq!(returned, BLOCKED);
            self.model.read = Some((0, room));
            return;
        }
        assert_eq!(returned, completed(moved));
        let regions = self.model.named.drain(..moved as usize).collect();
        self.came(regions, 0);
        self.model.written = self.model.written.map(|before| before + moved);
    }

    fn cancel_write(&mut self) {
        if let Some(written) = self.model.written.take() {
            let returned = self.scene.does(&self.writer, "stream-cancel-write", self.ends.0).unwrap();
            assert_eq!(returned, cancelled(written));
            self.model.free.extend(self.model.named.drain(..));
        }
    }

    fn cancel_read(&mut self) {
        if let Some((got, _)) = self.model.read.take() {
            let returned = self.scene.does(&self.reader, "stream-cancel-read", self.ends.1).unwrap();
            assert_eq!(returned, cancelled(got));
        }
    }

    fn step(&mut self) {
        match self.below(8) {
            0 | 1 if self.model.free.len() < 6 => {
                let byte = self.below(256) as u8;
                let handle = self.scene.region(&self.writer, byte);
                self.model.free.push((handle, byte));
            }
            0..=2 => self.write(),
            3 | 4 => self.read(),
            5 => self.cancel_write(),
            6 => self.cancel_read(),
            _ => {
                if let Some((handle, byte)) = self.model.got.pop() {
                    self.scene.expect(&self.reader, handle, byte);
                }
            }
        }
        let held = self.model.free.len() + self.model.named.len() + self.model.got.len();
        self.scene.expect_held(held);
    }

    /// Closes both ends, in either order, and looks at what each guest has.
    fn finish(mut self) {
        self.cancel_read();
        let reader_first = self.below(2) == 0;
        if reader_first {
            self.scene.close(&self.reader, "stream-drop-readable", self.ends.1).unwrap();
            if self.model.written.take().is_some() {
                self.scene.does(&self.writer, "stream-cancel-write", self.ends.0).unwrap();
                self.model.free.extend(self.model.named.drain(..));
            }
        }
        self.cancel_write();
        self.scene.close(&self.writer, "stream-drop-writable", self.ends.0).unwrap();
        if !reader_first {
            assert_eq!(self.scene.read(&self.reader, self.ends.1, 1).unwrap(), dropped(0));
            self.scene.close(&self.reader, "stream-drop-readable", self.ends.1).unwrap();
        }
        for (handle, byte) in std::mem::take(&mut self.model.free) {
            self.scene.expect(&self.writer, handle, byte);
        }
        for (handle, byte) in std::mem::take(&mut self.model.got) {
            self.scene.expect(&self.reader, handle, byte);
        }
        self.scene.expect_held(0);
    }
}

on_every_setup! {
    fn each_element_is_one_guests_whatever_the_two_do(setup) {
        for seed in 0..PROGRAMS {
            let mut program = Program::new(setup, seed);
            for _ in 0..STEPS {
                program.step();
            }
            program.finish();
        }
    }
}
