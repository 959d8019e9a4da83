//! What is done on one core and on several: each case is run by any number of workers, timed, and checked.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mappable::workers::{Parts, Workers};
use mappable::{Frozen, Mappable};

use super::Case;
use super::guests::{Header, Maker, Worker};
use crate::sys::thread_cpu_time;

/// How one run went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// By the clock.
    pub(super) wall: Duration,
    /// The time that all workers' threads computed.
    pub(super) cpu_all: Duration,
    /// The time of the worker that has most to do, if each does its own share. It depends on the work alone, and not on when
    /// threads got a core.
    pub(super) cpu_longest: Duration,
    /// The time of the thread that called, which is not shared out.
    pub(super) cpu_caller: Duration,
}

/// So many workers.
pub(super) fn team(maker: &Maker, count: usize) -> Result<Workers<Worker>> {
    let maker = maker.clone();
    Ok(Workers::new(count, move || maker.worker())?)
}

/// What a case works on, and what must come of it.
pub(super) struct Subject {
    maker: Maker,
    header: Header,
    /// As drawn.
    picture: Vec<u8>,
    /// The blurred picture, as one instance makes it; the file that the pipeline makes of a small one.
    blurred: Vec<u8>,
    file: Vec<u8>,
    small: Header,
    pictures: usize,
    /// What is kept from run to run, so that views are warm.
    region: Option<Mappable>,
    frozen: Frozen,
    output: Option<Mappable>,
}

impl Subject {
    pub(super) fn new(maker: &Maker, (width, height): (u32, u32), pictures: usize) -> Result<Self> {
        let (header, small) = (Header::rgba8(width, height), Header::rgba8(width / 2, height / 2));
        let picture = draw(header);
        let runtime = &maker.runtime;
        let mut worker = maker.worker()?;
        let blurred = worker.blur_whole(runtime.allocate_from(&picture)?, header)?.bytes()?.to_vec();
        let (file, size) = worker.pipeline(runtime.allocate_from(&picture[..small.size as usize])?, small)?;
        let file = file.bytes()?[..size as usize].to_vec();
        ensure!(blurred != picture && file.starts_with(b"\x89PNG"), "the stages did nothing");
        Ok(Self {
            maker: maker.clone(),
            header,
            region: Some(runtime.allocate_from(&picture)?),
            frozen: runtime.allocate_from(&picture)?.freeze()?,
            output: Some(runtime.allocate(header.size)?),
            picture,
            blurred,
            file,
            small,
            pictures,
        })
    }

    /// How many bytes a run works on.
    pub(super) fn bytes(&self, case: Case) -> u64 {
        match case {
            Case::Pixels | Case::Rows => self.header.size,
            Case::Pictures => self.small.size * self.pictures as u64,
        }
    }

    pub(super) fn run(&mut self, case: Case, team: &mut Workers<Worker>) -> Result<Sample> {
        match case {
            Case::Pixels => self.pixels(team),
            Case::Rows => self.rows(team),
            Case::Pictures => self.pictures(team),
        }
    }

    /// One picture inverted in place: each worker owns a part.
    fn pixels(&mut self, team: &mut Workers<Worker>) -> Result<Sample> {
        let (region, header) = (self.region.take().context("a run failed")?, self.header);
        let was_drawn = region.bytes()?[..4] == self.picture[..4];
        let begin = Begun::now()?;
        let (region, cpus) = team.map_parts(region, &Parts::of_rows(4), |worker, part| {
            let bytes = part.bytes();
            timed(|| worker.invert(part.region, header, bytes))
        })?;
        let sample = begin.end(team.count(), cpus)?;
        let is_right =
            |(now, drawn): (&u8, (usize, &u8))| *now == if was_drawn && drawn.0 % 4 != 3 { !drawn.1 } else { *drawn.1 };
        let bytes = region.bytes()?;
        let right =
            bytes.len() == self.picture.len() && bytes.iter().zip(self.picture.iter().enumerate()).all(is_right);
        ensure!(right, "the picture was not inverted");
        self.region = Some(region);
        Ok(sample)
    }

    /// One picture blurred into another: all workers read the first, each owns a part of the second.
    fn rows(&mut self, team: &mut Workers<Worker>) -> Result<Sample> {
        let (mut output, header, frozen) = (self.output.take().context("a run failed")?, self.header, &self.frozen);
        output.bytes_mut()?.fill(0);
        let begin = Begun::now()?;
        let rows = Parts::of_rows(header.size / u64::from(header.height));
        let (output, cpus) = team.map_parts(output, &rows, |worker, part| {
            let (offset, rows) = (part.bytes().start, part.rows.clone());
            timed(|| worker.blur(frozen.clone(), header, part.region, offset, rows))
        })?;
        let sample = begin.end(team.count(), cpus)?;
        ensure!(output.bytes()? == self.blurred, "the picture is not blurred as by one instance");
        self.output = Some(output);
        Ok(sample)
    }

    /// Many pictures, each through the demo's whole pipeline on one worker.
    fn pictures(&mut self, team: &mut Workers<Worker>) -> Result<Sample> {
        let (runtime, small) = (&self.maker.runtime, self.small);
        let picture = &self.picture[..small.size as usize];
        let begin = Begun::now()?;
        let made = team.map(vec![(); self.pictures], |worker, _, ()| {
            timed(|| worker.pipeline(runtime.allocate_from(picture)?, small))
        })?;
        let (files, cpus): (Vec<_>, _) = made.into_iter().unzip();
        let sample = begin.end(team.count(), cpus)?;
        for (file, size) in files {
            ensure!(file.bytes()?[..size as usize] == self.file, "a file is not as one instance makes it");
        }
        Ok(sample)
    }
}

/// Does this, and says how long its thread ran.
fn timed<R>(work: impl FnOnce() -> wasmtime::Result<R>) -> wasmtime::Result<(R, Duration)> {
    let begin = thread_cpu_time()?;
    let made = work()?;
    Ok((made, thread_cpu_time()?.saturating_sub(begin)))
}

/// A run that has begun.
struct Begun {
    wall: Instant,
    cpu: Duration,
}

impl Begun {
    fn now() -> Result<Self> {
        Ok(Self { cpu: thread_cpu_time()?, wall: Instant::now() })
    }

    /// With how long each item took, in order: neighbours are one worker's.
    fn end(self, workers: usize, cpus: Vec<Duration>) -> Result<Sample> {
        let (wall, cpu_caller) = (self.wall.elapsed(), thread_cpu_time()?.saturating_sub(self.cpu));
        let mut of_each = vec![Duration::ZERO; workers];
        let items = cpus.len().max(1);
        cpus.into_iter().enumerate().for_each(|(at, cpu)| of_each[at * workers / items].add_assign(cpu));
        let cpu_longest = of_each.iter().max().copied().unwrap_or_default();
        Ok(Sample { wall, cpu_all: of_each.iter().sum(), cpu_longest, cpu_caller })
    }
}

/// A picture with something in it everywhere, opaque.
fn draw(header: Header) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut picture = vec![0; header.size as usize];
    for (at, pixel) in picture.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let (x, y) = (at as u32 % header.width, at as u32 / header.width);
        let grain = random.u8(..16);
        *pixel = [(x / 8) as u8 ^ grain, (y / 4) as u8, (x + y) as u8, 255];
    }
    picture
}
