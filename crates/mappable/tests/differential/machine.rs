//! The model as a reference state machine: programs that proptest generates, and makes small when one fails.

use std::fmt;

use mappable_model::{Op, Outcome, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::programs::{LIMITS, Random};
use crate::run::{Plan, Run};
use crate::support::Setup;

const PROGRAMS: u32 = 400;
const LONGEST: usize = 120;

/// A plan, and how far the model has come.
#[derive(Clone)]
struct State {
    plan: Plan,
    model: World,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = State;
    type Transition = Op;

    fn init_state() -> BoxedStrategy<State> {
        let setups = prop::sample::select(Setup::all().collect::<Vec<_>>());
        let limits = prop::sample::select(LIMITS.to_vec());
        let plans = (setups, limits, any::<bool>()).prop_map(|(setup, limits, whole)| Plan {
            setup,
            stores: vec![2, 1],
            limits,
            whole,
            streams: false,
        });
        plans.prop_map(|plan| State { model: plan.model(), plan }).boxed()
    }

    fn transitions(State { model, .. }: &State) -> BoxedStrategy<Op> {
        let model = model.clone();
        let pick = move |seed| {
            let mut random = Random::new(seed);
            Op::pick(&model, &[0, 1, 2], &mut |end| random.below(end))
        };
        any::<u64>().prop_map(|seed| seed >> 1).no_shrink().prop_map(pick).boxed()
    }

    fn preconditions(State { model, .. }: &State, op: &Op) -> bool {
        !matches!(model.clone().apply(op), Outcome::Refused | Outcome::Impossible)
    }

    fn apply(mut state: State, op: &Op) -> State {
        state.model.apply(op);
        state
    }
}

struct Library;

impl StateMachineTest for Library {
    type SystemUnderTest = Run;
    type Reference = Model;

    fn init_test(State { plan, .. }: &State) -> Run {
        Run::new(plan)
    }

    fn apply(mut run: Run, _: &State, op: Op) -> Run {
        run.step(|_, _| op).unwrap_or_else(|why| panic!("{why}"));
        run
    }

    fn teardown(mut run: Run, _: State) {
        run.finish().unwrap_or_else(|why| panic!("{why}"));
    }
}

#[test]
fn the_library_does_what_the_reference_does() {
    let config = Config {
        cases: PROGRAMS,
        rng_seed: RngSeed::Fixed(0x6d61_7070),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    TestRunner::new(config.clone())
        .run(&Model::sequential_strategy(1..LONGEST), |(state, ops, seen)| {
            Library::test_sequential(config.clone(), state, ops, seen);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
