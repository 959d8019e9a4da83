//! Rewrites a component so that no guest instruction runs with a stale memory base.
//!
//! A *swapping function* (`map`, `unmap`) changes, inside the host, where a linear memory lies. Compiled code takes
//! the new base in when a `memory.grow` of that memory runs. This crate's one job is to make that happen at once and
//! always: after each `canon lower` of a swapping function it instantiates the *refresh*, a small trusted core
//! module that calls the lowered function and then runs `memory.grow 0` on the memory of that lower, and it aims
//! every use of the lowered function at the refresh instead.
//!
//! ```text
//!            bytes
//!              │ read     what is where: marked lowers, uses of core functions,    ── shape: which functions
//!              ▼          instances, modules, by the validator's own index spaces          are marked
//!            facts ─────────────► verify   which marked lowers sit behind a refresh
//!              │ bound    memories that nothing is mapped into get a maximum ────── patch: writes both
//!              │ preload  loops on other memories load the base once, in front
//!              │ plan     where refreshes go, and what each old index becomes
//!              ▼
//!            plan
//!              │ emit     the identity, but for indices, refreshes and gated imports
//!              ▼
//!            bytes ── read ──► verify      all of them do, or it is our bug
//! ```
//!
//! What is recognised, and what is refused:
//! - By type, never by name: a function is *marked* when the enum [`MARK`] occurs anywhere in its type. A marked
//!   function that is lowered must have exactly the shape
//!   `(own<r>, list<u8>) -> result<own<s>, tuple<own<r>, map-error>>`, and its lower must be a plain synchronous one
//!   that names a 32-bit, unshared memory of ordinary pages. Anything else is a [`RewriteError`].
//! - `canon lift` of a marked type is fine (a component may *implement* the interface): whoever calls it lowers it,
//!   and that lower gets a refresh like any other.
//! - Names of our package imported by the outermost component become a [`Gate`]'s, so that the host's functions can
//!   be linked to by nothing that was not rewritten.
//! - Memories that nothing is mapped into get a maximum ([`BOUNDED_PAGES`]), so that they don't pay for those that are.
//! - Loops on memories that may move get a *preload* in front of them where that pays: a byte is loaded, so that the base
//!   is loaded once for the loop, not each time around.
//! - A component with none of these is given back byte for byte.
//!
//! That is the *baseline* tier. A tree in which every handle of ours can be found can be rewritten for the *ledger* tier
//! instead, which takes handles out of the engine's hands, and copies plain lists at once: [`ledger`] says how. [`Tier`] chooses; the [`Report`] says which it is, and what
//! stood in the way.
//!
//! Core modules are copied byte for byte but for those maxima and preloads, custom sections too (a module that has any in which
//! offsets in its code are named gets no preloads); names in `component-name` sections move with the indices that they name (a
//! section that can't be read is dropped).
//!
//! ```
//! use mappable_rewrite::{Gate, inspect, rewrite};
//!
//! # fn main() -> anyhow::Result<()> {
//! // A key that components don't know: drawn at random, once for the process.
//! let gate = Gate::new("k5f0c")?;
//! let component = wat::parse_str(r#"(component (import "mappable:memory/types@0.1.0" (instance)))"#)?;
//!
//! let rewritten = rewrite(&component, &gate)?;
//! assert!(rewritten.changed());
//! let report = inspect(&component)?;
//! assert_eq!(report.gated_imports.len(), 1);
//! // It imports the package, and maps nothing so far.
//! assert!(report.maps() && report.lowers().next().is_none());
//! // What to register the host's functions as, so that what was rewritten links to them and nothing else does.
//! assert_eq!(gate.import_name("types@0.1.0"), "mappable:k5f0c/types@0.1.0");
//! # Ok(())
//! # }
//! ```
//!
//! Left to others: compiling (Wasmtime), choosing how a memory maps (the host, by [`MemoryType`]), and proving that
//! `memory.grow` takes the base in (the host crate's tripwires).

