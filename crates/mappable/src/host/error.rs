//! Why calls trap. The errors that guests get are in [`wit_error`](super::wit_error).

use std::panic::Location;

/// Why a call of a function of `mappable:memory/types` trapped. Found in the chain of the error that the call into
/// the guest returns, with `error.downcast_ref::<TrapReason>()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrapReason {
    /// The list that names the memory lies in another one than the mapping.
    #[error("mapping used by another instance than the one that made it")]
    ForeignMapping,
    /// A borrowed handle came where an owned one is taken.
    #[error("a borrowed handle was passed where an owned one is needed")]
    Borrowed,
    /// A core module named no region: null, a reference to something else, or to a region that the host has taken out.
    #[error("the reference is to no region that this store holds")]
    NoRegion,
    /// A core module mapped a region that is mapped.
    #[error("the region is mapped already")]
    Mapped,
    /// A core module unmapped a region that is not mapped.
    #[error("the region is not mapped")]
    NotMapped,
    /// The engine did not let a memory grow by nothing, without which its base can't be refreshed (our bug, with this
    /// version of the engine).
    #[error("the memory's base was not refreshed: nothing more is mapped in it (a bug in mappable)")]
    NotRefreshed(#[source] wasmtime::Error),
    /// The memory is driven by the context of another store.
    #[error("the memory's mappings belong to another MappableCtx: a store keeps the one that it began with")]
    AnotherContext,
    /// In a closed composition: the instance has no handle of that index.
    #[error("unknown handle {handle} in instance {instance}")]
    UnknownHandle {
        /// The index.
        handle: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: the handle is one of another resource than is meant.
    #[error("handle {handle} in instance {instance} is a {found}, not a {meant}")]
    WrongKind {
        /// The handle's index.
        handle: u32,
        /// The component instance, by name.
        instance: String,
        /// The resource of the package that it is of.
        found: &'static str,
        /// The resource that is meant.
        meant: &'static str,
    },
    /// In a closed composition: a region was passed on, or used as a `mappable` or `frozen`, while it is mapped.
    #[error("lifted while mapped: region {region} of instance {instance}")]
    LiftedWhileMapped {
        /// A number that tells regions of the store apart.
        region: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: `realloc` or `post-return` made a call.
    #[error("cannot leave component instance {instance}: its realloc or post-return is running")]
    CannotLeave {
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: the handles that arrived are not those that were sent, because a `realloc` changed what
    /// it was given.
    #[error("handles were changed on their way to instance {instance}: {claimed} claimed of {sent} sent")]
    HandlesChanged {
        /// How many had been found.
        claimed: u32,
        /// How many were sent.
        sent: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: more handles in one call than there may be.
    #[error("more than {limit} handles in one call of instance {instance}")]
    TooManyHandles {
        /// How many there may be.
        limit: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: a pointer was not aligned.
    #[error("unaligned pointer {pointer:#x} in instance {instance}")]
    MisalignedPointer {
        /// The pointer.
        pointer: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: a list, or what a pointer is to, was not all in the memory.
    #[error("{len} bytes at {pointer:#x} are out of bounds in instance {instance}")]
    OutOfBounds {
        /// The pointer.
        pointer: u32,
        /// How many bytes were meant.
        len: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: a variant of no case.
    #[error("invalid variant discriminant {discriminant} in instance {instance}")]
    InvalidDiscriminant {
        /// The discriminant.
        discriminant: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: a `char` that there is not.
    #[error("invalid `char` bit pattern {char:#x} in instance {instance}")]
    InvalidChar {
        /// Its number.
        char: u32,
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: `realloc` or `post-return` had others pass lists or handles while some were on their way.
    #[error("a call of instance {instance} and one from within a realloc or post-return got in each other's way")]
    Interrupted {
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: the engine did not let a memory grow by nothing, without which its base can't be refreshed
    /// (our bug, with this version of the engine).
    #[error("the base of a memory of instance {instance} was not refreshed")]
    RefreshRefused {
        /// The component instance, by name.
        instance: String,
    },
    /// In a closed composition: there is no room for more handles in the store.
    #[error("no room for more handles in instance {instance}")]
    HandlesExhausted {
        /// The component instance, by name.
        instance: String,
    },
    /// In closed compositions: there is no room in the store for the handle table of one more component instance (32,767),
    /// or one more memory that lists are taken from (4,095).
    #[error("too many component instances in a store")]
    TooManyInstances,
    /// In closed compositions: the embedder passed a region to a store that had 65,536 already.
    #[error("too many regions in a store")]
    TooManyRegions,
    /// There is no memory for what the components of a closed composition share with the host.
    #[error("no memory for the store's ledger")]
    NoLedger(#[source] std::io::Error),
    /// The operating system refused, in the middle of a change that could not be undone.
    #[error("the operating system failed a mapping in a way that could not be undone")]
    Broken(#[source] std::io::Error),
    /// The region could not be read or written.
    #[error("the region could not be read or written")]
    Unreadable(#[source] std::io::Error),
    /// The embedder passed a handle that stands for nothing of that kind in the store: it was made up, passed twice, is of
    /// another kind, or its region was taken out.
    #[error(
        "handle {rep} was not given to this store as a {kind}, or was taken out of it: pass a handle that \
         MappableCtx::insert returned, once"
    )]
    NotGiven {
        /// The engine's representation of the handle.
        rep: u32,
        /// The resource of the package that the handle was passed as.
        kind: &'static str,
    },
    /// The embedder compiled the component by another way than [`Runtime::compile`](crate::Runtime::compile), which makes it
    /// ready to map.
    #[error("the component was not compiled by mappable: use Runtime::compile in place of Component::new")]
    NotCompiled,
    /// The embedder keeps a context in the store that another [`Runtime`](crate::Runtime) made.
    #[error(
        "the store's context is of another runtime: make it with Runtime::context of the one whose engine the store has"
    )]
    AnotherRuntime,
    /// A broken invariant: our bug.
    #[error("a bug in mappable: {what} ({file}:{line})")]
    Bug {
        /// What was found.
        what: String,
        /// Where this was noticed.
        file: &'static str,
        /// Where this was noticed.
        line: u32,
    },
}

/// A broken invariant, noticed where this is called.
#[track_caller]
pub(super) fn bug(what: impl Into<String>) -> TrapReason {
    let noticed = Location::caller();
    TrapReason::Bug { what: what.into(), file: noticed.file(), line: noticed.line() }
}

/// A handle's region that is not where it must be, noticed where this is called.
#[track_caller]
pub(super) fn misplaced(rep: u32, expected: &str) -> TrapReason {
    bug(format!("handle {rep} stands for no region that is {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_names_the_line_that_noticed_it() {
        let (reason, here) = (misplaced(7, "there"), line!());
        let TrapReason::Bug { what, file, line } = reason else { panic!("{reason}") };
        assert_eq!((file, line), (file!(), here), "{what}");
    }
}
