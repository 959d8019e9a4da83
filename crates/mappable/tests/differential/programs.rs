//! Programs from seeds, many of them, quickly; one that fails is made small.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use mappable::GRANULE;
use mappable_model::{Limits, Op};

use crate::run::{Common, Disagreement, Plan, Run};
use crate::support::Setup;

/// How long a program is. Its stores may end before.
const STEPS: usize = 400;

/// Numbers, the same each time: xorshift.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = random.below(2));
        random
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % end
    }
}

/// Limits that are met often, sometimes, and never.
pub(crate) const LIMITS: [Limits; 3] = [
    Limits { regions: 5, region_bytes: 9 * GRANULE, mappings: 2, frozen_mapped_bytes: 3 * GRANULE },
    Limits { regions: 14, region_bytes: 24 * GRANULE, mappings: 4, frozen_mapped_bytes: 6 * GRANULE },
    Limits { regions: 1 << 20, region_bytes: u64::MAX, mappings: 1 << 20, frozen_mapped_bytes: u64::MAX },
];

fn plan(setup: Setup, stores: &[usize], random: &mut Random) -> Plan {
    Plan {
        setup,
        stores: stores.to_vec(),
        limits: LIMITS[random.below(3)],
        whole: random.below(4) == 0,
        streams: false,
    }
}

/// Where seeds begin: another number gives other programs.
fn first_seed() -> u64 {
    std::env::var("MAPPABLE_DIFFERENTIAL_SEED").map_or(0, |text| text.parse().expect("a number"))
}

/// Runs programs of one setup on two threads until each has done half of the operations; answers how many were done.
pub(crate) fn run_many(setup: Setup, wanted: u64) -> u64 {
    run_all(setup, wanted, false)
}

/// The same with streams and futures among what guests do.
pub(crate) fn run_streams(setup: Setup, wanted: u64) -> u64 {
    run_all(setup, wanted, true)
}

fn run_all(setup: Setup, wanted: u64, streams: bool) -> u64 {
    let done = AtomicU64::new(0);
    let programs = AtomicU64::new(first_seed() + ((setup as u64) << 32));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < wanted {
                    let program = run_one(setup, programs.fetch_add(1, Ordering::Relaxed), streams);
                    done.fetch_add(program, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner()
}

fn run_one(setup: Setup, seed: u64, streams: bool) -> u64 {
    let mut random = Random::new(seed);
    let plan = Plan { streams, ..plan(setup, &[2, 1], &mut random) };
    let (mut ops, mut done) = (vec![], 0);
    let result = caught(|| {
        let mut run = Run::new(&plan);
        let result = go(&mut run, STEPS, |model, instances| {
            let mut choose = |end| random.below(end);
            ops.push(match streams {
                true => Op::pick_with_streams(model, instances, &mut choose),
                false => Op::pick(model, instances, &mut choose),
            });
            ops[ops.len() - 1].clone()
        });
        done = run.done;
        result
    });
    if let Err(why) = result {
        let (ops, why) = smaller(&plan, ops, why);
        let lines: String = ops.iter().map(|op| format!("    {op:?}\n")).collect();
        panic!("program {seed} of {plan:?}, made small: {why}\n{lines}");
    }
    done
}

fn go(
    run: &mut Run,
    steps: usize,
    mut choose: impl FnMut(&mappable_model::World, &[usize]) -> Op,
) -> Result<(), Disagreement> {
    for _ in 0..steps {
        if !run.is_over() {
            run.step(&mut choose)?;
        }
    }
    run.finish()
}

/// What a run said, also if it panicked.
fn caught(run: impl FnOnce() -> Result<(), Disagreement>) -> Result<(), String> {
    let text = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("a panic").to_owned(),
    };
    catch_unwind(AssertUnwindSafe(run)).map_err(text)?.map_err(|it| it.to_string())
}

/// Leaves out what can be left out of a program that fails.
fn smaller(plan: &Plan, mut ops: Vec<Op>, mut why: String) -> (Vec<Op>, String) {
    let fails = |ops: &[Op]| {
        let mut rest = ops.iter();
        let replay = || go(&mut Run::new(plan), ops.len(), |_, _| rest.next().unwrap().clone());
        caught(replay).err()
    };
    let mut part = ops.len().div_ceil(2);
    while part > 0 {
        let before = ops.len();
        let mut at = 0;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + part).min(ops.len()));
            match fails(&fewer) {
                Some(reason) => (ops, why) = (fewer, reason),
                None => at += part,
            }
        }
        if part > 1 || ops.len() == before {
            part /= 2;
        }
    }
    (ops, why)
}

/// Two threads with a store each, and one host: what one passes to it, the other takes. Answers how many operations
/// were done.
pub(crate) fn run_exchange(setup: Setup, wanted: u64) -> u64 {
    let mut done = 0;
    for seed in first_seed().. {
        if done >= wanted {
            break;
        }
        let plan = plan(setup, &[2, 2], &mut Random::new(seed));
        let common = Common::new(&plan);
        let turn = |store: usize| {
            let mut run = Run::with(&plan, &common, store..store + 1);
            let mut random = Random::new(seed * 2 + store as u64 + (1 << 60));
            let mut last = None;
            let result = go(&mut run, STEPS, |model, instances| {
                let op = Op::pick(model, instances, &mut |end| random.below(end));
                last = Some(op.clone());
                op
            });
            result.unwrap_or_else(|why| panic!("exchange {seed} of {plan:?}, after {last:?}: {why}"));
            run.done
        };
        done += std::thread::scope(|scope| {
            let other = scope.spawn(|| turn(1));
            turn(0) + other.join().unwrap()
        });
    }
    done
}
