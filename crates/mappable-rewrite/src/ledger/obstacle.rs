//! Why a tree stays at baseline: one line each, with the place and the thing that stood in the way.

use std::fmt;

use super::signature::Kind;
use crate::path::ComponentPath;

/// What stood in the way of the ledger tier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obstacle {
    /// The component in which it was met.
    pub component: ComponentPath,
    /// That component's name, where it has one.
    pub name: Option<String>,
    /// The function that it is about, as that component calls it, where it is about one.
    pub function: Option<String>,
    /// What it is.
    pub reason: Reason,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A function with handles of ours is open.
    Open {
        /// A handle that is in its type.
        kind: Kind,
        /// What makes it open.
        how: Opening,
    },
    /// Handles of ours go where the ledger does not, and can't.
    NoCrossing {
        /// Why not.
        why: &'static str,
    },
    /// A function without handles of ours has a list of plain data, and is open. That keeps nothing else from the ledger.
    NoWindow {
        /// What makes it open.
        how: Opening,
    },
    /// The lower of one of the package's functions has not the type that this version knows.
    OtherType,
    /// One function is both one of the package's and something else.
    Mixed,
    /// Components have different ideas of a function's type.
    TypesDisagree,
    /// What a component imports as one resource type is given different ones.
    ResourcesDisagree {
        /// The import's name.
        import: String,
        /// One of what it is given.
        kind: Kind,
    },
    /// What a component imports as one resource type may be given others, by a component that is not followed.
    ResourceUnknown {
        /// The import's name.
        import: String,
        /// What it is given where it is followed.
        kind: Kind,
    },
    /// A component passes a resource on to where it is not followed.
    Escapes {
        /// Which it is.
        kind: Kind,
    },
    /// A function changes what is mapped, but is not known to be the package's.
    UnknownSwap,
    /// There is too much in the tree.
    TooLarge,
    /// With what the ledger adds, a component would have more of something than the format's validator takes: what.
    NoRoom(String),
    /// A core function that must not be called in a `realloc` has types that no other module can name.
    TypesOfItsOwn,
    /// A core module of it is, byte for byte, one of the ledger's own.
    TrustedModule,
    /// A component imports, or is given, something by a name of the gate's.
    GateName,
    /// What was written for the ledger was refused: our bug, and what it is.
    Broken(String),
}

/// What makes a function open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// The outermost component imports it, by this name or in an instance of this name.
    Import(String),
    /// The outermost component exports it, by this name or in an instance of this name.
    Export(String),
    /// It goes through an instance or a component of which too little is known.
    Unknown,
    /// It is run as a component's start function.
    Start,
    /// Its type, or how it is lifted or lowered, is not supported: why.
    Unsupported(&'static str),
}

impl Obstacle {
    /// One that is about all of a component.
    pub(crate) fn of(component: &ComponentPath, name: Option<&str>, reason: Reason) -> Self {
        Self { component: component.clone(), name: name.map(str::to_owned), function: None, reason }
    }

    /// One that is met in no component in particular.
    pub(crate) fn of_root(reason: Reason) -> Self {
        Self { component: ComponentPath::default(), name: None, function: None, reason }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = &self.function {
            write!(f, "`{function}` in ")?;
        }
        write!(f, "{}", self.component)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(f, " {}", self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Open { kind, how } => write!(f, "has `{kind}` in its type, and {how}"),
            Reason::NoCrossing { why } => f.write_str(why),
            Reason::NoWindow { how } => write!(f, "has a list of plain data in its type, and {how}"),
            Reason::OtherType => f.write_str("has another type than this version knows it by"),
            Reason::Mixed => f.write_str("is one of the package's functions and something else too"),
            Reason::TypesDisagree => f.write_str("has not the same type in all components"),
            Reason::ResourcesDisagree { import, kind } => {
                write!(f, "is given `{kind}` and another resource as its import `{import}`")
            }
            Reason::ResourceUnknown { import, kind } => {
                write!(f, "is given `{kind}` as its import `{import}`, and is passed to where it is not followed")
            }
            Reason::Escapes { kind } => {
                write!(f, "passes `{kind}` to an instance or component that is not followed")
            }
            Reason::UnknownSwap => f.write_str("changes what is mapped, but does not come from the package"),
            Reason::Broken(what) => write!(f, "could not be written for the ledger: {what}"),
            Reason::GateName => f.write_str("uses a name that only the host's own functions have"),
            Reason::TrustedModule => f.write_str("has a core module that is one of the ledger's own, byte for byte"),
            Reason::NoRoom(what) => write!(f, "has no room for what the ledger adds: {what}"),
            Reason::TypesOfItsOwn => {
                f.write_str("has a built-in whose core function has types that no other module can name")
            }
            Reason::TooLarge => f.write_str("joins too many functions, or types that are too large"),
        }
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opening::Import(name) => write!(f, "comes from outside (root imports `{name}`)"),
            Opening::Export(name) => write!(f, "can be called from outside (root exports `{name}`)"),
            Opening::Unknown => f.write_str("goes through an instance or component that is not followed"),
            Opening::Start => f.write_str("is a start function"),
            Opening::Unsupported(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.package_name())
    }
}
