//! Errors: one sentence each, with the place and what is wrong there.

use std::fmt;

use crate::ledger::obstacle::Obstacle;
use crate::ledger::unsound::Unsound;
use crate::path::ComponentPath;

/// Where a lower is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The component that holds it.
    pub component: ComponentPath,
    /// Which of that component's canonical functions (lifts, lowers and built-ins, in order) it is.
    pub canon: u32,
    /// The core function that it defines.
    pub core_func: u32,
    /// What the lowered function was imported or aliased as, where that is known.
    pub function: Option<String>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = &self.function {
            write!(f, "`{function}`, ")?;
        }
        write!(f, "lowered in {} as core function {},", self.component, self.core_func)
    }
}

/// Why a component was not rewritten, by what failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The bytes can't be read: they are not a valid component, or one that goes beyond what is taken.
    #[error(transparent)]
    Read(#[from] ReadError),

    /// The outermost component imports what it can't be given.
    #[error(transparent)]
    Import(#[from] ImportError),

    /// A swapping function is lowered in a way that no refresh makes sound.
    #[error(transparent)]
    Lower(#[from] LowerError),

    /// With its refreshes the component is not valid: it was at one of the format's limits.
    #[error("there is no room for refreshes in the component: {0}")]
    NoRoom(wasmparser::Error),

    /// The ledger tier was asked for, and the tree can't have it.
    #[error("the composition can't run in the ledger tier: {obstacle}")]
    NotClosed {
        /// What stands in the way.
        obstacle: Box<Obstacle>,
    },

    /// The rewriter is wrong, and noticed.
    #[error(transparent)]
    Bug(#[from] Bug),
}

impl From<wasmparser::Error> for RewriteError {
    fn from(source: wasmparser::Error) -> Self {
        ReadError::Invalid(source).into()
    }
}

/// Why bytes were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are no binary component.
    #[error("not a binary component: {found}")]
    NotAComponent {
        /// What they seem to be.
        found: &'static str,
    },

    /// The bytes are no binary core module, where one is wanted.
    #[error("not a binary core module: {found}")]
    NotAModule {
        /// What they seem to be.
        found: &'static str,
    },

    /// The component is not valid.
    #[error("the component is not valid: {0}")]
    Invalid(wasmparser::Error),

    /// Components, or types, are nested deeper than is taken.
    #[error("the component nests components or types deeper than {limit} levels")]
    TooDeep {
        /// The deepest nesting taken.
        limit: usize,
    },

    /// A section goes on behind the end of what holds it. The engine's parser takes the end for the section's own.
    #[error("{component} is truncated: a section of it that begins at byte {offset} goes on behind its end")]
    Truncated {
        /// The component.
        component: ComponentPath,
        /// Where in the file the section's content begins.
        offset: usize,
    },

    /// The component uses a section that this version does not know.
    #[error("{component} has a section that is not known here, at byte {offset}")]
    UnknownSection {
        /// The component.
        component: ComponentPath,
        /// Where in the file.
        offset: usize,
    },
}

/// What the outermost component imports and can't be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The outermost component imports a component, whose body could not be rewritten.
    #[error("the component imports another component, `{import}`, whose body is not there to be rewritten")]
    Component {
        /// The import's name.
        import: String,
    },

    /// A root import already bears the name that the gate would give to another.
    #[error("the component imports both `{import}` and the name that the gate gives it")]
    GateNameTaken {
        /// The import of our package.
        import: String,
    },

    /// The outermost component imports the package in a version that no host of this one's offers.
    #[error(
        "the component imports `{import}`, and this host offers version {} of `mappable:memory` and what is compatible \
         with it: build the component against that, or run it on a host of its own version",
        crate::package::VERSION
    )]
    OtherVersion {
        /// The import's name.
        import: String,
    },

    /// The outermost component imports the host's side of the ledger, which only what is put in here may have.
    #[error("the component imports `{import}`, which is for the ledger's own modules alone")]
    LedgerInterface {
        /// The import's name.
        import: String,
    },
}

