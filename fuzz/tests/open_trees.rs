//! Open trees of components, which the embedder calls and which call the embedder, do the same in each tier and by each
//! strategy; and what the embedder holds nobody changes.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Result, Unstructured};
use mappable_fuzz::cases::{Case, long_run};
use mappable_fuzz::code::Code;
use mappable_fuzz::embedder::Lapse;
use mappable_fuzz::tiers::{Allowed, Machine, Script, Strategy, Tier};
use mappable_fuzz::trees::{self, Misuse, Sort, coverage};
use mappable_testing::support::Wrong;

/// What a tree is asked: without misuse at first, then with a guest's, then with the embedder's, and so on.
fn scripts(u: &mut Unstructured<'_>) -> Result<Vec<Script>> {
    let misuses: Vec<_> = Misuse::ALL.iter().filter(|it| !it.needs_streams()).collect();
    let script = |nth| {
        let script = Script::of_guests(u, 2..=6, &misuses, nth % 3 == 1)?;
        let lapse = (*u.choose(&Lapse::ALL)?, *u.choose(&[1, 1, 2, 4])?);
        Ok(Script { lapse: (nth % 3 == 2).then_some(lapse), ..script })
    };
    (0..9).map(script).collect()
}

/// What an input stands for.
fn case(bytes: &[u8]) -> Result<Case> {
    let mut u = Unstructured::new(bytes);
    let scripts = scripts(&mut u)?;
    let strategy = *u.choose(&Strategy::ALL)?;
    // Where components are concurrent the embedder can't call a tree that has called it, whatever the tier.
    let other = [Strategy::Swap, Strategy::Copy].into_iter().find(|it| *it != strategy && strategy != Strategy::Remap);
    let other = if u.ratio(1, 4)? { other } else { None };
    let tree = trees::tree(&mut u, Sort::Open)?;
    let mut machines: Vec<_> = Tier::ALL.iter().map(|tier| Machine::Ours(*tier, strategy, Code::Quick)).collect();
    machines.extend(other.map(|it| Machine::Ours(Tier::Ledger, it, Code::Quick)));
    Ok(Case::run(tree, scripts, Machine::all(machines, Code::of(bytes))))
}

#[test]
fn open_trees() {
    mappable_fuzz::check!(2048, |bytes| {
        if let Ok(case) = case(bytes) {
            case.check();
        }
    });
}

/// Functions with each sort of handle go each way, alone and in instances.
#[test]
fn ports_have_every_form() {
    let counts = coverage::of_trees(200, |_| Sort::Open, coverage::counts_of_ports);
    let mut expected = vec!["exported twice".to_owned()];
    for (side, forms) in
        [("import", &["Functions", "Instance"][..]), ("export", &["Functions", "Instance", "Whole"][..])]
    {
        for form in forms {
            for kind in ["mappable", "frozen"] {
                expected.extend(["flat", "flat result"].map(|at| format!("own {kind} in {at}, {side}, {form}")));
            }
            expected.push(format!("sixteen parameters, {side}, {form}"));
        }
    }
    let missing: Vec<_> = expected.iter().filter(|what| !counts.contains_key(*what)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing of {counts:#?}");
}

/// Trees that show them.
const SHOWING: [u64; 4] = [5000211, 5000039, 9000309, 1000028];

/// What is allowed and never seen would hide something. (`a_long_run` says in which tree it has first seen each.)
#[test]
fn each_difference_that_open_trees_are_allowed_occurs() {
    let mut seen = BTreeSet::new();
    for seed in SHOWING {
        seen.extend(case(&mappable_fuzz::noise(seed, 2048)).unwrap().check());
    }
    let missing: Vec<_> = Allowed::OPEN.into_iter().filter(|it| !seen.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?} were not seen");
}

#[test]
fn most_open_trees_run_to_the_end_and_what_is_wrong_is_found() {
    let (mut ended, mut clean, mut shown) = (0, 0, 0);
    let mut named = BTreeMap::<_, BTreeMap<_, usize>>::new();
    let mut meant = BTreeSet::new();
    for seed in 0..60 {
        let case = case(&mappable_fuzz::noise(seed, 2000)).unwrap();
        meant.extend(case.check());
        for (script, runs) in &case.runs {
            let (_, record) = &runs[0];
            let wrong = script.misuse.map(|(_, misuse, _)| format!("{misuse:?}"));
            let wrong = wrong.or(script.lapse.map(|(lapse, _)| format!("{lapse:?}")));
            clean += usize::from(wrong.is_none());
            match &record.trap {
                Some(trap) => *named.entry(wrong).or_default().entry(Wrong::of(trap)).or_default() += 1,
                None if wrong.is_none() => {
                    ended += 1;
                    shown += record.shown.len();
                }
                None => {}
            }
        }
    }
    let counts = format!("{ended} of {clean} end after {shown} looks; {meant:?}; {named:#?}");
    println!("{counts}");
    assert!(ended * 4 >= clean * 3 && shown > 2000 && named.len() > 20, "{counts}");
}

#[test]
#[ignore = "for as long as one likes"]
fn a_long_run() {
    long_run(case);
}
