//! What a guest may do wrong, once.

use std::sync::LazyLock;

macro_rules! misuses {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// Something wrong. Who does it is in the guests' texts, by this name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Misuse { $($(#[$meta])* $name,)* }

        impl Misuse {
            /// All of them.
            pub const ALL: &[Misuse] = &[$(Misuse::$name,)*];
        }
    };
}

misuses! {
    /// The handle 0 is passed.
    Zero,
    /// A handle is passed that never was.
    Unknown,
    /// Any small number is passed as a handle.
    AnyIndex,
    /// A handle is passed that was dropped.
    Stale,
    /// A handle is passed, and may be passed again.
    Twice,
    /// A handle of another kind is passed.
    OtherKind,
    /// A region is passed that is mapped.
    Mapped,
    /// A handle that was lent is passed as an own one.
    BorrowGiven,
    /// A handle that may be lent in the same call is passed as an own one.
    LentGiven,
    /// As above, for handles that are lent.
    ZeroLent,
    /// ..
    AnyIndexLent,
    /// ..
    OtherKindLent,
    /// A borrowed handle is not dropped.
    BorrowKept,
    /// A mapping from elsewhere is to be unmapped here.
    ForeignUnmap,
    /// Something is stored into a frozen region that is mapped.
    FrozenStore,
    /// A list's pointer is one too high.
    ListMisaligned,
    /// A list begins outside of the memory.
    ListOutside,
    /// A list is far too long.
    ListTooLong,
    /// A list begins 8 bytes before the memory's end.
    ListAtEnd,
    /// A string is not of its encoding.
    BadString,
    /// A char that is none.
    BadChar,
    /// A discriminant that no case has.
    BadCase,
    /// A spilled parameters' record is misaligned.
    ParamsMisaligned,
    /// It is out of bounds.
    ParamsOutside,
    /// A return area is misaligned.
    AreaMisaligned,
    /// It is out of bounds.
    AreaOutside,
    /// A result is misaligned.
    ResultMisaligned,
    /// It is out of bounds.
    ResultOutside,
    /// `post-return` calls something.
    PostReturnLeaves,
    /// `realloc` traps.
    ReallocTraps,
    /// `realloc` calls the host.
    ReallocLeaves,
    /// `realloc` drops a handle.
    ReallocDrops,
    /// `realloc` gives something misaligned.
    ReallocMisaligned,
    /// `realloc` gives something out of bounds.
    ReallocOutside,
    /// `realloc` grows its memory, which it may.
    ReallocGrows,
    /// The writable end of a stream is closed with a write in progress.
    ClosedInUse,
    /// The readable end of a stream is passed with a read in progress.
    PassedInUse,
    /// An element is dropped when it is written, and perhaps read.
    GoneElement,
    /// `realloc` adds one to a word of what has arrived.
    TamperForged,
    /// `realloc` puts one word of what has arrived over another.
    TamperDoubled,
    /// `realloc` puts 0 over a word of what has arrived.
    TamperLost,
}

impl Misuse {
    /// What guests call it.
    pub fn number(self) -> u32 {
        self as u32 + 1
    }

    /// What a guest shows when it commits it (`mis` in `lib.wat`).
    pub fn look(self) -> u32 {
        1000 + self.number()
    }

    /// Whether it changes what has arrived.
    pub fn tampers(self) -> bool {
        self >= Misuse::TamperForged
    }

    /// Whether it uses an index that may be no handle's, or another's by then: one that is guessed, or that stays with
    /// the guest when its handle has gone.
    pub fn reuses(self) -> bool {
        let guesses = [Misuse::AnyIndex, Misuse::AnyIndexLent];
        let keeps = [Misuse::Stale, Misuse::Twice, Misuse::Mapped, Misuse::LentGiven, Misuse::GoneElement];
        guesses.contains(&self) || keeps.contains(&self)
    }

    /// Whether something is passed as an own handle that is none.
    pub fn gives(self) -> bool {
        self <= Misuse::LentGiven
    }

    /// Whether the guest that commits it needs handles.
    pub fn needs_handles(self) -> bool {
        self <= Misuse::FrozenStore || self == Misuse::ReallocDrops || self.needs_streams()
    }

    /// Whether the guest that commits it needs streams.
    pub fn needs_streams(self) -> bool {
        [Misuse::ClosedInUse, Misuse::PassedInUse, Misuse::GoneElement].contains(&self)
    }
}

/// Each one's number by its name.
pub(super) static GLOBALS: LazyLock<String> = LazyLock::new(|| {
    let global = |it: &Misuse| format!("(global ${it:?} i32 (i32.const {}))", it.number());
    Misuse::ALL.iter().map(global).collect()
});
