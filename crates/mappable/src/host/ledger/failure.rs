//! Turns the codes with which trusted modules fail into reasons of traps that name the component instance.

use super::super::error::{TrapReason, bug};
use crate::ledger::Kind;
use crate::ledger::interface::Failure;

const ALL: [Failure; 14] = [
    Failure::UnknownHandle,
    Failure::WrongKind,
    Failure::Mapped,
    Failure::CannotLeave,
    Failure::Flight,
    Failure::FlightFull,
    Failure::Misaligned,
    Failure::OutOfBounds,
    Failure::Discriminant,
    Failure::Interrupted,
    Failure::Refused,
    Failure::Bug,
    Failure::Borrowed,
    Failure::Char,
];

/// The reason that stands behind a code and its arguments. `found` is the kind of the handle `first`.
pub(super) fn reason(
    instance: String,
    code: u32,
    first: u32,
    second: u32,
    found: impl FnOnce() -> Option<Kind>,
) -> TrapReason {
    let Some(failure) = ALL.into_iter().find(|failure| *failure as u32 == code) else {
        return bug(format!("failure {code} in instance {instance}"));
    };
    match failure {
        Failure::UnknownHandle => TrapReason::UnknownHandle { handle: first, instance },
        Failure::WrongKind => TrapReason::WrongKind {
            handle: first,
            instance,
            found: name(found()),
            meant: name(crate::ledger::kind(second)),
        },
        Failure::Mapped => TrapReason::LiftedWhileMapped { region: second, instance },
        Failure::CannotLeave => TrapReason::CannotLeave { instance },
        Failure::Flight => TrapReason::HandlesChanged { claimed: first, sent: second, instance },
        Failure::FlightFull => TrapReason::TooManyHandles { limit: first, instance },
        Failure::Misaligned => TrapReason::MisalignedPointer { pointer: first, instance },
        Failure::OutOfBounds => TrapReason::OutOfBounds { pointer: first, len: second, instance },
        Failure::Discriminant => TrapReason::InvalidDiscriminant { discriminant: first, instance },
        Failure::Interrupted => TrapReason::Interrupted { instance },
        Failure::Refused => TrapReason::RefreshRefused { instance },
        Failure::Borrowed => TrapReason::Borrowed,
        Failure::Char => TrapReason::InvalidChar { char: first, instance },
        Failure::Bug => bug(format!("a broken invariant, {first} ({second}), in instance {instance}")),
    }
}

pub(super) fn name(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Mappable) => "mappable",
        Some(Kind::Mapping) => "mapping",
        Some(Kind::Frozen) => "frozen",
        Some(Kind::FrozenMapping) => "frozen-mapping",
        None => "handle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_text_of_one_line_that_names_the_instance() {
        for failure in ALL.into_iter().filter(|failure| *failure != Failure::Borrowed) {
            let text = reason("b".to_owned(), failure as u32, 5, 7, || Some(Kind::Frozen)).to_string();
            assert!(text.contains("instance b") && !text.contains('\n'), "{failure:?}: {text}");
            assert_eq!(text.contains("a bug in mappable"), matches!(failure, Failure::Bug), "{text}");
        }
        let text = |failure: Failure| reason("b".to_owned(), failure as u32, 5, 1, || Some(Kind::Frozen)).to_string();
        assert_eq!(text(Failure::Mapped), "lifted while mapped: region 1 of instance b");
        assert_eq!(text(Failure::UnknownHandle), "unknown handle 5 in instance b");
        assert_eq!(text(Failure::WrongKind), "handle 5 in instance b is a frozen, not a mappable");
        let unknown = reason("b".to_owned(), 16, 0, 0, || None);
        assert!(matches!(unknown, TrapReason::Bug { .. }), "{unknown}");
    }
}
