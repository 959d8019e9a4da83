//! The host's side of the ledger, as a component instance that only rewritten components are given: its name and its
//! functions.
//!
//! Functions of the package have their type with `u32` for each handle (the *closed version*), and what handles mean
//! goes by flight ([`layout`](super::layout)): the host claims what it takes in the order of the type, and puts in
//! flight what it gives; the `u32`s themselves are ignored on both sides.
//!
//! Where functions go the engine's way that have handles of ours in their types, components have them in the engine's own
//! tables too, and a function more for each kind, `leave-mappable` and so on: `func(region: u32) -> own<mappable>`. It gives the
//! engine's handle for a region, which is the ledger's no longer. The other way there is none: a handle that is dropped while
//! [`ENTER`](super::layout::ENTER) says so makes its region the ledger's.

use super::signature::{Kind, Signature, Value, name_of_each};

/// What the interface is called, in the gate's namespace: `mappable:<key>/ledger@0.1.0`.
pub const INTERFACE: &str = "ledger@0.1.0";

/// A function of the package that takes or gives handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Builtin {
    MappableAllocate,
    MappableSize,
    MappableLen,
    MappableSetLen,
    MappableMap,
    MappableRead,
    MappableWrite,
    MappableFreeze,
    MappableSplit,
    MappableJoin,
    MappingUnmap,
    FrozenSize,
    FrozenLen,
    FrozenClone,
    FrozenSlice,
    FrozenMap,
    FrozenMapPrivate,
    FrozenThaw,
    FrozenCopy,
    FrozenRead,
    FrozenMappingUnmap,
}

impl Builtin {
    /// All of them.
    pub(crate) const ALL: [Builtin; 21] = [
        Builtin::MappableAllocate,
        Builtin::MappableSize,
        Builtin::MappableLen,
        Builtin::MappableSetLen,
        Builtin::MappableMap,
        Builtin::MappableRead,
        Builtin::MappableWrite,
        Builtin::MappableFreeze,
        Builtin::MappableSplit,
        Builtin::MappableJoin,
        Builtin::MappingUnmap,
        Builtin::FrozenSize,
        Builtin::FrozenLen,
        Builtin::FrozenClone,
        Builtin::FrozenSlice,
        Builtin::FrozenMap,
        Builtin::FrozenMapPrivate,
        Builtin::FrozenThaw,
        Builtin::FrozenCopy,
        Builtin::FrozenRead,
        Builtin::FrozenMappingUnmap,
    ];

    /// Its name in the package.
    pub(crate) fn package_name(self) -> &'static str {
        match self {
            Builtin::MappableAllocate => "[static]mappable.allocate",
            Builtin::MappableSize => "[method]mappable.size",
            Builtin::MappableLen => "[method]mappable.len",
            Builtin::MappableSetLen => "[method]mappable.set-len",
            Builtin::MappableMap => "[static]mappable.map",
            Builtin::MappableRead => "[method]mappable.read",
            Builtin::MappableWrite => "[method]mappable.write",
            Builtin::MappableFreeze => "[static]mappable.freeze",
            Builtin::MappableSplit => "[static]mappable.split",
            Builtin::MappableJoin => "[static]mappable.join",
            Builtin::MappingUnmap => "[static]mapping.unmap",
            Builtin::FrozenSize => "[method]frozen.size",
            Builtin::FrozenLen => "[method]frozen.len",
            Builtin::FrozenClone => "[method]frozen.clone",
            Builtin::FrozenSlice => "[method]frozen.slice",
            Builtin::FrozenMap => "[static]frozen.map",
            Builtin::FrozenMapPrivate => "[static]frozen.map-private",
            Builtin::FrozenThaw => "[static]frozen.thaw",
            Builtin::FrozenCopy => "[method]frozen.copy",
            Builtin::FrozenRead => "[method]frozen.read",
            Builtin::FrozenMappingUnmap => "[static]frozen-mapping.unmap",
        }
    }

    /// Which function of the package is called so.
    pub(crate) fn named(name: &str) -> Option<Builtin> {
        Self::ALL.into_iter().find(|builtin| builtin.package_name() == name)
    }

    /// Its type in the package.
    pub(crate) fn signature(self) -> Signature {
        use Kind::{Frozen, FrozenMapping, Mappable, Mapping};
        use Value::{Borrow, Own, Record, U32, U64};
        let bytes = || Value::List(Box::new(Value::U8));
        let result = |ok: Option<Value>, err: Option<Value>| Some(Value::Variant(vec![ok, err]));
        let error = |cases: usize| Value::Variant(vec![None; cases]);
        let swap = |taken: Kind, given: Kind| {
            let params = vec![Own(taken), bytes()];
            (params, result(Some(Own(given)), Some(Record(vec![Own(taken), error(MAP_ERRORS)]))))
        };
        let (params, result) = match self {
            Builtin::MappableAllocate => (vec![U64], result(Some(Own(Mappable)), Some(error(ALLOCATE_ERRORS)))),
            Builtin::MappableSize | Builtin::MappableLen => (vec![Borrow(Mappable)], Some(U64)),
            Builtin::MappableSetLen => (vec![Borrow(Mappable), U64], result(None, Some(error(ACCESS_ERRORS)))),
            Builtin::MappableMap => swap(Mappable, Mapping),
            Builtin::MappingUnmap => swap(Mapping, Mappable),
            Builtin::FrozenMap | Builtin::FrozenMapPrivate => swap(Frozen, FrozenMapping),
            Builtin::FrozenMappingUnmap => swap(FrozenMapping, Frozen),
            Builtin::MappableRead => {
                (vec![Borrow(Mappable), U64, U32], result(Some(bytes()), Some(error(ACCESS_ERRORS))))
            }
            Builtin::FrozenRead => (vec![Borrow(Frozen), U64, U32], result(Some(bytes()), Some(error(ACCESS_ERRORS)))),
            Builtin::MappableWrite => (vec![Borrow(Mappable), U64, bytes()], result(None, Some(error(ACCESS_ERRORS)))),
            Builtin::MappableFreeze => (vec![Own(Mappable)], Some(Own(Frozen))),
            Builtin::MappableSplit => {
                let halves = Record(vec![Own(Mappable), Own(Mappable)]);
                let refused = Record(vec![Own(Mappable), error(PART_ERRORS)]);
                (vec![Own(Mappable), U64], result(Some(halves), Some(refused)))
            }
            Builtin::MappableJoin => {
                let both = Record(vec![Own(Mappable), Own(Mappable)]);
                (vec![Own(Mappable), Own(Mappable)], result(Some(Own(Mappable)), Some(both)))
            }
            Builtin::FrozenSize | Builtin::FrozenLen => (vec![Borrow(Frozen)], Some(U64)),
            Builtin::FrozenClone => (vec![Borrow(Frozen)], result(Some(Own(Frozen)), Some(error(ALLOCATE_ERRORS)))),
            Builtin::FrozenSlice => {
                (vec![Borrow(Frozen), U64, U64], result(Some(Own(Frozen)), Some(error(PART_ERRORS))))
            }
            Builtin::FrozenThaw => (vec![Own(Frozen)], result(Some(Own(Mappable)), Some(Own(Frozen)))),
            Builtin::FrozenCopy => (vec![Borrow(Frozen)], result(Some(Own(Mappable)), Some(error(ALLOCATE_ERRORS)))),
        };
        Signature { params, result }
    }

    /// Whether the one handle that it takes is borrowed, as its first parameter.
    pub(crate) fn borrows(self) -> bool {
        matches!(self.signature().params.first(), Some(Value::Borrow(_)))
    }

    /// Its name in the ledger's interface: `mappable-map`.
    pub(crate) fn ledger_name(self) -> String {
        let name = self.package_name();
        let name = name.split_once(']').map_or(name, |(_, name)| name);
        name.replace('.', "-")
    }
}

