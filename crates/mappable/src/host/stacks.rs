//! The stacks on which guests run in async stores. The engine makes one for each store and gives it back with it, three
//! system calls and some page faults later; those that nobody uses are kept here for the next store.
//!
//! # Safety
//!
//! [`StackCreator`] asks for memory that is page-aligned, belongs to the engine alone until it drops the stack, and has
//! pages that nobody can access below it. A [`Stack`] owns a [`Space`], in which the [`GUARD`] at the beginning was never
//! opened, and all behind it is. The space goes to the next stack only when this one is dropped.

#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{StackCreator, StackMemory};

use crate::GRANULE;
use crate::sys::Space;
use crate::tuning::STACK_RESIDENT;

/// What is never accessible below a stack, in bytes: whole pages on every system.
const GUARD: usize = GRANULE as usize;

/// The stacks of an engine.
#[derive(Debug)]
pub(super) struct Stacks {
    max_idle: usize,
    /// Each has a guard at its beginning, and is open behind it. The one that came last is the last.
    idle: Arc<Mutex<Vec<Space>>>,
}

impl Stacks {
    /// Keeps up to `max_idle` of them.
    pub(super) fn new(max_idle: usize) -> Self {
        Self { max_idle, idle: Arc::default() }
    }

    fn take(&self, len: usize, zeroed: bool) -> io::Result<Space> {
        let kept = lock(&self.idle).pop_if(|space| space.len() == len);
        if let Some(space) = kept
            && (!zeroed || space.discard(GUARD, len - GUARD).is_ok())
        {
            return Ok(space);
        }
        let space = Space::reserve(len, 0)?;
        space.commit(GUARD, len - GUARD)?;
        Ok(space)
    }
}

// SAFETY: as the module says.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let len = size.checked_next_multiple_of(GUARD).and_then(|size| size.max(GUARD).checked_add(GUARD));
        let space = self.take(len.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?, zeroed)?;
        Ok(Box::new(Stack { space: Some(space), max_idle: self.max_idle, idle: Arc::clone(&self.idle) }))
    }
}

/// A stack that the engine has.
struct Stack {
    /// `None` once it is given back.
    space: Option<Space>,
    max_idle: usize,
    idle: Arc<Mutex<Vec<Space>>>,
}

// SAFETY: as the module says.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.at(|len| len)
    }

    fn range(&self) -> Range<usize> {
        self.at(|_| GUARD).addr()..self.top().addr()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.at(|_| 0)..self.at(|_| GUARD)
    }
}

impl Stack {
    /// Where an offset is, told of the length of all.
    fn at(&self, offset: impl FnOnce(usize) -> usize) -> *mut u8 {
        let at = |space: &Space| space.base().as_ptr().wrapping_add(offset(space.len()));
        self.space.as_ref().map_or(ptr::null_mut(), at)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(space) = self.space.take() else { return };
        // What few guests reach takes no memory meanwhile.
        let deep = space.len().saturating_sub(GUARD + STACK_RESIDENT);
        if deep > 0 && space.discard(GUARD, deep).is_err() {
            return;
        }
        let mut idle = lock(&self.idle);
        if idle.len() < self.max_idle {
            idle.push(space);
        }
    }
}

fn lock(idle: &Mutex<Vec<Space>>) -> MutexGuard<'_, Vec<Space>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod tests {
    use super::*;

    const SIZE: usize = 2 << 20;

    #[test]
    fn a_stack_that_is_dropped_is_the_next_one_and_no_more_are_kept_than_may_be() {
        let stacks = Stacks::new(1);
        let [first, second] = [(); 2].map(|()| stacks.new_stack(SIZE, false).unwrap());
        assert_eq!((first.range().len(), first.top().addr()), (SIZE, first.range().end));
        let guard = first.guard_range();
        assert_eq!((guard.end.addr(), guard.end.addr() - guard.start.addr()), (first.range().start, GUARD));
        let kept = first.range();
        drop((first, second));
        assert_eq!(lock(&stacks.idle).len(), 1);
        assert_ne!(
            stacks.new_stack(2 * SIZE, false).unwrap().range().start,
            kept.start,
            "another size is another stack"
        );
        assert_eq!(stacks.new_stack(SIZE, false).unwrap().range(), kept);
        assert_eq!(Stacks::new(0).new_stack(1, false).unwrap().range().len(), GUARD);
    }

    #[test]
    fn what_lies_deep_takes_no_memory_and_where_zeroes_are_wanted_there_are_zeroes() {
        let stacks = Stacks::new(1);
        let write_all = |stack: &dyn StackMemory| {
            let range = stack.range();
            // SAFETY: the bytes of a stack are there, and nobody runs on it.
            unsafe { ptr::write_bytes(stack.top().wrapping_sub(range.len()), 0xa5, range.len()) };
        };
        let read = |stack: &dyn StackMemory, below: usize| {
            // SAFETY: as above.
            unsafe { stack.top().wrapping_sub(below).read() }
        };
        write_all(&*stacks.new_stack(SIZE, false).unwrap());
        let again = stacks.new_stack(SIZE, false).unwrap();
        assert_eq!([1, STACK_RESIDENT, STACK_RESIDENT + 1, SIZE].map(|below| read(&*again, below)), [0xa5, 0xa5, 0, 0]);
        write_all(&*again);
        drop(again);
        let zeroed = stacks.new_stack(SIZE, true).unwrap();
        assert_eq!([1, STACK_RESIDENT, SIZE].map(|below| read(&*zeroed, below)), [0, 0, 0]);
    }
}
