//! Where two runs of a tree differ that must not.

use mappable_testing::support::Wrong;

use super::{Machine, Record, Script, Strategy, Tier};
use crate::embedder::BEYOND;
use crate::trees::Misuse;

/// What two runs of a tree may differ in, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// What a trap is called: of two things that are wrong, each tier finds another ([`MEANT`]).
    Renamed(Wrong, Wrong),
    /// All from the first look at what was received on, if `realloc` changed what had arrived: the engine writes a
    /// handle when it comes to it, and the ledger when all has been received, so that one's change is the other's trap
    /// (`Failure::Flight`), or is gone.
    Tampered,
    /// How far it came until the trap for a return area that is misaligned or out of bounds: the engine looks at it
    /// when it writes the result, the ledger's wrapper before the call.
    AreaSooner,
    /// Whether a misaligned pointer was noticed: a list that goes by window is allocated when all else has arrived, so
    /// that another `realloc` is the one that does wrong, perhaps for bytes.
    OtherRealloc,
    /// What came after a store into a frozen mapping: where pages are mapped it traps, where bytes are copied it is
    /// private.
    FrozenStore,
    /// What came after the result of a function that the embedder called was a wrong handle: the engine finds out when no component runs,
    /// and lets the embedder call again. A wrapper finds out, and the store is closed.
    Outside,
    /// What came after an index was guessed, or used once more after its handle was gone: where some functions cross, a
    /// guest's handles are in two tables, and which index is free, or another handle's by now, depends on the tier.
    Reused,
    /// How far it came until the trap for what was written to a stream and is no element, and what was made until then: the
    /// ledger finds out when it is written, the engine when it is read.
    Elements,
    /// All that comes after the embedder made up a handle or swallowed a trap, but that nobody changes what it holds.
    /// Each tier finds out at another place, or not.
    Beyond,
}

impl Allowed {
    /// All that streaming trees show, beside those that closed ones do.
    pub const STREAMING: [Allowed; 1] = [Allowed::Elements];
    /// All that open trees show, beside those that closed ones do.
    pub const OPEN: [Allowed; 2] = [Allowed::Outside, Allowed::Beyond];
    /// All that closed trees show, but those of traps' names.
    pub const CLOSED: [Allowed; 5] =
        [Allowed::Tampered, Allowed::AreaSooner, Allowed::OtherRealloc, Allowed::FrozenStore, Allowed::Reused];
}

/// What the ledger calls by another name than the engine, and that.
///
/// A region that is mapped: the engine finds the `mapping`, of which the ledger says what it is.
pub const MEANT: [(Wrong, Wrong); 1] = [(Wrong::OtherKind, Wrong::Mapped)];

impl Machine {
    fn copies(self) -> bool {
        matches!(self, Machine::Ours(_, Strategy::Copy, _) | Machine::Concurrent(_, Strategy::Copy, _))
    }

    fn is_ledger(self) -> bool {
        matches!(self, Machine::Ours(Tier::Ledger, ..) | Machine::Concurrent(Tier::Ledger, ..))
    }
}