/// Why a lower of a swapping function can't have a refresh.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// A function with the mark that has not the one shape that a swapping function has.
    #[error("{site} mentions `map-error`, so it must be a swapping function, but {fault}")]
    WrongShape {
        /// Where.
        site: Site,
        /// What is wrong with the type.
        fault: ShapeFault,
    },

    /// A canonical option that a swapping function may not be lowered with.
    #[error("the swapping function {site} has the canonical option `{option}`, which it may not have")]
    RefusedOption {
        /// Where.
        site: Site,
        /// The option.
        option: &'static str,
    },

    /// A swapping function lowered without a memory.
    #[error("the swapping function {site} names no memory")]
    NoMemory {
        /// Where.
        site: Site,
    },

    /// A memory that a swapping function may not be lowered with.
    #[error("the swapping function {site} names memory {memory}, which {fault}")]
    RefusedMemory {
        /// Where.
        site: Site,
        /// The core memory.
        memory: u32,
        /// What is wrong with it.
        fault: MemoryFault,
    },

    /// A lowered swapping function whose core type is not `(i32, i32, i32, i32) -> ()`.
    #[error("the swapping function {site} has the core type `{found}`, not four `i32` and no result")]
    WrongCoreType {
        /// Where.
        site: Site,
        /// Its core type.
        found: String,
    },
}

/// What is wrong with the rewriter. No input should lead here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Bug {
    /// A marked lower can be reached past its refresh, in a component that was rewritten.
    #[error("a bug in mappable: the swapping function {site} is not behind a refresh, for {reason}")]
    Unguarded {
        /// Where.
        site: Site,
        /// What gave it away.
        reason: Unguarded,
    },

    /// In an output of the ledger tier a guest could get at what is ours.
    #[error("a bug in mappable: what was made of {component} is not sound: {what}")]
    Unsound {
        /// The component, by its place in the output.
        component: ComponentPath,
        /// What gave it away.
        what: Unsound,
    },

    /// An invariant of the rewriter does not hold.
    #[error("a bug in mappable ({file}:{line}): {what}")]
    Broken {
        /// What does not hold.
        what: String,
        /// The source file of the check.
        file: &'static str,
        /// Its line.
        line: u32,
    },
}

/// A [`Bug::Broken`] that bears the place where it is made.
macro_rules! broken {
    ($($what:tt)*) => {
        $crate::RewriteError::Bug($crate::Bug::Broken { what: format!($($what)*), file: file!(), line: line!() })
    };
}
pub(crate) use broken;

/// In what a marked function's type differs from `(own<r>, list<u8>) -> result<own<s>, tuple<own<r>, map-error>>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeFault {
    /// The function is `async`.
    #[error("it is async")]
    Async,
    /// Not two parameters.
    #[error("it does not take two parameters but {0}")]
    ParameterCount(usize),
    /// The first parameter is a borrow.
    #[error("its first parameter borrows the handle, where it must own it")]
    BorrowedHandle,
    /// The first parameter is no handle.
    #[error("its first parameter is not an owned handle")]
    FirstParameter,
    /// The second parameter is no `list<u8>`.
    #[error("its second parameter is not a `list<u8>`")]
    Placement,
    /// The result is no `result` with both cases.
    #[error("its result is not a `result` with an ok and an error type")]
    Result,
    /// The ok case is no owned handle.
    #[error("it does not return an owned handle on success")]
    Ok,
    /// The error case is no `tuple<own<r>, map-error>`.
    #[error("it does not return the handle and a `map-error` on failure")]
    Err,
    /// The handle given back on error is of another resource than the one taken.
    #[error("the handle it returns on failure is of another resource than the one it takes")]
    OtherResource,
    /// The handle given on success is of the same resource as the one taken.
    #[error("the handle it returns on success is of the same resource as the one it takes")]
    SameResource,
}

/// What is wrong with a memory that a swapping function names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryFault {
    /// A 64-bit memory.
    #[error("is a 64-bit memory")]
    Memory64,
    /// A shared memory.
    #[error("is shared between threads")]
    Shared,
    /// A memory that declares its page size.
    #[error("has a custom page size")]
    CustomPageSize,
}

/// Why a marked lower does not count as being behind a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unguarded {
    /// Its core function is used so many times, where one is right.
    #[error("its core function is used {0} times, not once")]
    Uses(usize),
    /// Its core function is used by something else than an instance's export.
    #[error("its core function is used by something else than the exports of an instance")]
    NotExported,
    /// The instance that exports it is not made of just it and its memory.
    #[error("the instance that exports it is not made of it and its own memory alone")]
    Exports,
    /// The instance that exports it is used so many times, where one is right.
    #[error("the instance that exports it is used {0} times, not once")]
    InstanceUses(usize),
    /// The instance that exports it is aliased rather than passed to a refresh.
    #[error("the instance that exports it is aliased")]
    Aliased,
    /// The instance that exports it is passed to an instantiation that is no refresh's.
    #[error("it is passed to a module that is not the refresh")]
    OtherModule,
}
