//! The ways in which two parties can pass bytes back and forth, each ready to be timed.

mod calls;
mod guests;
mod mediated;
mod pipeline;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod sandbox;

use std::hint::black_box;

use anyhow::{Result, ensure};
use mappable::{GRANULE, MappingMode};

pub(super) use calls::{of_a_component, of_the_host};
pub(super) use guests::Guests;
pub(super) use mediated::Among;
use mediated::Mediated;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(super) use sandbox::{Reader, Writer, runtime_for_sandboxes};

use super::tier::Tier;
use crate::driver;

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
    let text = pipeline::text(stages, GRANULE);
    Ok(Box::new(pipeline::Pipeline::new(&text, tier, mapping, concurrency, stages)?))
}

/// The host hands a region of one granule to a component that maps it so many times, and has it back.
pub(super) fn alone(tier: Tier, mapping: MappingMode, concurrency: bool, maps: u32) -> Result<Box<dyn Method>> {
    let text = pipeline::alone(maps, GRANULE);
    Ok(Box::new(pipeline::Pipeline::new(&text, tier, mapping, concurrency, maps)?))
}

/// Components hand a reference to a frozen region on, of `bytes` bytes or of one granule if that is more, and read it.
pub(super) fn frozen(tier: Tier, concurrency: bool, bytes: u64) -> Result<Box<dyn Method>> {
    let size = bytes.next_multiple_of(GRANULE);
    let text = include_str!("frozen.wat").replace("READER", include_str!("reader.wat"));
    Guests::mappable(&of_size(&text, size), tier, MappingMode::Auto, concurrency, size)
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

/// Components that know of nothing but lists pass one, as an `argument` or as a `result`: on an engine as it comes, or in
/// a tier of ours, which may inline calls between core modules.
pub(super) fn elements(tier: Option<Tier>, concurrency: bool, inlining: bool, list: List) -> Result<Box<dyn Method>> {
    let text = list.text();
    match tier {
        Some(tier) if inlining => Guests::inlined(&text, tier, concurrency),
        Some(tier) => Guests::mappable(&text, tier, MappingMode::Auto, concurrency, 0),
        None => Guests::stock(&text, concurrency),
    }
}

/// What [`elements`] passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) element: Element,
    pub(super) within: Within,
    pub(super) direction: Direction,
    /// At least one element, and 1 or at least 4 bytes.
    pub(super) bytes: u64,
}

/// How a list is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    /// To the function that is called
    Argument,
    /// From it
    Result,
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::Argument, Self::Result];
}

/// What a list is of, or which strings are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Element {
    U8,
    U32,
    U64,
    /// A string, UTF-8 in both components
    String,
    /// A string, UTF-16 in both
    #[value(name = "string-utf16")]
    Utf16,
}

impl Element {
    pub(super) fn size(self) -> u64 {
        match self {
            Self::U8 | Self::String => 1,
            Self::Utf16 => 2,
            Self::U32 => 4,
            Self::U64 => 8,
        }
    }

    /// The list's type.
    fn ty(self) -> &'static str {
        match self {
            Self::U8 => "(list u8)",
            Self::U32 => "(list u32)",
            Self::U64 => "(list u64)",
            Self::String | Self::Utf16 => "string",
        }
    }
}

/// What a list is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Within {
    /// The list alone
    Nothing,
    /// A record of a number and the list
    Record,
    /// `option<list>`
    Option,
    /// `result<list, string>`
    Result,
    /// A variant of three cases
    Variant,
}

impl List {
    fn text(self) -> String {
        let List { element, within, direction, bytes } = self;
        let (of, direction) = (element.ty(), driver::name(direction));
        let (value, tag) = match within {
            Within::Nothing => (of.to_owned(), 0),
            Within::Record => (format!(r#"(record (field "number" u32) (field "list" {of}))"#), 7),
            Within::Option => (format!("(option {of})"), 1),
            Within::Result => (format!("(result {of} (error string))"), 0),
            Within::Variant => (format!(r#"(variant (case "none") (case "list" {of}) (case "number" u32))"#), 1),
        };
        let [params, given, sent, found, offset] = match within {
            Within::Nothing => ["", "(i32.const 0)", "", "(i32.const 0)", "16"],
            Within::Record => {
                ["(param $tag i32)", "(local.get $tag)", "(i32.const TAG)", "(i32.load (i32.const 16))", "20"]
            }
            _ => ["(param $tag i32)", "(local.get $tag)", "(i32.const TAG)", "(i32.load8_u (i32.const 16))", "20"],
        };
        let encoding = if element == Element::Utf16 { "string-encoding=utf16" } else { "" };
        let [load, store, mask] = match bytes {
            ..4 => ["i32.load8_u", "i32.store8", "0x7f"],
            _ => ["i32.load", "i32.store", "0x7f7f7f7f"],
        };
        // Words that overlap have the same mark.
        let (mid, end) = (bytes / 2 / 4 * 4, bytes.saturating_sub(4));
        let times = if mid < 4 { 1 } else { 3 };
        let more = if end >= mid + 4 { 7 } else { times };
        let end = if more == times { mid } else { end };
        let mut text = include_str!("elements.wat").to_owned();
        let numbers = [("TIMES", times), ("MORE", more), ("MID", mid), ("END", end), ("TAG", tag)];
        let numbers = numbers.map(|(word, number)| (word, number.to_string()));
        let words = [
            ("VALUE", value.as_str()),
            ("DIRECTION", direction.as_str()),
            ("ENCODING", encoding),
            ("PARAMS", params),
            ("GIVEN", given),
            ("SENT", sent),
            ("FOUND", found),
            ("OFFSET", offset),
            ("LOAD", load),
            ("STORE", store),
            ("MASK", mask),
        ];
        for (word, by) in words.into_iter().chain(numbers.iter().map(|(word, number)| (*word, number.as_str()))) {
            text = text.replace(word, by);
        }
        let text = text.replace("LEN", &(bytes / element.size()).to_string()).replace("BYTES", &bytes.to_string());
        of_size(&text, bytes)
    }
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
