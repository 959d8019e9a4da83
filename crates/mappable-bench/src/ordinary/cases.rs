//! The cases: each is an ordinary component and a way to use it.

use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum as _;
use mappable::GRANULE;

use super::engines::{Host, Kind, Timed};
use super::uses::{Called, Crowd, Fresh, Header, Once, Rounds, Stage, Staying, Worked};
use crate::access::{Kernel, kernels_text};
use crate::driver;
use crate::figures::noise;
use crate::method::Method;
use crate::stages;

/// What is measured together: a figure in the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Group {
    /// Work on bytes of the heap: the kernels of `mappable-bench access`
    Kernels,
    /// Calls of a number, from guest to guest, to the host, and from it
    Calls,
    /// Small allocations, and a stage written in Rust
    Alloc,
    /// A list of bytes, from guest to guest and from the host
    ListU8,
    /// A string, likewise
    String,
    /// An instance that grows, and touches what it has
    Grow,
    /// An instance that does next to nothing, or touches the data that it begins with
    Instantiate,
    /// The compiler, and the rewriter before it
    Compile,
    /// The memory of instances that have worked
    Resident,
}

impl Group {
    pub(super) const ALL: [Self; 9] = [
        Self::Kernels,
        Self::Calls,
        Self::Alloc,
        Self::ListU8,
        Self::String,
        Self::Grow,
        Self::Instantiate,
        Self::Compile,
        Self::Resident,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kernels => "kernels",
            Self::Calls => "calls",
            Self::Alloc => "alloc",
            Self::ListU8 => "list_u8",
            Self::String => "string",
            Self::Grow => "grow",
            Self::Instantiate => "instantiate",
            Self::Compile => "compile",
            Self::Resident => "resident",
        }
    }

    /// Its cases. Kernels and lists are of these sizes.
    pub(super) fn cases(self, sizes: &[u64]) -> Vec<Case> {
        let sized = |case: fn(u32) -> Case| sizes.iter().map(|size| case(*size as u32)).collect::<Vec<_>>();
        match self {
            Self::Kernels => {
                let all = driver::pairs(sizes, Kernel::value_variants());
                all.into_iter().map(|(size, kernel)| Case::Kernel(kernel, size as u32)).collect()
            }
            Self::Calls => vec![Case::Run("run-guest"), Case::Run("run-host"), Case::Add],
            Self::Alloc => vec![Case::Trees, Case::Stage("edges")],
            Self::ListU8 => {
                [sized(|size| Case::Pass(Sent::List, size)), sized(|size| Case::Take(Sent::List, size))].concat()
            }
            Self::String => {
                [sized(|size| Case::Pass(Sent::String, size)), sized(|size| Case::Take(Sent::String, size))].concat()
            }
            Self::Grow => vec![Case::Grow(16, 0), Case::Grow(256, 0), Case::Grow(16, 16), Case::Grow(256, 256)],
            Self::Instantiate => {
                let data = [64 << 10, 256 << 10, 1 << 20, 4 << 20];
                let begin = |touched| data.map(|data| Case::Begin(data, touched));
                [vec![Case::Begin(0, false)], begin(false).into(), begin(true).into()].concat()
            }
            Self::Compile => vec![Case::Compile("grayscale"), Case::Compile("decode")],
            Self::Resident => vec![Case::Stay(64 << 10, 0), Case::Stay(1 << 20, 0), Case::Stay(0, 1 << 20)],
        }
    }
}

/// What is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    List,
    String,
}

