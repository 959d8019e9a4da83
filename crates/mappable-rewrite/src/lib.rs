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
//! - A component with neither is given back byte for byte.
//!
//! Core modules are copied byte for byte, custom sections too; names in `component-name` sections move with the
//! indices that they name (a section that can't be read is dropped).
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
//! assert_eq!(inspect(&component)?.gated_imports.len(), 1);
//! // What to register the host's functions as, so that what was rewritten links to them and nothing else does.
//! assert_eq!(gate.import_name("types@0.1.0"), "mappable:k5f0c/types@0.1.0");
//! # Ok(())
//! # }
//! ```
//!
//! Left to others: compiling (Wasmtime), choosing how a memory maps (the host, by [`MemoryType`]), and proving that
//! `memory.grow` takes the base in (the host crate's tripwires).

mod emit;
mod error;
mod gate;
mod plan;
mod read;
mod refresh;
mod report;
mod shape;
mod verify;

use std::borrow::Cow;

pub use error::{MemoryFault, RewriteError, ShapeFault, Site, Unguarded};
pub use gate::{Gate, GateKeyError};
pub use report::{
    ComponentPath, ComponentReport, GatedImport, LowerReport, MemoryType, ModuleReport, NamedMemory, RefreshReport,
    Report,
};
pub use shape::MARK;

/// What [`rewrite`] gives back.
#[derive(Debug)]
pub struct Rewritten<'a> {
    /// The component to compile: the input itself if there was nothing to do.
    pub bytes: Cow<'a, [u8]>,
    /// What was found, and where refreshes are.
    pub report: Report,
}

impl Rewritten<'_> {
    /// Whether anything was changed.
    pub fn changed(&self) -> bool {
        matches!(self.bytes, Cow::Owned(_))
    }
}

/// Puts a refresh behind each marked lower of `component` and its nested components, and its imports of our package
/// behind `gate`.
///
/// `component` is a binary component; text is not accepted. It is validated first. Rewriting a second time changes
/// nothing.
///
/// # Errors
///
/// A component that is not valid, or whose swapping functions can't be made sound. Nothing panics on any input.
pub fn rewrite<'a>(component: &'a [u8], gate: &Gate) -> Result<Rewritten<'a>, RewriteError> {
    let facts = read::read(component, read::Bodies::Validate)?;
    let guards = verify::guards(&facts);
    let plan = plan::Plan::new(&facts, &guards, Some(gate))?;
    let report = report::report(&facts, &guards, &plan)?;
    if plan.is_identity() {
        return Ok(Rewritten { bytes: Cow::Borrowed(component), report });
    }
    let bytes = emit::emit(component, &plan)?;
    verify::verify(&bytes, read::Bodies::Trust).map_err(|error| match error {
        RewriteError::Invalid(source) => RewriteError::NoRoom(source),
        other => other,
    })?;
    Ok(Rewritten { bytes: Cow::Owned(bytes), report })
}

/// Says what [`rewrite`] would find in `component` and do to it, without doing it.
///
/// # Errors
///
/// As [`rewrite`].
pub fn inspect(component: &[u8]) -> Result<Report, RewriteError> {
    let facts = read::read(component, read::Bodies::Validate)?;
    let guards = verify::guards(&facts);
    let plan = plan::Plan::new(&facts, &guards, None)?;
    report::report(&facts, &guards, &plan)
}

/// Checks that each marked lower of `component` sits behind a refresh, and that nothing else can reach it.
///
/// [`rewrite`] has done this to what it gives. Nothing of the emitter's is used: only the bytes and the validator.
///
/// # Errors
///
/// [`RewriteError::Bug`] when a marked lower can be reached past its refresh, and as [`rewrite`] when the component
/// is one that [`rewrite`] refuses.
pub fn verify(component: &[u8]) -> Result<(), RewriteError> {
    verify::verify(component, read::Bodies::Validate)
}
