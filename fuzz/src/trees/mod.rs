//! Trees of components, with functions of random types and guests that fill, check and pass on what they are given.
//!
//! A component of a tree implements one interface, and calls those of others: what it receives it hashes, byte by byte,
//! regions included; then it calls what it has been given, and gives something of its own. The first component is the
//! driver: the tree exports its `run`, which takes and gives plain numbers. Each look at a hash is shown to the host
//! (`log`), so that two runs can be compared step by step. When a component begins it asks the host by the same
//! function what it is to do wrong.
//!
//! An *open* tree has functions with handles for the embedder, too, and calls some of the embedder's. A *streaming* tree has
//! functions with readable ends of streams and futures of handles: who gives one has begun to write, and who is given one
//! reads some of it.
//!
//! - [`types`]: the types. [`guest`] and [`values`]: the code that makes values of them and looks at them, [`streams`] of
//!   ends. [`misuse`]:
//!   what a guest may do wrong, once. [`ports`]: what lies between an open tree and the embedder. [`coverage`]: what a
//!   tree has in it.

pub mod coverage;
mod guest;
pub mod misuse;
pub mod ports;
mod streams;
mod text;
pub mod types;
mod values;

use arbitrary::{Result, Unstructured};

pub use guest::Body;
pub use misuse::Misuse;
use ports::Port;
use types::{Function, Kind, May, Type};

/// No tree has more instances of the components that were made for it.
const MOST_INSTANCES: usize = 8;

/// What a guest shows that has read from a stream: this, ten times the number of its [`types::Elements`], and how many
/// came.
pub const CAME: u32 = 880_000;

/// What is in the types of a tree's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Nothing of ours.
    Plain,
    /// Handles of ours, between its components alone.
    Closed,
    /// Handles of ours, that the embedder gives and takes, too.
    Open,
    /// Handles of ours between its components alone, and streams and futures of them.
    Streaming,
}

/// A tree of components.
#[derive(Debug)]
pub struct Tree {
    /// In the text format.
    pub text: String,
    /// In binary.
    pub bytes: Vec<u8>,
    /// What it was made from.
    pub plan: Plan,
}

/// What a tree is to be.
#[derive(Debug)]
pub struct Plan {
    /// Whether it imports our package, and passes handles.
    pub handles: bool,
    /// Whether there may be streams and futures in it.
    pub streams: bool,
    /// The first is the driver. Who is called comes after whoever calls.
    pub components: Vec<Part>,
    /// How components are joined.
    pub wires: Vec<Wires>,
    /// What the root imports of the embedder: an instance of each that is the embedder's.
    pub imports: Vec<Port>,
    /// What it exports beside `run`.
    pub exports: Vec<Port>,
}

impl Plan {
    /// How many components are guests. The embedder's come after them.
    pub fn guests(&self) -> usize {
        self.components.iter().filter(|part| !part.embedders).count()
    }

    /// Whether some of its functions cross, in the ledger tier: the embedder's, and those that lend, or pass mappings
    /// or streams.
    pub fn crosses(&self) -> bool {
        let crosses =
            |ty: &Type| matches!(ty, Type::Borrow(_) | Type::End(_) | Type::Own(Kind::Mapping | Kind::FrozenMapping));
        let mut functions = self.components.iter().flat_map(|part| &part.functions);
        let lends = functions.any(|function| {
            let mut found = false;
            function.params.iter().chain(&function.result).for_each(|ty| {
                ty.walk(&mut vec![], &mut |ty, _| found |= crosses(ty));
            });
            found
        });
        lends || !self.imports.is_empty() || !self.exports.is_empty()
    }

    /// A function of those that are at a port.
    pub fn function(&self, port: &Port, nth: usize) -> &Function {
        &self.components[self.wires[port.instance].component].functions[nth]
    }
}

/// A component.
#[derive(Debug)]
pub struct Part {
    /// What it implements.
    pub functions: Vec<Function>,
    /// What those do; of the driver, what `run` does.
    pub bodies: Vec<Body>,
    /// The components whose interfaces it imports.
    pub needs: Vec<usize>,
    /// Its first random number.
    pub seed: u32,
    /// How its strings are encoded.
    pub encoding: Encoding,
    /// Whether its memory has a maximum.
    pub fixed: bool,
    /// Whether it has two guests, each with a memory of its own, that take turns in what it implements.
    pub two: bool,
    /// Whether it is within another component that passes everything on.
    pub nested: bool,
    /// What it imports the package as.
    pub package: &'static str,
    /// Whether its interface gives the resources names of its own.
    pub renames: bool,
    /// Whether it is no component, but the embedder has its functions.
    pub embedders: bool,
}

/// How strings are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16.
    Utf16,
    /// Latin-1 or UTF-16, each string as its length says.
    Latin1,
}

impl Encoding {
    fn option(self) -> &'static str {
        ["string-encoding=utf8", "string-encoding=utf16", "string-encoding=latin1+utf16"][self as usize]
    }
}

/// An instance of a component, and what it is given.
#[derive(Debug)]
pub struct Wires {
    /// Which component.
    pub component: usize,
    /// For each of its needs: which of the instances before it, and how it gets there.
    pub given: Vec<(usize, Way)>,
}

/// How an interface gets from one component to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Direct,
    /// Through a component that exports the instance that it imports.
    Passed,
    /// Through a component that exports its functions, in an instance of its own.
    Bundled,
}