/// A component and how it is used. Numbers are bytes, unless they are said to be something else.
#[derive(Clone, Copy, Debug)]
pub(super) enum Case {
    Kernel(Kernel, u32),
    /// An export of `calls.wat` is run.
    Run(&'static str),
    /// The host calls.
    Add,
    Trees,
    Stage(&'static str),
    /// From guest to guest.
    Pass(Sent, u32),
    /// From the host.
    Take(Sent, u32),
    /// An instance grows by so many pages, and touches so many.
    Grow(u32, u32),
    /// An instance with so much data, and whether it touches all of that.
    Begin(u32, bool),
    /// A stage is compiled.
    Compile(&'static str),
    /// Instances have touched so much of their memory, and have so much data.
    Stay(u32, u32),
}

impl Case {
    pub(super) fn name(&self) -> String {
        let sent = |sent: &Sent| if *sent == Sent::List { "list<u8>" } else { "string" };
        match self {
            Self::Kernel(kernel, _) => driver::name(*kernel),
            Self::Run("run-host") => "guest calls host".to_owned(),
            Self::Run(_) => "guest calls guest".to_owned(),
            Self::Add => "host calls guest".to_owned(),
            Self::Trees => "trees".to_owned(),
            Self::Stage(name) => format!("{name} (Rust)"),
            Self::Pass(what, _) => format!("{}, guest to guest", sent(what)),
            Self::Take(what, _) => format!("{}, host to guest", sent(what)),
            Self::Grow(pages, 0) => format!("by {pages} pages"),
            Self::Grow(pages, _) => format!("by {pages} pages, touched"),
            Self::Begin(0, _) => "no data".to_owned(),
            Self::Begin(_, false) => "data".to_owned(),
            Self::Begin(_, true) => "data, touched".to_owned(),
            Self::Compile(name) => (*name).to_owned(),
            Self::Stay(0, _) => "data, untouched".to_owned(),
            Self::Stay(..) => "touched".to_owned(),
        }
    }

    /// How many it is about.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Kernel(_, bytes) | Self::Pass(_, bytes) | Self::Take(_, bytes) | Self::Begin(bytes, _) => {
                u64::from(*bytes)
            }
            Self::Run(_) | Self::Add => 4,
            Self::Trees => u64::from(NODES) * 44,
            Self::Stage(_) => picture().0.len() as u64,
            Self::Grow(pages, _) => u64::from(*pages) * GRANULE,
            Self::Compile(name) => stages::copying(name).map_or(0, |bytes| bytes.len() as u64),
            Self::Stay(touched, data) => u64::from(*touched.max(data)),
        }
    }

    /// Whether it is not timed, but held.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Stay(..))
    }

    /// What is to be timed on an engine. None of what is only to be held.
    pub(super) fn timed(&self, host: Arc<Host>) -> Result<Option<Timed>> {
        let timed = match *self {
            Self::Kernel(kernel, bytes) => kernel_of(&host, kernel, bytes)?,
            Self::Run(name) => host.with(CALLS, Rounds(name))?,
            Self::Add => host.with(CALLS, Called { name: "add", calls: [(1_u32, 2_u32), (7, 8)] })?,
            Self::Trees => {
                let text = include_str!("alloc.wat").replace("DEPTH", &DEPTH.to_string());
                // The numbers from 1 on, as trees number their nodes.
                let sum = u64::from(NODES) * u64::from(NODES + 1) / 2;
                host.with(text.replace("SUM", &sum.to_string()).as_bytes(), Rounds("run"))?
            }
            Self::Stage(name) => stage(&host, name)?,
            Self::Pass(sent, bytes) => host.with(pass(sent, bytes, "run").as_bytes(), Rounds("run"))?,
            Self::Take(sent, bytes) => take(&host, sent, bytes)?,
            Self::Grow(grow, touch) => {
                let fresh = Fresh { pages: 1, grow, touch: touch * GRANULE as u32 };
                host.with(instance(fresh.pages, 0).as_bytes(), fresh)?
            }
            Self::Begin(data, touched) => {
                let pages = 1 + data.div_ceil(GRANULE as u32);
                let touch = if touched { data } else { 0 };
                host.with(instance(pages, data).as_bytes(), Fresh { pages, grow: 0, touch })?
            }
            Self::Compile(name) => Box::new(Compile { host, bytes: stages::copying(name)?, done: 0 }),
            Self::Stay(..) => return Ok(None),
        };
        Ok(Some(timed))
    }

    /// What is to be held on an engine, if it is that.
    pub(super) fn crowd(&self, host: &Host) -> Result<Option<Box<dyn Crowd>>> {
        let Self::Stay(touch, data) = *self else { return Ok(None) };
        let pages = 1 + touch.max(data).div_ceil(GRANULE as u32);
        let crowd = host.with(instance(pages, data).as_bytes(), Staying(Fresh { pages, grow: 0, touch }))?;
        Ok(Some(crowd))
    }
}

