//! Trees of components that pass readable ends of streams and futures to one another do the same in each tier and by each
//! strategy, on engines for concurrent components.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Result, Unstructured};
use mappable_fuzz::cases::{Case, long_run};
use mappable_fuzz::code::Code;
use mappable_fuzz::tiers::{Allowed, Machine, Script, Strategy, Tier};
use mappable_fuzz::trees::types::Elements;
use mappable_fuzz::trees::{self, Misuse, Sort, coverage};
use mappable_testing::support::Wrong;

/// What a tree is asked, without misuse at first; then every other time with one of handles or of streams.
fn scripts(u: &mut Unstructured<'_>) -> Result<Vec<Script>> {
    let of_handles: Vec<_> = Misuse::ALL.iter().filter(|it| it.needs_handles()).collect();
    let all: Vec<_> = Misuse::ALL.iter().collect();
    (0..8).map(|nth| Script::of_guests(u, 1..=3, if nth % 2 == 0 { &all } else { &of_handles }, nth > 0)).collect()
}

/// What an input stands for.
fn case(bytes: &[u8]) -> Result<Case> {
    let mut u = Unstructured::new(bytes);
    let scripts = scripts(&mut u)?;
    let strategy = *u.choose(&Strategy::ALL)?;
    let other = if u.ratio(1, 4)? { Some(*u.choose(&Strategy::ALL)?) } else { None };
    let tree = trees::tree(&mut u, Sort::Streaming)?;
    let machine = |tier, strategy| Machine::Concurrent(tier, strategy, Code::Quick);
    let mut machines: Vec<_> = Tier::ALL.iter().map(|tier| machine(*tier, strategy)).collect();
    machines.extend(other.filter(|it| *it != strategy).map(|it| machine(Tier::Ledger, it)));
    Ok(Case::run(tree, scripts, Machine::all(machines, Code::of(bytes))))
}

#[test]
fn streaming_trees() {
    mappable_fuzz::check!(2048, |bytes| {
        if let Ok(case) = case(bytes) {
            case.check();
        }
    });
}

/// Each sort of streams and futures is in each place that the Component Model has for it.
#[test]
fn ends_are_in_every_position() {
    let counts = coverage::of_trees(400, |_| Sort::Streaming, coverage::counts);
    let places = ["flat", "spilled", "area", "flat result", "list", "record", "tuple", "variant", "option", "result"];
    let expected = Elements::ALL.into_iter().flat_map(|it| places.map(|place| format!("{} in {place}", it.name())));
    let missing: Vec<_> = expected.filter(|what| !counts.contains_key(what)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing of {counts:#?}");
}

/// Trees that show them.
const SHOWING: [u64; 1] = [30000002];

/// What is allowed and never seen would hide something.
#[test]
fn each_difference_that_is_allowed_occurs() {
    let mut seen = BTreeSet::new();
    for seed in SHOWING {
        seen.extend(case(&mappable_fuzz::noise(seed, 2048)).unwrap().check());
    }
    let missing: Vec<_> = Allowed::STREAMING.into_iter().filter(|it| !seen.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?} were not seen");
}

#[test]
fn most_trees_run_to_the_end_and_misuse_is_found() {
    let (mut ended, mut clean, mut shown) = (0, 0, 0);
    let mut named = BTreeMap::<_, BTreeMap<_, usize>>::new();
    let mut meant = BTreeMap::<_, usize>::new();
    let mut came = BTreeMap::<_, usize>::new();
    for seed in 0..50 {
        let case = case(&mappable_fuzz::noise(seed, 2000)).unwrap();
        case.check().into_iter().for_each(|it| *meant.entry(it).or_default() += 1);
        for (script, runs) in &case.runs {
            let (_, record) = &runs[0];
            let reads = record.shown.iter().filter_map(|(what, _)| what.checked_sub(trees::CAME)).filter(|it| *it < 60);
            reads.for_each(|it| *came.entry((it / 10, it % 10)).or_default() += 1);
            let misuse = script.misuse.map(|(_, misuse, _)| misuse);
            clean += usize::from(misuse.is_none());
            match &record.trap {
                Some(trap) => *named.entry(misuse).or_default().entry(Wrong::of(trap)).or_default() += 1,
                None if misuse.is_none() => {
                    ended += 1;
                    shown += record.shown.len();
                }
                None => {}
            }
        }
    }
    let counts = format!("{ended} of {clean} end after {shown} looks; {meant:?}; {came:?} came; {named:#?}");
    println!("{counts}");
    assert!(ended >= clean - 1 && shown > 1000 && named.len() > 10, "{counts}");
    let all = Elements::ALL.map(|it| (it.number() as u32, if it.future { 1 } else { 3 }));
    assert!(all.iter().all(|it| came.contains_key(it)), "{counts}");
    let in_use = |misuse| named.get(&Some(misuse)).is_some_and(|by| by.contains_key(&Some(Wrong::InUse)));
    assert!(in_use(Misuse::ClosedInUse) && in_use(Misuse::PassedInUse), "{counts}");
}

#[test]
#[ignore = "for as long as one likes"]
fn a_long_run() {
    long_run(case);
}