/// Makes a tree.
///
/// # Errors
///
/// Those of `u`, which has none when it is exhausted.
///
/// # Panics
///
/// If the tree is not valid: the generator is wrong.
pub fn tree(u: &mut Unstructured<'_>, sort: Sort) -> Result<Tree> {
    let plan = plan(u, sort)?;
    let text = text::tree(&plan);
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("the generator is wrong: {error}\n{text}"));
    Ok(Tree { text, bytes, plan })
}

fn plan(u: &mut Unstructured<'_>, sort: Sort) -> Result<Plan> {
    let (handles, streams, open) = (sort != Sort::Plain, sort == Sort::Streaming, sort == Sort::Open);
    let count = u.int_in_range(2..=5)?;
    let mut needs = vec![vec![]; count];
    for callee in 1..count {
        let caller = u.choose_index(callee)?;
        for (other, needs) in needs[..callee].iter_mut().enumerate() {
            if other == caller || u.ratio(1, 4)? {
                needs.push(callee);
            }
        }
    }
    let mut functions = vec![vec![]];
    for callee in 1..count {
        let some = (0..u.int_in_range(1..=2)?).map(|nth| match open && (callee + nth == 1 || u.arbitrary()?) {
            // At least one, to be exported.
            true => ports::function(u),
            false => function(u, handles, streams),
        });
        functions.push(some.collect::<Result<Vec<_>>>()?);
    }
    let desks = if open { ports::desks(u, &mut needs)? } else { vec![] };
    functions.extend(desks.iter().map(|desk| desk.functions.clone()));
    let mut components = vec![];
    for (nth, needs) in needs.into_iter().enumerate() {
        let callees = needs.iter().map(|it: &usize| functions[*it].len()).sum();
        let bodies = (0..functions[nth].len().max(1)).map(|_| body(u, callees, nth == 0)).collect::<Result<_>>()?;
        components.push(Part {
            functions: functions[nth].clone(),
            bodies,
            needs,
            seed: u.int_in_range(0..=255)?,
            encoding: *u.choose(&[Encoding::Utf8, Encoding::Utf8, Encoding::Utf16, Encoding::Latin1])?,
            fixed: u.ratio(1, 8)?,
            two: functions[nth].len() > 1 && u.ratio(1, 3)?,
            nested: u.ratio(1, 5)?,
            package: if u.ratio(1, 4)? { "regions" } else { text::PACKAGE },
            renames: u.ratio(1, 3)?,
            embedders: false,
        });
    }
    components.extend(desks);
    let mut wires = vec![];
    wire(u, &components, 0, &mut wires)?;
    let mut plan = Plan { handles, streams, components, wires, imports: vec![], exports: vec![] };
    if open {
        ports::open(u, &mut plan)?;
    }
    Ok(plan)
}

/// Joins an instance of a component with those that it needs, made for it or there already. Its number.
fn wire(u: &mut Unstructured<'_>, components: &[Part], component: usize, wires: &mut Vec<Wires>) -> Result<usize> {
    let mut given = vec![];
    for need in &components[component].needs {
        let there = wires.iter().position(|it| it.component == *need);
        let instance = match there {
            Some(there) if wires.len() >= MOST_INSTANCES || u.ratio(2, 3)? => there,
            _ => wire(u, components, *need, wires)?,
        };
        let ways = [Way::Direct, Way::Direct, Way::Direct, Way::Passed, Way::Bundled];
        given.push((instance, *u.choose(&ways)?));
    }
    wires.push(Wires { component, given });
    Ok(wires.len() - 1)
}

fn body(u: &mut Unstructured<'_>, callees: usize, driver: bool) -> Result<Body> {
    let calls = match (callees, driver) {
        (0, _) => vec![],
        (_, true) => {
            let more = (0..u.int_in_range(0..=3)?).map(|_| u.choose_index(callees)).collect::<Result<Vec<_>>>()?;
            (0..callees).chain(more).collect()
        }
        _ => (0..u.int_in_range(0..=2)?).map(|_| u.choose_index(callees)).collect::<Result<_>>()?,
    };
    let acts = (0..calls.len()).filter(|_| u.ratio(1, 2).unwrap_or(false)).collect();
    Ok(Body { calls, acts, post_return: u.ratio(1, 3)? })
}

fn function(u: &mut Unstructured<'_>, handles: bool, streams: bool) -> Result<Function> {
    let may = May { own: handles, borrow: handles, ends: streams };
    let mut params = (0..u.int_in_range(0..=4)?).map(|_| Type::arbitrary(u, 3, may)).collect::<Result<Vec<_>>>()?;
    if handles && u.ratio(1, 5)? {
        // The same may be lent and given.
        let kind = *u.choose(&[Kind::Mappable, Kind::Frozen])?;
        params.extend([Type::Borrow(kind), Type::Own(kind)]);
    }
    if u.ratio(1, 4)? {
        // More than fit into core parameters.
        for _ in 0..u.int_in_range(10..=17)? {
            let depth = u.int_in_range(0..=2)? / 2;
            params.push(Type::arbitrary(u, depth, May { own: false, borrow: false, ends: false })?);
        }
    }
    let result = if u.ratio(3, 4)? {
        Some(Type::arbitrary(u, 3, May { own: handles, borrow: false, ends: streams })?)
    } else {
        None
    };
    Ok(Function { params, result })
}
