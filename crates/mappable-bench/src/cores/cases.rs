//! What is done on one core and on several: each case is run by any number of workers, timed, and checked.

use std::iter;
use std::ops::{AddAssign, ControlFlow};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mappable::workers::{Parts, Pipeline, Workers};
use mappable::{Frozen, Mappable};

use super::Case;
use super::guests::{Header, Maker, Worker};
use crate::stages::PIPELINE;
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

/// Who works: threads that each do all of a part, or all of a picture; or threads that each do some stages of all pictures.
pub(super) enum Team {
    Workers(Workers<Worker>),
    Pipeline(Pipeline<Item>, usize),
}

/// What goes around in a pipeline.
#[derive(Default)]
pub(super) struct Item {
    number: usize,
    /// A picture, or in the end a file; none before the source has drawn one.
    picture: Option<(Mappable, Header)>,
    /// How long each thread had it: the source's, and the stages'.
    cpus: Vec<Duration>,
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
            Case::Pictures | Case::Pipeline => self.small.size * self.pictures as u64,
        }
    }

    /// So many threads for a case; `None` if there can't be so many.
    pub(super) fn team(&self, case: Case, count: usize) -> Result<Option<Team>> {
        if case != Case::Pipeline {
            let maker = self.maker.clone();
            return Ok(Some(Team::Workers(Workers::new(count, move || maker.worker())?)));
        }
        if count > PIPELINE.len() {
            return Ok(None);
        }
        let (mut pipeline, mut stages) = (Pipeline::new(), &PIPELINE[..]);
        for size in evenly(&self.weights()?, count) {
            let (first, others) = stages.split_at(size);
            stages = others;
            let group = self.maker.group(first)?;
            pipeline = pipeline.stage(
                move || group.step(),
                |step, mut item: Item| {
                    let (picture, header) = item.picture.take().ok_or_else(|| wasmtime::Error::msg("no picture"))?;
                    let (made, cpu) = timed(|| step.run(picture, header))?;
                    item.picture = Some(made);
                    item.cpus.push(cpu);
                    Ok(item)
                },
            );
        }
        Ok(Some(Team::Pipeline(pipeline, count)))
    }

    /// How long each stage of the pipeline takes.
    fn weights(&self) -> Result<Vec<Duration>> {
        let steps = PIPELINE.chunks(1).map(|stage| Ok(self.maker.group(stage)?.step()?));
        let mut steps = steps.collect::<Result<Vec<_>>>()?;
        let mut weights = vec![];
        // The second time memories are there.
        for _ in 0..2 {
            weights.clear();
            let picture = &self.picture[..self.small.size as usize];
            let mut made = (self.maker.runtime.allocate_from(picture)?, self.small);
            for step in &mut steps {
                let (next, cpu) = timed(|| step.run(made.0, made.1))?;
                made = next;
                weights.push(cpu);
            }
        }
        Ok(weights)
    }

    pub(super) fn run(&mut self, case: Case, team: &mut Team) -> Result<Sample> {
        match (case, team) {
            (Case::Pixels, Team::Workers(team)) => self.pixels(team),
            (Case::Rows, Team::Workers(team)) => self.rows(team),
            (Case::Pictures, Team::Workers(team)) => self.pictures(team),
            (_, Team::Pipeline(pipeline, stages)) => self.pipeline(pipeline, *stages),
            (Case::Pipeline, Team::Workers(_)) => anyhow::bail!("a pipeline has no workers"),
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

    /// Many pictures through the demo's pipeline, some stages of it on each thread.
    fn pipeline(&mut self, pipeline: &mut Pipeline<Item>, stages: usize) -> Result<Sample> {
        let (runtime, small) = (&self.maker.runtime, self.small);
        let picture = &self.picture[..small.size as usize];
        let mut numbers = 0..self.pictures;
        let source = |mut item: Item| match numbers.next() {
            Some(number) => {
                let (drawn, cpu) = timed(|| Ok(runtime.allocate_from(picture)?))?;
                item = Item { number, picture: Some((drawn, small)), cpus: vec![cpu] };
                Ok(ControlFlow::Continue(item))
            }
            None => Ok(ControlFlow::Break(item)),
        };
        let mut done = vec![];
        let sink = |mut item: Item| {
            done.push((item.number, item.picture.take(), std::mem::take(&mut item.cpus)));
            Ok(item)
        };
        // Two more than there are stages: one is drawn, and one is looked at.
        let ring = iter::repeat_with(Item::default).take(stages + 2).collect();
        let begin = Begun::now()?;
        pipeline.run(ring, source, sink)?;
        let mut of_each = vec![Duration::ZERO; stages + 1];
        for (_, _, cpus) in &done {
            of_each.iter_mut().zip(cpus).for_each(|(sum, cpu)| *sum += *cpu);
        }
        let sample = begin.end_with(&of_each)?;
        ensure!(done.len() == self.pictures, "{} pictures came out", done.len());
        for (at, (number, file, _)) in done.into_iter().enumerate() {
            ensure!(at == number, "picture {number} came out in place of {at}");
            let (file, header) = file.context("no file came out")?;
            ensure!(file.bytes()?[..header.size as usize] == self.file, "a file is not as one instance makes it");
        }
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

/// How many neighbours of these to put together for so many groups, so that the longest takes least.
fn evenly(weights: &[Duration], groups: usize) -> Vec<usize> {
    // A bit for each place where there is a cut or not: there are few.
    let sizes = |cuts: u32| {
        let bounds = (1..weights.len()).filter(move |at| cuts >> (at - 1) & 1 == 1).chain([weights.len()]);
        bounds.scan(0, |from, end| Some(end - std::mem::replace(from, end))).collect::<Vec<_>>()
    };
    let longest = |sizes: &Vec<usize>| {
        let mut rest = weights.iter();
        sizes.iter().map(|size| rest.by_ref().take(*size).sum::<Duration>()).max()
    };
    let ways = (0..1 << (weights.len() - 1)).filter(|cuts: &u32| cuts.count_ones() as usize + 1 == groups).map(sizes);
    ways.min_by_key(longest).unwrap_or_default()
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
        let mut of_each = vec![Duration::ZERO; workers];
        let items = cpus.len().max(1);
        cpus.into_iter().enumerate().for_each(|(at, cpu)| of_each[at * workers / items].add_assign(cpu));
        self.end_with(&of_each)
    }

    /// With how long each thread took.
    fn end_with(self, of_each: &[Duration]) -> Result<Sample> {
        let (wall, cpu_caller) = (self.wall.elapsed(), thread_cpu_time()?.saturating_sub(self.cpu));
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::evenly;

    #[test]
    fn stages_are_put_together_so_that_the_longest_group_is_short() {
        let weights = [66, 28, 72, 3, 6, 9].map(Duration::from_millis);
        assert_eq!(evenly(&weights, 1), [6]);
        assert_eq!(evenly(&weights, 2), [2, 4]);
        assert_eq!(evenly(&weights, 6), [1; 6]);
        let three = evenly(&weights, 3);
        assert_eq!((three.len(), three.iter().sum::<usize>()), (3, 6));
        assert_eq!(three[..2], [1, 1]);
    }
}