mod baseline;
mod core_modules;
mod error;
mod gate;
mod ledger;
#[cfg(test)]
mod looks;
mod package;
mod path;
mod refresh;
mod report;
mod tree;

use std::borrow::Cow;

use baseline::{emit, plan, verify};
pub use core_modules::bound::BOUNDED_PAGES;
use core_modules::patch::Patched;
pub use core_modules::patch::preloaded;
pub use error::{Bug, ImportError, LowerError, MemoryFault, ReadError, RewriteError, ShapeFault, Site, Unguarded};
pub use gate::{Gate, GateKeyError};
use ledger::analysis::Judgement;

pub use ledger::function::{FunctionReport, Route};
pub use ledger::obstacle::{Obstacle, Opening, Reason};
pub use ledger::unsound::{Place, Private, Unsound};
pub use package::MARK;
pub use path::ComponentPath;
pub use report::{ComponentReport, GatedImport, LowerReport, NamedMemory, RefreshReport, Report, TierReport};
use tree::read;
pub use tree::types::{MemoryType, ModuleReport};

/// What the rewriter and the library `mappable` of the same version agree on. Not a part of the public interface.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::ledger::{Kind, interface, layout};

    /// The version and a hash of the sources that this rewriter was built from: what it writes is the same while this is.
    pub const REVISION: &str = env!("MAPPABLE_REWRITE_REVISION");
}

/// How closed compositions are rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tier {
    /// For the ledger where nothing stands in its way, otherwise as [`Tier::Baseline`].
    #[default]
    Auto,
    /// With the engine's own handles, and a refresh behind each change.
    Baseline,
    /// For the ledger, or not at all.
    Ledger,
}

/// What [`rewrite_with`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The tier.
    pub tier: Tier,
    /// Whether lists of plain data go by window between components of closed compositions.
    pub lists: bool,
    /// Whether memories that nothing is mapped into are bounded, with a maximum of [`BOUNDED_PAGES`].
    pub bound: bool,
    /// Whether loops on memories that may move get preloads. They burn fuel, three units each time that a loop is come to.
    pub preload: bool,
}

impl Default for Settings {
    /// The ledger where it can be, lists too, memories bounded and loops preloaded.
    fn default() -> Self {
        Settings { tier: Tier::Auto, lists: true, bound: true, preload: true }
    }
}

/// What [`rewrite`] gives back.
#[derive(Debug)]
pub struct Rewritten<'a> {
    /// The component to compile: the input itself if there was nothing to do.
    pub bytes: Cow<'a, [u8]>,
    /// What was found, and where refreshes are.
    pub report: Report,
}

impl Rewritten<'_> {
    /// Whether anything was changed. [The first example](crate) asks.
    pub fn changed(&self) -> bool {
        matches!(self.bytes, Cow::Owned(_))
    }
}

/// [`rewrite_with`] with the default settings.
///
/// # Errors
///
/// As [`rewrite_with`].
pub fn rewrite<'a>(component: &'a [u8], gate: &Gate) -> Result<Rewritten<'a>, RewriteError> {
    rewrite_with(component, gate, Settings::default())
}

/// Makes `component` one that can map, and puts its imports of our package behind `gate`. Memories that nothing is mapped
/// into get a maximum, if they are to be bounded, and loops on the others preloads.
///
/// At the baseline tier each marked lower of it and its nested components gets a refresh. At the ledger tier, which is
/// for closed compositions, handles and lists go by trusted modules, and what comes out imports the host's side of the
/// ledger ([`ledger::interface`]) too.
///
/// `component` is a binary component; text is not accepted. It is validated first. Rewriting the output of the baseline
/// tier a second time changes nothing; that of the ledger tier is not to be rewritten.
///
/// ```
/// use mappable_rewrite::{Gate, Settings, Tier, rewrite_with};
///
/// # fn main() -> anyhow::Result<()> {
/// let settings = Settings { tier: Tier::Baseline, ..Settings::default() };
/// let component = wat::parse_str("(component)")?;
/// let rewritten = rewrite_with(&component, &Gate::new("k5f0c")?, settings)?;
/// assert!(!rewritten.changed());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// A component that is not valid, or whose swapping functions can't be made sound; with [`Tier::Ledger`], one that is not
/// closed. Nothing panics on any input.
pub fn rewrite_with<'a>(component: &'a [u8], gate: &Gate, settings: Settings) -> Result<Rewritten<'a>, RewriteError> {
    rewrite_behind(component, Some(gate), settings)
}