/// Where the runs differ in what they must not.
///
/// # Errors
///
/// What differs.
pub fn compare(
    script: &Script,
    [one_on, other_on]: [Machine; 2],
    [one, other]: [&Record; 2],
) -> Result<Vec<Allowed>, String> {
    let mut allowed = vec![];
    let all = [one, other].map(|record| [&record.shown[..], &record.later.0].concat());
    let beyond = all.each_ref().map(|all| all.iter().position(|(what, _)| *what == BEYOND));
    for trap in [&one.trap, &other.trap].into_iter().flatten() {
        let ours = trap.contains("bug in mappable") || trap.contains("was not given to this store");
        if ours && beyond == [None; 2] {
            return Err(format!("a trap that is nobody's fault but ours: {trap}"));
        }
    }
    if let Some(hurt) = one.hurt.iter().chain(&other.hurt).next() {
        return Err(format!("what the embedder holds was changed: {hurt}"));
    }
    if one == other {
        return Ok(allowed);
    }
    if let [Some(end), Some(_)] = beyond
        && all[1].starts_with(&all[0][..end])
    {
        return Ok(vec![Allowed::Beyond]);
    }
    let stores = script.misuse.is_some_and(|(_, misuse, _)| misuse == Misuse::FrozenStore);
    if stores && one_on.copies() != other_on.copies() {
        let [trapping, private] = if one_on.copies() { [other, one] } else { [one, other] };
        let traps = trapping.trap.as_deref().and_then(Wrong::of) == Some(Wrong::OutOfBounds);
        if traps && private.shown.starts_with(&trapping.shown) {
            return Ok(vec![Allowed::FrozenStore]);
        }
    }
    let gives = script.misuse.is_some_and(|(_, misuse, _)| misuse.gives());
    if one.streams && gives && one_on.is_ledger() != other_on.is_ledger() {
        let [sooner, later] = if one_on.is_ledger() { [one, other] } else { [other, one] };
        let trap = sooner.trap.as_deref().and_then(Wrong::of);
        // Perhaps nothing was shown since, and more was made.
        let went_on = later.shown.len() > sooner.shown.len() || (later.trap.is_some() && later.held != sooner.held);
        if went_on && later.shown.starts_with(&sooner.shown) && trap.is_some_and(|trap| OF_HANDLES.contains(&trap)) {
            return Ok(vec![Allowed::Elements]);
        }
    }
    if let Some(whole) = script.misuse.and_then(|(_, misuse, _)| whole(misuse, one, other)) {
        return Ok(vec![whole]);
    }
    if let Some(nth) =
        (0..one.shown.len().max(other.shown.len())).find(|nth| one.shown.get(*nth) != other.shown.get(*nth))
    {
        let what = |record: &Record| format!("{:?}, then {:?}", record.shown.get(nth), record.trap);
        return Err(format!("look {nth}: {} against {}", what(one), what(other)));
    }
    if one.returned != other.returned || one.trap.is_some() != other.trap.is_some() {
        return Err(format!("{:?} {:?} against {:?} {:?}", one.returned, one.trap, other.returned, other.trap));
    }
    if one.held != other.held {
        return Err(format!("{:x?} held against {:x?}", one.held, other.held));
    }
    if found_outside(one) != found_outside(other) {
        allowed.push(Allowed::Outside);
    } else if one.later != other.later {
        return Err(format!("after {:?}: {:x?} against {:x?}", one.trap, one.later, other.later));
    }
    let names = [one, other].map(|record| record.trap.as_deref().map(Wrong::of));
    match names {
        [Some(None), _] | [_, Some(None)] => {
            return Err(format!("a trap has no name: {:?}, {:?}", one.trap, other.trap));
        }
        [Some(Some(one)), Some(Some(other))] if MEANT.contains(&(one, other)) => {
            allowed.push(Allowed::Renamed(one, other));
        }
        [one_name, other_name] if one_name != other_name => {
            return Err(format!("{:?} against {:?}", one.trap, other.trap));
        }
        _ => {}
    }
    Ok(allowed)
}

/// What is wrong with a handle that is passed.
const OF_HANDLES: [Wrong; 5] = [Wrong::UnknownHandle, Wrong::OtherKind, Wrong::Mapped, Wrong::Borrowed, Wrong::Lent];

/// Whether a trap is for the result of a function that the embedder called, and in no component.
fn found_outside(record: &Record) -> bool {
    let in_none = |trap: &&str| !trap.contains("wasm backtrace");
    let wrong = record.trap.as_deref().filter(in_none).and_then(Wrong::of);
    wrong.is_some_and(|wrong| OF_HANDLES.contains(&wrong))
}

/// Whether the runs may differ in all from some look on, and why.
fn whole(misuse: Misuse, one: &Record, other: &Record) -> Option<Allowed> {
    match misuse {
        _ if misuse.tampers() => {
            // The one that ended before it could say so was tampered with where the other says so.
            let until = |record: &Record| record.shown.iter().position(|(what, _)| *what == 777);
            let end = [until(one), until(other)].into_iter().flatten().min();
            let end = end.unwrap_or_else(|| one.shown.len().min(other.shown.len()));
            let common = end.min(one.shown.len()).min(other.shown.len());
            (one.shown[..common] == other.shown[..common]).then_some(Allowed::Tampered)
        }
        Misuse::AreaMisaligned | Misuse::AreaOutside => {
            let sooner = one.trap.is_some() && other.trap.is_some() && one.shown.starts_with(&other.shown);
            (sooner && one.shown.len() > other.shown.len()).then_some(Allowed::AreaSooner)
        }
        _ if misuse.reuses() => {
            let [one_all, other_all] = [one, other].map(|record| [&record.shown[..], &record.later.0].concat());
            let until = one_all.iter().position(|(what, _)| *what == misuse.look())?;
            (one.crosses && other_all.get(..=until) == one_all.get(..=until)).then_some(Allowed::Reused)
        }
        Misuse::ReallocMisaligned => {
            let noticed = |record: &Record| record.trap.as_deref().and_then(Wrong::of) == Some(Wrong::Misaligned);
            let went_on = |one: &Record, other: &Record| noticed(one) && other.shown.starts_with(&one.shown);
            (went_on(one, other) != went_on(other, one)).then_some(Allowed::OtherRealloc)
        }
        _ => None,
    }
}
