//! The ways in which two parties can pass bytes back and forth, each ready to be timed.

mod calls;
mod guests;
mod mediated;
mod pipeline;

use std::hint::black_box;

use anyhow::{Result, ensure};
use mappable::{GRANULE, MappingMode};

pub(super) use calls::{of_a_component, of_the_host};
pub(super) use guests::Guests;
pub(super) use mediated::Among;
use mediated::Mediated;

use super::tier::Tier;

/// Two parties that pass bytes back and forth; each writes one cache line when it has them.
pub(super) trait Method {
    /// Does `rounds` rounds, and returns how much of what is measured has been done, rightly, since it was made.
    fn run(&mut self, rounds: u32) -> Result<u64>;
}

/// Components hand a region over, of `bytes` bytes, or of one granule if that is more.
pub(super) fn regions(tier: Tier, mapping: MappingMode, concurrency: bool, bytes: u64) -> Result<Box<dyn Method>> {
    let size = bytes.next_multiple_of(GRANULE);
    Guests::mappable(&regions_text(size), tier, mapping, concurrency, size)
}

/// The host hands a region of one granule to a pipeline of so many stages, each of which maps it, and has it back.
pub(super) fn pipeline(tier: Tier, mapping: MappingMode, concurrency: bool, stages: u32) -> Result<Box<dyn Method>> {
    Ok(Box::new(pipeline::Pipeline::new(tier, mapping, concurrency, stages)?))
}

pub(super) fn regions_text(size: u64) -> String {
    of_size(&with_visitor(include_str!("regions.wat")), size)
}

/// The host hands a region to one component, and then to the other, of `bytes` bytes, or of one granule if that is
/// more.
pub(super) fn mediated(among: Among, concurrency: bool, bytes: u64) -> Result<Box<dyn Method>> {
    let size = bytes.next_multiple_of(GRANULE);
    let text = of_size(&with_visitor(include_str!("open.wat")), size);
    Ok(Box::new(Mediated::new(&text, among, concurrency, size)?))
}

fn with_visitor(text: &str) -> String {
    text.replace("VISITOR", include_str!("visitor.wat"))
}

/// Components pass a `list<u8>`, on an engine as it comes.
pub(super) fn lists(concurrency: bool, bytes: u64) -> Result<Box<dyn Method>> {
    Guests::stock(&lists_text(bytes), concurrency)
}

pub(super) fn lists_text(bytes: u64) -> String {
    of_size(include_str!("lists.wat"), bytes)
}

/// Components that know of nothing but lists pass one of `element`s, as an `argument` or as a `result`: on an engine as
/// it comes, or in a tier of ours.
pub(super) fn elements(tier: Option<Tier>, concurrency: bool, list: List) -> Result<Box<dyn Method>> {
    let List { element, element_size, direction, bytes } = list;
    let text = include_str!("elements.wat").replace("ELEMENT", element).replace("DIRECTION", direction);
    let text = text.replace("LEN", &(bytes / element_size).to_string()).replace("BYTES", &bytes.to_string());
    let text = of_size(&text, bytes);
    match tier {
        Some(tier) => Guests::mappable(&text, tier, MappingMode::Auto, concurrency, 0),
        None => Guests::stock(&text, concurrency),
    }
}

/// What [`elements`] passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    /// In WIT.
    pub(super) element: &'static str,
    pub(super) element_size: u64,
    /// `argument` or `result`.
    pub(super) direction: &'static str,
    pub(super) bytes: u64,
}

/// The most that a stream passes at once.
pub(super) const MAX_STREAMED: u64 = (1 << 28) - 1;

/// Components pass bytes by a stream, on an engine as it comes. It needs concurrency support.
pub(super) fn streams(bytes: u64) -> Result<Box<dyn Method>> {
    Guests::stock(&of_size(include_str!("streams.wat"), bytes), true)
}

/// Components pass an owned resource of a third, and map nothing, on an engine as it comes.
pub(super) fn handles(concurrency: bool) -> Result<Box<dyn Method>> {
    Guests::stock(include_str!("handles.wat"), concurrency)
}

/// Core modules have one memory between them, on an engine as it comes.
pub(super) fn shared_memory(concurrency: bool, bytes: u64) -> Result<Box<dyn Method>> {
    Guests::stock(&of_size(include_str!("shared.wat"), bytes), concurrency)
}

/// A memory that can be mapped into grows by nothing.
pub(super) fn grow(concurrency: bool, bytes: u64) -> Result<Box<dyn Method>> {
    let text = of_size(include_str!("grow.wat"), bytes);
    Guests::mappable(&text, Tier::Baseline, MappingMode::Auto, concurrency, 0)
}

/// The host copies between two buffers.
pub(super) struct Memcpy {
    buffers: [Vec<u8>; 2],
}

impl Memcpy {
    pub(super) fn new(bytes: u64) -> Result<Self> {
        let len = usize::try_from(bytes)?;
        Ok(Self { buffers: [vec![0; len], vec![0; len]] })
    }
}

impl Method for Memcpy {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let [first, second] = &mut self.buffers;
        for _ in 0..rounds {
            write_line(first);
            black_box(&mut *second).copy_from_slice(black_box(first));
            write_line(second);
            black_box(&mut *first).copy_from_slice(black_box(second));
        }
        same_line(first)
    }
}

fn write_line(bytes: &mut [u8]) {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    let next = (u64::from_le_bytes(word) + 1).to_le_bytes();
    bytes[..64].chunks_exact_mut(8).for_each(|slot| slot.copy_from_slice(&next));
}

/// What the words of the first cache line all hold.
fn same_line(bytes: &[u8]) -> Result<u64> {
    let (words, _) = bytes[..64].as_chunks::<8>();
    ensure!(words.iter().all(|word| *word == words[0]), "the words of a line differ: {words:?}");
    Ok(u64::from_le_bytes(words[0]))
}

/// A component's text for what it passes, and memories that have room for it: components keep what they pass from the
/// second granule of their memories on.
fn of_size(text: &str, bytes: u64) -> String {
    let pages = (GRANULE + bytes).div_ceil(GRANULE);
    text.replace("SIZE", &bytes.to_string()).replace("PAGES", &pages.to_string())
}
