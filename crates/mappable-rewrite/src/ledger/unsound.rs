//! What an output can have that none may have.

/// Why an output of the ledger tier is not sound: one case for each rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsound {
    // Rule 1.
    /// A core module that nobody has vouched for.
    #[error("core module {0} is neither a guest's nor a trusted one")]
    UnknownModule(u32),
    /// A trusted module that a guest brought, byte for byte.
    #[error("core module {0} is both a guest's and a trusted one")]
    GuestIsTrusted(u32),
    /// A trusted module where it can't be followed.
    #[error("the trusted core module {0} is exported or passed to another component")]
    ModuleLeaves(u32),

    // Rule 2.
    /// A name of the gate's that is nobody's to import here, or not as an instance.
    #[error("the import `{0}` is of the gate's names, but not what has that name")]
    GateName(String),
    /// The ledger passed under a name that is not its own.
    #[error("the ledger is passed as `{0}`")]
    PassedAs(String),
    /// The ledger passed to a component that is not one of this tree which asks for it.
    #[error("the ledger is passed to component {0}, which is not one of the tree that imports it")]
    PassedTo(u32),
    /// A component that asks for the ledger and is not given it.
    #[error("component {0} imports the ledger and is not given it")]
    NotPassed(u32),
    /// The ledger or one of its functions where it can't be followed.
    #[error("the ledger, or a function of it, is exported or put in an instance")]
    LedgerLeaves,
    /// A component that asks for the ledger where it can't be followed.
    #[error("component {0}, which imports the ledger, is exported or passed to another component")]
    ComponentLeaves(u32),
    /// Something other than a function or type aliased from the ledger.
    #[error("`{0}` is aliased from the ledger, and is no function")]
    LedgerAlias(String),

    // Rule 3.
    /// A function of the ledger that has no such name.
    #[error("`{0}`, which is no function of the ledger, is lowered from it")]
    UnknownFunction(String),
    /// A lower of the ledger's with options that it is not made for.
    #[error("the ledger's function `{0}` is lowered with options that it is not made for")]
    LedgerOptions(String),

    // Rules 3 and 4.
    /// Something that only trusted modules may have.
    #[error("core instance {instance} has {item} as `{field}`, and is not for a trusted module alone")]
    InReach {
        /// The core instance made of exports.
        instance: u32,
        /// The export.
        field: String,
        /// What it is.
        item: Private,
    },
    /// An instance made for a trusted module used by somebody else too.
    #[error("core instance {0} is made for a trusted module, and is used by others too, or twice")]
    ArgumentShared(u32),
    /// A trusted instance as a whole passed to a module.
    #[error("the trusted core instance {0} is passed to a module")]
    InstancePassed(u32),
    /// A lower or built-in that a wrapper stands in front of, used past it.
    #[error("canonical function {0}, which a wrapper stands in front of, is used past it")]
    PastWrapper(u32),

    // Rules 3, 4 and 5.
    /// Something that no canonical function may name, or destructor be.
    #[error("{by} is {item}")]
    Named {
        /// As what.
        by: Place,
        /// What it is.
        item: Private,
    },

    // Rule 5.
    /// A `realloc` or `post-return` without a guard where there is a handle table.
    #[error("a `realloc` or `post-return` of canonical function {0} has no guard")]
    Unguarded(u32),
    /// A lower, or a built-in that leaves the component, without a may-leave check where wrappers call `realloc`.
    #[error("canonical function {0} has no may-leave check, and could be called by a `realloc` that a wrapper calls")]
    MayLeaveUnchecked(u32),
    /// A `realloc` that a wrapper calls sees the context slots of who called it.
    #[error("the `realloc` that the wrapper {0} calls has no guard that keeps the context slots from it")]
    SharesContext(u32),
    /// A wrapper stands at a canonical function that is not a plain synchronous one.
    #[error("canonical function {0}, which a wrapper is for, is not a plain synchronous one")]
    NotPlain(u32),

    // Rule 6.
    /// A lower of a function that changes what is mapped, and is not the ledger's.
    #[error("canonical function {0} lowers a function that changes what is mapped, and is not the ledger's")]
    Change(u32),

    // Rule 7.
    /// A trusted instance that is not given exactly what its module needs.
    #[error("the trusted core instance {0} is not given what its module imports")]
    Arguments(u32),
    /// A trusted instance that is given something else than it needs.
    #[error("the trusted core instance {instance} is given as `{field}` something else than that")]
    WrongArgument {
        /// The instance.
        instance: u32,
        /// Its import.
        field: &'static str,
    },
    /// A wrapper has another memory or `realloc` than the canonical function that it stands at.
    #[error("the wrapper {0} has another memory or `realloc` than the canonical function that it stands at")]
    OtherOptions(u32),
    /// A second instance of something that there is one of.
    #[error("core instance {0} is a second ledger's memory, window, window's start or handle table")]
    Second(u32),
    /// A wrapper that comes before what it depends on has started.
    #[error("the trusted core instance {0} comes before the table or window that it needs")]
    TooEarly(u32),
    /// A ledger's memory, or window, without what makes it one.
    #[error("a ledger's memory or window has no table or start")]
    Unjoined,

    // Rule 8.
    /// A function that has a wrapper in some of the places where it is lifted and lowered, or wrappers for several
    /// types.
    #[error("what canonical function {0} lifts or lowers has not the same wrapper wherever it is lifted and lowered")]
    OneSided(u32),
    // Rules 8 and 9.
    /// A function with a wrapper, of another type than the wrapper was made for, or than is left of that.
    #[error("canonical function {0} is of another type than its wrapper was made for")]
    OtherType(u32),

    // Rule 10.
    /// A canonical function that gives the engine handles of the package's, or drops them, and has no wrapper: a guest has the
    /// ledger's.
    #[error("canonical function {0} gives the engine handles of the package's, and no wrapper stands there")]
    NoCrossing(u32),
}

/// What nobody but trusted modules has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Private {
    /// A function of the ledger's host interface.
    #[error("a lowered function of the ledger")]
    Host,
    /// A memory, global, or inner function of a trusted instance.
    #[error("a trusted instance's own memory, global or function")]
    Inner,
    /// What stands in front of a lift.
    #[error("what stands in front of a guest's function")]
    Lift,
    /// What stands in front of a `realloc` or `post-return`.
    #[error("a guard")]
    Guard,
    /// A wrapper of ours where only a guard of it may be.
    #[error("a function of ours without a guard")]
    Door,
}

/// Where a core item is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Place {
    /// What canonical function so-and-so lifts.
    #[error("what canonical function {0} lifts")]
    Lifted(u32),
    /// An option of it.
    #[error("an option of canonical function {0}")]
    Option(u32),
    /// A resource's destructor.
    #[error("a resource's destructor")]
    Destructor,
}
