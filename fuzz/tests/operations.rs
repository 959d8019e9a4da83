//! Programs of operations: the library does what the model of the semantics does, on every setup.

use mappable::GRANULE;
use mappable_model::{Limits, Op};
use mappable_testing::differential::run;
use mappable_testing::support;
use run::{Disagreement, Plan, Run};
use support::Setup;

/// The choices that an input stands for, one or two bytes each.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, end: usize) -> usize {
        let (taken, rest) = self.0.split_at((if end > 256 { 2 } else { 1 }).min(self.0.len()));
        self.0 = rest;
        taken.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)) % end
    }
}

fn plan(choices: &mut Choices<'_>) -> Plan {
    let setups: Vec<Setup> = Setup::all().collect();
    // One program in four has streams.
    let chosen = choices.below(4 * setups.len());
    let (setup, streams) = (setups[chosen % setups.len()], chosen / setups.len() == 3);
    let stores: [&[usize]; 4] = [&[1], &[2], &[1, 1], &[2, 1]];
    let stores = stores[choices.below(4)].to_vec();
    let limits = match choices.below(2) {
        0 => Limits { regions: 5, region_bytes: 9 * GRANULE, mappings: 2, frozen_mapped_bytes: 3 * GRANULE },
        _ => Limits { regions: 1 << 20, region_bytes: u64::MAX, mappings: 1 << 20, frozen_mapped_bytes: u64::MAX },
    };
    Plan { setup, stores, limits, whole: choices.below(4) == 0, streams }
}

/// Runs the program that the bytes stand for. Answers how many operations were done on both.
fn program(bytes: &[u8]) -> Result<u64, Disagreement> {
    let mut choices = Choices(bytes);
    let plan = plan(&mut choices);
    let mut run = Run::new(&plan);
    while !choices.0.is_empty() && !run.is_over() {
        let mut choose = |end| choices.below(end);
        run.step(|model, instances| match plan.streams {
            true => Op::pick_with_streams(model, instances, &mut choose),
            false => Op::pick(model, instances, &mut choose),
        })?;
    }
    run.finish()?;
    Ok(run.done)
}

#[test]
fn operations() {
    mappable_fuzz::check!(2048, |bytes| {
        if let Err(disagreement) = program(bytes) {
            panic!("{disagreement}");
        }
    });
}

#[test]
fn inputs_become_programs() {
    let done = |seed| program(&mappable_fuzz::noise(seed, 1024)).map_err(|it| it.to_string()).unwrap();
    assert!((0..20).map(done).sum::<u64>() > 20 * 20);
}
