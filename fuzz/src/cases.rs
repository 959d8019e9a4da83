//! A tree with what it was asked to do, and how it fared on each machine: what targets about trees share.

use std::collections::BTreeMap;
use std::time::Instant;

use arbitrary::Result;
use mappable_testing::support::Wrong;

use crate::tiers::{Allowed, Machine, Record, Script, compare};
use crate::trees::Tree;

/// A tree, and for each script its runs, the oracle's first.
pub struct Case {
    /// The tree.
    pub tree: Tree,
    /// What it was asked, and what came of it.
    pub runs: Vec<(Script, Vec<(Machine, Record)>)>,
}

impl Case {
    /// Runs a tree by each script on each machine, the oracle first. Scripts may name components that there are not.
    pub fn run(tree: Tree, scripts: Vec<Script>, machines: Vec<Machine>) -> Self {
        let compiled: Vec<_> = machines.into_iter().map(|machine| (machine, machine.compile(&tree))).collect();
        let run = |mut script: Script| {
            if let Some((component, ..)) = &mut script.misuse {
                *component %= tree.plan.guests();
            }
            let run = |(machine, component): &(Machine, _)| (*machine, machine.run(&tree.plan, component, &script));
            let runs = compiled.iter().map(run).collect();
            (script, runs)
        };
        let runs = scripts.into_iter().map(run).collect();
        Self { tree, runs }
    }

    /// The differences that are meant.
    ///
    /// # Panics
    ///
    /// If there are others.
    pub fn check(&self) -> Vec<Allowed> {
        let mut allowed = vec![];
        for (script, runs) in &self.runs {
            let [(oracle, expected), others @ ..] = &runs[..] else { continue };
            for (machine, record) in others {
                match compare(script, [*oracle, *machine], [expected, record]) {
                    Ok(meant) => allowed.extend(meant),
                    Err(difference) => {
                        panic!("{oracle:?} and {machine:?} differ: {difference}\n{script:?}\n{}", self.tree.text)
                    }
                }
            }
        }
        allowed
    }
}

/// Runs as many trees as fit into `MAPPABLE_FUZZ_SECONDS`, from `MAPPABLE_FUZZ_SEED` on, and tells what they met, in
/// numbers; each disagreement is said, and ends nothing, unless `MAPPABLE_FUZZ_FIRST` is set.
///
/// # Panics
///
/// In the end, if there was one.
pub fn long_run(case: fn(&[u8]) -> Result<Case>) {
    let only_first = std::env::var_os("MAPPABLE_FUZZ_FIRST").is_some();
    let begun = Instant::now();
    let (mut trees, mut runs, mut shown) = (0, 0, 0);
    let (mut named, mut meant) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, (usize, u64)>::new());
    let mut seed = crate::seed().unwrap_or(1_000_000);
    let mut bad = vec![];
    while begun.elapsed() < crate::time() {
        let bytes = crate::input(seed, 2048);
        let checked = std::panic::catch_unwind(|| {
            let case = case(&bytes).expect("what is exhausted gives zeros");
            (case.check(), case)
        });
        match checked {
            Ok((allowed, case)) => {
                trees += 1;
                allowed.into_iter().for_each(|it| meant.entry(it).or_insert((0, seed)).0 += 1);
                for (script, of_script) in &case.runs {
                    runs += of_script.len();
                    shown += of_script[0].1.shown.len();
                    for (_, record) in of_script {
                        let clean = script.misuse.is_none() && script.lapse.is_none();
                        let trap = record.trap.as_deref().map(Wrong::of);
                        *named.entry((if clean { "clean" } else { "misuse" }, trap)).or_default() += 1;
                    }
                }
            }
            Err(_) => {
                println!("DISAGREEMENT at seed {seed}");
                bad.push(seed);
                if only_first {
                    break;
                }
            }
        }
        seed += 1;
        if trees % 200 == 0 {
            println!("{trees} trees, {runs} runs, {shown} looks until seed {seed}: {meant:?} {named:?}, bad {bad:?}");
        }
    }
    println!("{trees} trees, {runs} runs, {shown} looks until seed {seed}: {meant:?} {named:?}");
    assert!(bad.is_empty(), "disagreements at {bad:?}");
}
