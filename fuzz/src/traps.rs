//! Why a run trapped, by name: what is wrong has a name whatever the engine, the host or the ledger says of it.

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// There is no such handle.
    UnknownHandle,
    /// The handle is of another type.
    OtherKind,
    /// The handle's region is mapped.
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
    /// Something is not in the memory.
    OutOfBounds,
    /// A pointer that is not aligned.
    Misaligned,
    /// A `realloc` changed what was on its way.
    Flight,
    /// A discriminant that no case has.
    Discriminant,
    /// A char that is none.
    Char,
    /// A string that is not of its encoding.
    Encoding,
    /// A guest gave up.
    Unreachable,
    /// The embedder called what can't be entered.
    CannotEnter,
    /// The embedder's own error, or a value of another type.
    Embedder,
}

/// What the texts have in them, of any tier. What comes first counts.
const SAID: [(Wrong, &[&str]); 17] = [
    (Wrong::UnknownHandle, &["unknown handle "]),
    (Wrong::Mapped, &["lifted while mapped"]),
    (Wrong::OtherKind, &["used with the wrong type", ", not a "]),
    (
        Wrong::Borrowed,
        &[
            "cannot lift own resource from a borrow",
            "a borrowed handle was passed",
            "is borrowed: it can't be passed on",
        ],
    ),
    (Wrong::Lent, &["cannot remove owned resource while borrowed", "is lent for a call"]),
    (Wrong::BorrowsRemain, &["borrow handles still remain", "borrowed handles remain"]),
    (Wrong::CannotLeave, &["cannot leave component instance"]),
    (Wrong::ForeignMapping, &["mapping used by another instance"]),
    (Wrong::OutOfBounds, &["out of bounds", "out-of-bounds", "beyond end of memory"]),
    (Wrong::Misaligned, &["unaligned pointer", "not aligned"]),
    (Wrong::Flight, &["handles were changed on their way"]),
    (Wrong::Discriminant, &["discriminant"]),
    (Wrong::Char, &["char"]),
    (Wrong::Encoding, &["utf-8", "utf-16", "utf16", "utf8"]),
    (Wrong::Unreachable, &["`unreachable` instruction executed"]),
    (Wrong::CannotEnter, &["cannot enter component instance"]),
    (Wrong::Embedder, &["the embedder fails", "mismatch"]),
];

/// The name of what is wrong, by the last words of a trap. None of one that nobody knows.
pub fn name(trap: &str) -> Option<Wrong> {
    let said = |text: &str| SAID.iter().find(|(_, parts)| parts.iter().any(|part| text.contains(part)));
    said(trap).map(|(wrong, _)| *wrong)
}
