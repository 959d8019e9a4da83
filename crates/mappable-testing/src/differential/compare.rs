//! What is compared after an operation: what is held and shown, and what stores are charged.

use std::sync::Arc;

use mappable_model::{Holder, Op};

use super::run::{Disagreement, Run, caller, disagree};

impl Run {
    /// After a trap nobody in the store can be called.
    pub(super) fn expect_refusal(&mut self, op: &Op) -> Result<(), Disagreement> {
        let store = self.common.shared().model.store(caller(op).unwrap());
        for instance in self.plan.instances(store) {
            let mut actor = self.actor(instance).unwrap();
            if actor.call::<_, u32>("load8", (0u32,)).is_ok() {
                return disagree(format_args!("{instance} can be entered after {op:?} has trapped"));
            }
        }
        Ok(())
    }

    pub(super) fn compare_touched(&mut self, op: &Op) -> Result<(), Disagreement> {
        match *op {
            Op::Map { by, .. }
            | Op::MapPrivate { by, .. }
            | Op::Unmap { by, .. }
            | Op::Store { by, .. }
            | Op::Deliver { by, .. }
            | Op::Grow { by, .. } => self.compare_shown(by)?,
            _ => {}
        }
        self.sides.keys().copied().collect::<Vec<_>>().into_iter().try_for_each(|store| self.compare_usage(store))
    }

    fn compare_usage(&self, store: usize) -> Result<(), Disagreement> {
        let usage = self.common.shared().model.usage(store);
        let (expected, found) = ((usage.regions, usage.region_bytes), self.sides[&store].world.held());
        if found == expected {
            return Ok(());
        }
        disagree(format_args!("store {store} is charged {found:?}, where the model has {expected:?}"))
    }

    pub(super) fn is_alive(&self, instance: usize) -> bool {
        let shared = self.common.shared();
        shared.model.is_alive(shared.model.store(instance))
    }

    fn compare_shown(&mut self, instance: usize) -> Result<(), Disagreement> {
        if !self.is_alive(instance) {
            return Ok(());
        }
        let expected: Vec<u8> = self.common.shared().model.shown(instance).collect();
        let found = self.actor(instance).unwrap().shown(expected.len());
        if found == expected {
            return Ok(());
        }
        disagree(format_args!("{instance}'s memory shows {found:?}, where the model has {expected:?}"))
    }

    /// Compares all that is held and shown. `memories`: all their bytes too.
    pub(super) fn compare(&mut self, memories: bool) -> Result<(), Disagreement> {
        for store in self.sides.keys().copied().collect::<Vec<_>>() {
            self.compare_usage(store)?;
            for instance in self.plan.instances(store) {
                self.compare_instance(instance, memories)?;
            }
        }
        let shared = self.common.shared();
        for (&number, item) in &shared.host.items {
            let expected = shared.model.contents(Holder::Host, number).unwrap();
            let length = shared.model.length(Holder::Host, number).unwrap();
            if !item.holds(&expected, length, self.plan.whole) {
                return disagree(format_args!("the host's {number} is not {length} bytes of {expected:?}"));
            }
        }
        Ok(())
    }

    fn compare_instance(&mut self, instance: usize, memory: bool) -> Result<(), Disagreement> {
        if !self.is_alive(instance) {
            return Ok(());
        }
        self.compare_shown(instance)?;
        let common = Arc::clone(&self.common);
        let contents = |number: usize| {
            let (by, shared) = (Holder::Instance(instance), common.shared());
            shared.model.contents(by, number).zip(shared.model.length(by, number))
        };
        let shown: Vec<u8> = common.shared().model.shown(instance).collect();
        let mut actor = self.actor(instance).unwrap();
        for number in actor.instance.handles.keys().copied().collect::<Vec<_>>() {
            if let Some((expected, length)) = contents(number)
                && !actor.holds(number, &expected, length)
            {
                return disagree(format_args!("{instance}'s {number} is not {length} bytes of {expected:?}"));
            }
        }
        if memory && !actor.shows(&shown) {
            return disagree(format_args!("{instance}'s memory is not {shown:?} in every byte"));
        }
        Ok(())
    }
}