/// How many cases the package's error types have.
const MAP_ERRORS: usize = crate::package::MARK.len();
const ALLOCATE_ERRORS: usize = 3;
const PART_ERRORS: usize = 3;
const ACCESS_ERRORS: usize = 2;

/// What takes the number of a region and gives the engine's handle of a kind.
pub const fn leave(kind: Kind) -> &'static str {
    name_of_each!("leave-", kind)
}

/// What only trusted modules call, by name in the interface, but for [`leave`]:
///
/// | name | type | what it does |
/// | --- | --- | --- |
/// | `join` | `func(memory: list<u8>, name: list<u8>) -> u32` | the memory of the call becomes the ledger (`memory` is empty: it only makes the call name one); a new handle table for the component instance `name`; its number |
/// | `more` | `func(table: u32)` | doubles the table's room, or traps |
/// | `drop` | `func(region: u32, kind: u32)` | frees a region, or leaves it lingering where it is mapped |
/// | `fail` | `func(table: u32, code: u32, first: u32, second: u32)` | traps; says why ([`Failure`]) |
/// | `memory-number` | `func(memory: list<u8>) -> u32` | the memory number of the guest's memory that `memory` (empty) lies in, or 0 |
/// | `window` | `func(table: u32, memory: list<u8>)` | the memory that `memory` (empty) lies in shows from now on what the table's `TABLE_AIM` says |
/// | `free-bounce` | `func()` | frees the bounce's pages |
pub const HELPERS: [&str; 7] = ["join", "more", "drop", "fail", "memory-number", "window", "free-bounce"];

/// Why a trusted module makes its caller trap: `fail`'s `code`, and what `first` and `second` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Failure {
    /// No such handle. `first`: the handle.
    UnknownHandle = 1,
    /// The handle is of another kind. `first`: the handle; `second`: the kind that was meant (its entry tells what it
    /// is).
    WrongKind = 2,
    /// A `mapping` where a `mappable` is meant, or `frozen-mapping` for `frozen`. `first`: the handle; `second`: the
    /// region.
    Mapped = 3,
    /// `realloc` or `post-return` called something of ours.
    CannotLeave = 4,
    /// What arrived is not what was sent: a `realloc` changed what it was given. `first`: how many were claimed;
    /// `second`: how many were sent.
    Flight = 5,
    /// Too many handles in one call. `first`: how many there may be.
    FlightFull = 6,
    /// A pointer that is not aligned. `first`: the pointer.
    Misaligned = 7,
    /// A list or pointer outside of the memory. `first`: the pointer; `second`: the length in bytes.
    OutOfBounds = 8,
    /// A variant's discriminant that no case has. `first`: the discriminant.
    Discriminant = 9,
    /// `realloc` or `post-return` made a call that the ledger had part in. No arguments.
    Interrupted = 10,
    /// The refresh of the memory's base was refused. No arguments.
    Refused = 11,
    /// A broken invariant: our bug. `first`: where.
    Bug = 12,
    /// A borrowed handle for an owned one. `first`: the handle.
    Borrowed = 13,
    /// A `char` that there is not. `first`: its number.
    Char = 14,
}