/// Without a gate, one that no name in the component is behind serves.
fn rewrite_behind<'a>(
    component: &'a [u8],
    gate: Option<&Gate>,
    settings: Settings,
) -> Result<Rewritten<'a>, RewriteError> {
    let mut walker = ledger::analysis::Walker::default();
    let (facts, types) = match settings.tier {
        Tier::Baseline => (read::read(component, read::Bodies::Validate)?, None),
        _ => {
            let (facts, types) = read::read_with(component, read::Bodies::Validate, &mut walker)?;
            (facts, Some(types))
        }
    };
    let tried;
    let gate = match gate {
        Some(gate) => gate,
        None => {
            tried = Gate::unlike(&facts.root_imports)?;
            &tried
        }
    };
    let renames = gate::Renames::new(&facts.root_imports, gate)?;
    let patched = Patched::new(component, &facts, settings.bound, settings.preload)?;
    let Some(types) = types else { return baseline(patched, &renames, None, Vec::new()) };
    let wanted = ledger::analysis::Settings { lists: settings.lists };
    let judgement = walker.finish(&facts, types.as_ref(), wanted)?;
    match attempt(&patched, judgement, &renames, gate, settings)? {
        Attempt::Written(bytes, report) => Ok(Rewritten { bytes: Cow::Owned(bytes), report }),
        Attempt::Identity(functions) => baseline(patched, &renames, None, functions),
        Attempt::Obstacle(obstacle, _) if settings.tier == Tier::Ledger => Err(RewriteError::NotClosed { obstacle }),
        Attempt::Obstacle(obstacle, functions) => baseline(patched, &renames, Some(*obstacle), functions),
    }
}

/// What comes of trying a tree for the ledger tier.
enum Attempt {
    Written(Vec<u8>, Report),
    /// There is nothing that the ledger could do for it.
    Identity(Vec<Vec<FunctionReport>>),
    Obstacle(Box<Obstacle>, Vec<Vec<FunctionReport>>),
}

fn attempt(
    patched: &Patched<'_, '_>,
    judgement: Judgement,
    renames: &gate::Renames,
    gate: &Gate,
    settings: Settings,
) -> Result<Attempt, RewriteError> {
    let Judgement { outcome, functions } = judgement;
    let analysis = match outcome {
        Ok(analysis) if analysis.is_identity() => return Ok(Attempt::Identity(functions)),
        Ok(analysis) => analysis,
        Err(obstacle) => return Ok(Attempt::Obstacle(Box::new(obstacle), functions)),
    };
    let obstacle = match by_ledger(patched, &analysis, renames, gate) {
        Ok(bytes) => {
            let tier = TierReport::ledger(&analysis);
            let report = report::report(patched, tier, functions, |_, _, _| Some(RefreshReport::Ledger))?;
            return Ok(Attempt::Written(bytes, report));
        }
        Err(RewriteError::NotClosed { obstacle }) => obstacle,
        Err(error) if settings.tier == Tier::Ledger => return Err(error),
        Err(error) => Box::new(Obstacle::of_root(Reason::Broken(error.to_string()))),
    };
    Ok(Attempt::Obstacle(obstacle, functions))
}

