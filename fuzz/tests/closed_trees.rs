//! Closed trees of components do the same whatever they run on: plain values on a stock engine and on ours, handles in
//! each tier and by each strategy.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Result, Unstructured};
use mappable_fuzz::cases::{Case, long_run};
use mappable_fuzz::code::Code;
use mappable_fuzz::tiers::{Allowed, MEANT, Machine, Script, Strategy, Tier};
use mappable_fuzz::trees::{self, Misuse, Sort, coverage};
use mappable_testing::support::Wrong;

/// What a tree is asked, without misuse at first.
fn scripts(u: &mut Unstructured<'_>, handles: bool) -> Result<Vec<Script>> {
    let misuses: Vec<_> =
        Misuse::ALL.iter().filter(|it| !it.needs_streams() && (handles || !it.needs_handles())).collect();
    (0..8).map(|nth| Script::of_guests(u, 1..=3, &misuses, nth > 0)).collect()
}

/// What an input stands for.
fn case(bytes: &[u8]) -> Result<Case> {
    let mut u = Unstructured::new(bytes);
    let handles = u.ratio(2, 3)?;
    let scripts = scripts(&mut u, handles)?;
    let strategy = *u.choose(&Strategy::ALL)?;
    // Now and then by another strategy too: those agree as well.
    let other = if u.ratio(1, 4)? { Some(*u.choose(&Strategy::ALL)?) } else { None };
    let tree = trees::tree(&mut u, if handles { Sort::Closed } else { Sort::Plain })?;
    let mut machines = if handles { vec![] } else { vec![Machine::Stock(Code::Quick)] };
    machines.extend(Tier::ALL.iter().map(|tier| Machine::Ours(*tier, strategy, Code::Quick)));
    machines.extend(other.filter(|it| *it != strategy).map(|it| Machine::Ours(Tier::Ledger, it, Code::Quick)));
    Ok(Case::run(tree, scripts, Machine::all(machines, Code::of(bytes))))
}

#[test]
fn closed_trees() {
    mappable_fuzz::check!(2048, |bytes| {
        if let Ok(case) = case(bytes) {
            case.check();
        }
    });
}

/// Each sort of handle and list is in each place that the Component Model has for it, and trees have many shapes.
#[test]
fn trees_reach_every_position() {
    let sort = |seed| if seed % 4 != 0 { Sort::Closed } else { Sort::Plain };
    let counts = coverage::of_trees(400, sort, coverage::counts);
    let within = ["list", "record", "tuple", "variant", "option", "result"];
    let mut expected: Vec<String> =
        ["nested", "renamed", "utf-16", "latin-1", "two memories", "fixed memory", "post-return", "instance again"]
            .into_iter()
            .chain([
                "Passed",
                "Bundled",
                "diamond",
                "plain list in flat",
                "plain list in spilled",
                "plain list in area",
                "plain list in a variant of more cases, flat",
                "plain list in a variant of more cases, spilled",
                "plain list in a variant of more cases, area",
            ])
            .map(String::from)
            .collect();
    for kind in ["mappable", "frozen"] {
        let own = ["flat", "spilled", "area", "flat result"].into_iter().chain(within);
        expected.extend(own.map(|place| format!("own {kind} in {place}")));
        let lent = ["flat", "spilled"].into_iter().chain(within);
        expected.extend(lent.map(|place| format!("borrow {kind} in {place}")));
    }
    for kind in ["mapping", "frozen-mapping"] {
        expected.extend(["flat", "spilled", "area", "list"].map(|place| format!("own {kind} in {place}")));
    }
    let missing: Vec<_> = expected.iter().filter(|what| !counts.contains_key(*what)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing of {counts:#?}");
}

/// Trees that show them.
const SHOWING: [u64; 5] = [900068, 8000001, 8000118, 8000282, 20000517];

/// What is allowed and never seen would hide something. (`a_long_run` says in which tree it has first seen each.)
#[test]
fn each_difference_that_is_allowed_occurs() {
    let mut seen = BTreeSet::new();
    for seed in SHOWING {
        seen.extend(case(&mappable_fuzz::noise(seed, 2048)).unwrap().check());
    }
    let meant = MEANT.iter().map(|(one, other)| Allowed::Renamed(*one, *other));
    let missing: Vec<_> = Allowed::CLOSED.into_iter().chain(meant).filter(|it| !seen.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?} were not seen");
}

#[test]
fn most_trees_run_to_the_end_and_misuse_is_found() {
    let (mut ended, mut clean, mut shown) = (0, 0, 0);
    let mut named = BTreeMap::<_, BTreeMap<_, usize>>::new();
    let mut meant = BTreeMap::<_, usize>::new();
    let mut codes = BTreeMap::<_, usize>::new();
    for seed in 0..100 {
        let case = case(&mappable_fuzz::noise(seed, 2000)).unwrap();
        case.check().into_iter().for_each(|it| *meant.entry(it).or_default() += 1);
        for (script, runs) in &case.runs {
            runs.iter().for_each(|(machine, _)| *codes.entry(machine.code()).or_default() += 1);
            let (_, record) = &runs[0];
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
    let counts = format!("{ended} of {clean} end after {shown} looks; {meant:?}; {codes:?}; {named:#?}");
    println!("{counts}");
    assert!(Code::ALL.iter().all(|code| codes.get(code).is_some_and(|runs| *runs > 100)), "{counts}");
    assert!(ended >= clean - 2 && shown > 2000 && named.len() > 20, "{counts}");
}

#[test]
#[ignore = "for as long as one likes"]
fn a_long_run() {
    long_run(case);
}