const CALLS: &[u8] = include_bytes!("calls.wat");

/// Levels of the trees that are built, and nodes.
const DEPTH: u32 = 10;
const NODES: u32 = (1 << DEPTH) - 1;

/// Where kernels find their data.
const AT: u32 = GRANULE as u32;

fn kernel_of(host: &Host, kernel: Kernel, bytes: u32) -> Result<Timed> {
    let input = kernel.input(bytes);
    let mut output = input.clone();
    let answer = kernel.natively(&mut output);
    let pages = (AT + 2 * bytes).div_ceil(GRANULE as u32);
    let module = kernels_text(pages.into(), 0);
    let module = module.replacen("(module", "(core module $kernels", 1);
    // All others can go on with what they have left, or do so little to it that it makes no difference.
    let refill = u32::from(kernel == Kernel::Sort);
    let text =
        include_str!("kernels.wat").replace("KERNEL", &driver::name(kernel)).replace("ANSWER", &answer.to_string());
    let text = text.replace("COUNT", &kernel.count(bytes).to_string()).replace("REFILL", &refill.to_string());
    let text = text.replace("BYTES", &bytes.to_string()).replace("AT", &AT.to_string()).replace("MODULE", &module);
    host.with(text.as_bytes(), Worked { input, output })
}

fn pass(sent: Sent, bytes: u32, export: &str) -> String {
    let exported = if export == "run" { r#"$giver "run""# } else { r#"$taker "take""# };
    let pages = (AT + bytes).div_ceil(GRANULE as u32);
    let text = include_str!("pass.wat").replace("EXPORTED", exported).replace("EXPORT", export);
    let text = text.replace("TYPE", if sent == Sent::List { "(list u8)" } else { "string" });
    text.replace("LEN", &bytes.to_string()).replace("PAGES", &pages.to_string())
}

fn take(host: &Host, sent: Sent, bytes: u32) -> Result<Timed> {
    let text = pass(sent, bytes, "take");
    let given = |mark: u8| {
        let mut given = vec![b'a'; bytes as usize];
        given[..4].fill(mark);
        given[bytes as usize - 1] = b'z';
        (given, u32::from_le_bytes([mark; 4]))
    };
    let list = |mark| {
        let (given, answer) = given(mark);
        (Arc::<[u8]>::from(given), answer)
    };
    let string = |mark| {
        let (given, answer) = given(mark);
        Ok::<_, anyhow::Error>((Arc::<str>::from(String::from_utf8(given)?), answer))
    };
    match sent {
        Sent::List => host.with(text.as_bytes(), Called { name: "take", calls: [list(b'x'), list(b'y')] }),
        Sent::String => host.with(text.as_bytes(), Called { name: "take", calls: [string(b'x')?, string(b'y')?] }),
    }
}

/// An instance of so many pages, with so much data that is none of it zero.
fn instance(pages: u32, data: u32) -> String {
    let segment = format!("(data (i32.const 0) \"{}\")", "a".repeat(data as usize));
    let text = include_str!("fresh.wat").replace("PAGES", &pages.to_string());
    text.replace("DATA", if data == 0 { "" } else { &segment })
}

fn picture() -> (Vec<u8>, Header) {
    const SIDE: u32 = 128;
    let bytes = noise((SIDE * SIDE / 2) as usize).flat_map(u64::to_le_bytes).collect();
    (bytes, Header::square(SIDE))
}

fn stage(host: &Host, name: &str) -> Result<Timed> {
    let (picture, header) = picture();
    let expected = Host::new(Kind::Stock)?.with(stages::copying(name)?, Once(picture.clone(), header))?;
    host.with(stages::copying(name)?, Stage { picture, header, expected })
}

/// Compiles a component, as users of an engine do.
struct Compile {
    host: Arc<Host>,
    bytes: &'static [u8],
    done: u64,
}

impl Method for Compile {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            std::hint::black_box(self.host.compile(self.bytes)?);
            self.done += 1;
        }
        Ok(self.done)
    }
}
