//! What a guest did wrong, and how each tier says so: the same table as in `docs/src/spec.md`.

use super::{Setup, trapped};

/// Why a call trapped, whatever tier the guest is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// There is no such handle: never given, used up, handed over, or another instance's.
    UnknownHandle,
    /// The handle is of another type.
    OtherKind,
    /// The handle's region is mapped: its number is a `mapping`'s, or nobody's any more.
    Mapped,
    /// A borrowed handle where an owned one is meant.
    Borrowed,
    /// The handle is lent in this very call.
    Lent,
    /// A borrowed handle was kept beyond the call.
    BorrowsRemain,
    /// `realloc` or `post-return` called something.
    CannotLeave,
    /// A mapping that another instance made.
    ForeignMapping,
    /// A list that is not in the memory.
    OutOfBounds,
    /// A pointer that is not aligned.
    Misaligned,
    /// A `realloc` changed what was on its way. At baseline there is nothing that it could change.
    Flight,
    /// A variant's discriminant that no case has.
    Discriminant,
    /// What runs while a value is on its way had others pass values. At baseline that is nobody's business.
    Interrupted,
    /// A char that is none.
    Char,
    /// A string that is not of its encoding.
    Encoding,
    /// A guest gave up.
    Unreachable,
    /// An end of a stream is closed or passed on with a read or a write in progress.
    InUse,
    /// The embedder called what can't be entered.
    CannotEnter,
    /// The embedder's own error, or a value of another type.
    Embedder,
}

/// What each is called in `docs/src/spec.md`; what the texts of the baseline and of the ledger have in them. (Some depend
/// on who copies: the engine, or code that it compiled.)
pub const SAID: [(Wrong, &str, &[&str], &[&str]); 14] = [
    (Wrong::UnknownHandle, "no such handle", &["unknown handle index"], &["unknown handle "]),
    (Wrong::OtherKind, "a handle of another type", &["used with the wrong type"], &[", not a "]),
    (
        Wrong::Mapped,
        "a mapped region or reference, lifted",
        &["used with the wrong type", "unknown handle index"],
        &["lifted while mapped"],
    ),
    (
        Wrong::Borrowed,
        "a borrowed handle for an owned one",
        &["cannot lift own resource from a borrow", "a borrowed handle was passed"],
        &["cannot lift own resource from a borrow", "a borrowed handle was passed"],
    ),
    (
        Wrong::Lent,
        "a handle that is lent, given up",
        &["cannot remove owned resource while borrowed"],
        &["cannot remove owned resource while borrowed"],
    ),
    (
        Wrong::BorrowsRemain,
        "a borrowed handle kept beyond its call",
        &["borrow handles still remain"],
        &["borrow handles still remain"],
    ),
    (
        Wrong::CannotLeave,
        "a call in `realloc` or `post-return`",
        &["cannot leave component instance"],
        &["cannot leave component instance"],
    ),
    (
        Wrong::ForeignMapping,
        "another instance's mapping",
        &["mapping used by another instance"],
        &["mapping used by another instance"],
    ),
    (
        Wrong::OutOfBounds,
        "a list outside of the memory",
        &["out of bounds", "out-of-bounds", "beyond end of memory"],
        &["out of bounds", "out-of-bounds", "beyond end of memory"],
    ),
    (
        Wrong::Misaligned,
        "a pointer that is not aligned",
        &["unaligned pointer", "not aligned"],
        &["unaligned pointer", "not aligned"],
    ),
    (Wrong::Flight, "a value that `realloc` changed", &[], &["handles were changed on their way"]),
    (Wrong::Discriminant, "a variant of no case", &["discriminant", "unreachable"], &["discriminant"]),
    (Wrong::Char, "a `char` that there is not", &["char"], &["char"]),
    (Wrong::Interrupted, "values passed while others are on their way", &[], &["got in each other's way"]),
];

/// What is wrong whatever the tier, and says the same.
const SAID_ALWAYS: [(Wrong, &[&str]); 6] = [
    (Wrong::Unreachable, &["`unreachable` instruction executed"]),
    (Wrong::Encoding, &["utf-8", "utf-16", "utf16", "utf8"]),
    (Wrong::InUse, &["busy"]),
    // An end of a stream, in the same table.
    (Wrong::OtherKind, &["is not a resource"]),
    (Wrong::CannotEnter, &["cannot enter component instance"]),
    (Wrong::Embedder, &["the embedder fails", "mismatch"]),
];

impl Wrong {
    /// What is wrong by the last words of a trap, in whatever tier. None if nobody knows. What comes first counts:
    /// an engine's adapter that meets a wrong discriminant gives up as a guest does.
    pub fn of(trap: &str) -> Option<Self> {
        let said = |parts: &[&str]| parts.iter().any(|part| trap.contains(part));
        let by_tier = SAID.map(|(wrong, _, baseline, ledger)| (wrong, said(baseline) || said(ledger)));
        let [unreachable, always @ ..] = SAID_ALWAYS.map(|(wrong, parts)| (wrong, said(parts)));
        let mut all = [unreachable].into_iter().chain(by_tier).chain(always);
        all.find(|(_, said)| *said).map(|(wrong, _)| wrong)
    }
}

impl Setup {
    /// Whether an error tells of this.
    pub fn tells(self, wrong: Wrong, error: &wasmtime::Error) -> bool {
        let (_, _, baseline, ledger) = SAID.into_iter().find(|(it, ..)| *it == wrong).unwrap();
        let text = format!("{error:?}");
        let said = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        // Handles of the engine's come into components of the ledger too.
        said(baseline) || self.is_ledger() && said(ledger)
    }
}

/// The call trapped because the guest has no such handle.
#[track_caller]
pub fn unknown_handle<T: std::fmt::Debug>(setup: Setup, answer: wasmtime::Result<T>) {
    wrong(setup, answer, &[Wrong::UnknownHandle]);
}

/// The call trapped, for one of these reasons.
#[track_caller]
pub fn wrong<T: std::fmt::Debug>(setup: Setup, answer: wasmtime::Result<T>, reasons: &[Wrong]) {
    let error = trapped(answer);
    assert!(reasons.iter().any(|it| setup.tells(*it, &error)), "{reasons:?} is meant: {error:?}");
}