/// The baseline tier; `obstacle` is what stood in the way of the other.
fn baseline<'a>(
    patched: Patched<'_, 'a>,
    renames: &gate::Renames,
    obstacle: Option<Obstacle>,
    functions: Vec<Vec<FunctionReport>>,
) -> Result<Rewritten<'a>, RewriteError> {
    let found = verify::refreshes(patched.facts());
    let plan = plan::Plan::new(patched.facts(), &found)?;
    let report = report::report(&patched, TierReport::Baseline { obstacle }, functions, |number, nth, lower| {
        if let Ok(core_instance) = *found.get(number)?.get(nth)? {
            return Some(RefreshReport::Present { core_instance });
        }
        let placed = plan.0.get(number)?.refresh_of(lower.canon)?;
        Some(RefreshReport::Inserted { core_instance: placed.refresh, core_func: placed.refreshed })
    })?;
    if plan.is_identity() && renames.is_empty() {
        return Ok(Rewritten { bytes: patched.into_bytes(), report });
    }
    let bytes = emit::emit(&patched, &plan, renames)?;
    verify::verify(&bytes, read::Bodies::Trust).map_err(|error| match error {
        RewriteError::Read(ReadError::Invalid(source)) => RewriteError::NoRoom(source),
        other => other,
    })?;
    Ok(Rewritten { bytes: Cow::Owned(bytes), report })
}

/// The ledger tier.
fn by_ledger(
    patched: &Patched<'_, '_>,
    analysis: &ledger::analysis::Analysis,
    renames: &gate::Renames,
    gate: &Gate,
) -> Result<Vec<u8>, RewriteError> {
    let emitted = ledger::emit::emit(patched, analysis, renames, gate)?;
    if let Some(module) = emitted.guests.iter().find(|module| emitted.trusted.has(module)) {
        let component = patched.component_of(module)?;
        let obstacle = Obstacle::of(&component.path, component.name, Reason::TrustedModule);
        return Err(RewriteError::NotClosed { obstacle: Box::new(obstacle) });
    }
    let checked = ledger::check::check(&emitted.bytes, &emitted.guests, &emitted.trusted, gate);
    checked.map_err(|error| match error {
        RewriteError::Read(ReadError::Invalid(source)) => {
            error::broken!("what was written for the ledger is not valid: {source}")
        }
        // The input's own: of what is written only the root has one that was not there, and it is the right one.
        RewriteError::Bug(Bug::Unsound { component, what: Unsound::GateName(_) }) => {
            let obstacle = Obstacle { component, name: None, function: None, reason: Reason::GateName };
            RewriteError::NotClosed { obstacle: Box::new(obstacle) }
        }
        other => other,
    })?;
    Ok(emitted.bytes)
}

/// [`inspect_with`] with the default settings.
///
/// # Errors
///
/// As [`inspect_with`].
pub fn inspect(component: &[u8]) -> Result<Report, RewriteError> {
    inspect_with(component, Settings::default())
}

/// Returns the report that [`rewrite_with`] gives with a gate that `component` doesn't know. The component is rewritten and
/// checked for it, and what was written is thrown away: it costs as much as rewriting. [`rewrite_with`] has an example of
/// settings.
///
/// # Errors
///
/// As [`rewrite_with`].
pub fn inspect_with(component: &[u8], settings: Settings) -> Result<Report, RewriteError> {
    rewrite_behind(component, None, settings).map(|rewritten| rewritten.report)
}

/// Checks that each marked lower of `component` sits behind a refresh, and that nothing else can reach it.
///
/// [`rewrite`] has done this to what it gives. Nothing of the emitter's is used: only the bytes and the validator.
///
/// # Errors
///
/// [`Bug::Unguarded`] when a marked lower can be reached past its refresh, and as [`rewrite`] when the component
/// is one that [`rewrite`] refuses.
pub fn verify(component: &[u8]) -> Result<(), RewriteError> {
    verify::verify(component, read::Bodies::Validate)
}
