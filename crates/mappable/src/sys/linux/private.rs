//! Pages of mappings that may be written to: each becomes the mapping's own when it is first written to, and is charged.
//!
//! What is shown is mapped privately and for reading. So the first write to a granule is a fault, which charges the store's
//! [`Budget`] and makes that granule writable. The kernel copies its pages as they are written to. A guest's own store must
//! not come to the engine's handler before, which would turn it into a trap: `fault::on_first_fault` is asked before that. If
//! the budget has no room, the engine's handler is asked after all, and the store traps. What it passes on is a write by
//! the host: that can't be refused, so it is charged whether or not there is room.
//!
//! Each granule that is writable between others that are not takes two of the process's mappings. So a store may have
//! [`PLACES`] of them; beyond, an eighth of the mapping is made writable at once, and charged. All stores together may have
//! [`ALL_PLACES`], of granules and eighths; beyond, all of the mapping is.
//!
//! # Safety
//!
//! As in [`fault`](super::fault): [`Written`] is read in a handler, so all of it is atomic and nothing is allocated there.

#![allow(unsafe_code)]

use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::mm::{MprotectFlags, mprotect};

use super::spare;
use crate::sys::{Budget, Call, enter};

/// How much is charged at once, in bytes: a page of WebAssembly.
const STEP: usize = 65_536;

/// In how many places, apart from one another, a store may write to its private mappings by single steps.
const PLACES: usize = 128;

/// How many places all stores may have together: no more than an eighth of the mappings that a process has by default.
const ALL_PLACES: usize = 4_096;

/// How many they have.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// In how many parts a mapping is made writable once there are so many places.
const PARTS: usize = 8;

/// Which steps of a range were written to, and who is charged for them.
pub(super) struct Written {
    /// A bit for each step.
    steps: Box<[AtomicU64]>,
    /// How many places of the budget's are here.
    places: AtomicUsize,
    /// How many of the process's are: those, and a place for each part.
    all_places: AtomicUsize,
    budget: Arc<Budget>,
    /// How many the process has: [`TAKEN`].
    taken: &'static AtomicUsize,
}

/// A place that was taken, of how much is made writable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// None was needed, or none is left.
    None,
    Step,
    Part,
}

impl Written {
    pub(super) fn new(len: usize, budget: Arc<Budget>) -> Self {
        Self::counted(len, budget, &TAKEN)
    }

    fn counted(len: usize, budget: Arc<Budget>, taken: &'static AtomicUsize) -> Self {
        let words = len.div_ceil(STEP).div_ceil(u64::BITS as usize);
        let steps = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { steps, places: AtomicUsize::new(0), all_places: AtomicUsize::new(0), budget, taken }
    }

    /// Makes the step at `address` writable, and charges for it: only if there is room, unless `always`.
    pub(super) fn open(&self, range: Range<usize>, address: usize, always: bool) -> bool {
        let all = 0..range.len().div_ceil(STEP);
        let (steps, place) = self.steps_to_open((address - range.start) / STEP, all.end);
        if !self.charge(steps.clone(), always) {
            self.leave(place);
            return false;
        }
        let pages = range.start + steps.start * STEP..range.end.min(range.start + steps.end * STEP);
        // A system that promises no more memory than it has may not promise a copy of all of it, but of one page.
        let page = rustix::param::page_size();
        let start = address / page * page;
        if make_writable(pages) || make_writable(start..start + page) {
            return true;
        }
        // The process may have no mapping left. To change all of it takes none, unless it is one with a neighbour. Where a
        // guest writes, its store traps; where the host does, nothing else is left to do.
        self.charge(all, always)
            && (make_writable(range.clone()) || (always && spare::give_up() && make_writable(range)))
    }

    /// Which steps to make writable for a write to one of so many, and what place was taken for it.
    fn steps_to_open(&self, step: usize, all: usize) -> (Range<usize>, Place) {
        let is_beside = step > 0 && self.is_written(step - 1) || self.is_written(step + 1);
        if self.is_written(step) || is_beside {
            return (step..step + 1, Place::None);
        }
        let part = all.div_ceil(PARTS);
        let first = step / part * part;
        match self.take_place() {
            Place::Step => (step..step + 1, Place::Step),
            Place::Part => (first..(first + part).min(all), Place::Part),
            Place::None => (0..all, Place::None),
        }
    }

    /// Charges for those steps that were not written to before.
    fn charge(&self, steps: Range<usize>, always: bool) -> bool {
        let fresh = steps.clone().filter(|&step| !self.is_written(step)).count();
        let charge = (fresh * STEP) as u64;
        if always {
            self.budget.take(charge);
        } else if fresh > 0 && !self.budget.try_take(charge) {
            return false;
        }
        // Fewer, if another thread of the host's writes there, too.
        let noted = steps.filter(|&step| self.note(step)).count();
        self.budget.give_back((fresh.saturating_sub(noted) * STEP) as u64);
        true
    }

    fn is_written(&self, step: usize) -> bool {
        self.steps.get(step / 64).is_some_and(|word| word.load(Ordering::Relaxed) & bit(step) != 0)
    }

    /// Notes a step. Returns whether it was not noted before.
    fn note(&self, step: usize) -> bool {
        self.steps.get(step / 64).is_some_and(|word| word.fetch_or(bit(step), Ordering::Relaxed) & bit(step) == 0)
    }

    /// Takes a place for a step, or for a part if the store has no more of them.
    fn take_place(&self) -> Place {
        if !take(self.taken, ALL_PLACES) {
            return Place::None;
        }
        self.all_places.fetch_add(1, Ordering::Relaxed);
        if !take(&self.budget.places, PLACES) {
            return Place::Part;
        }
        self.places.fetch_add(1, Ordering::Relaxed);
        Place::Step
    }

    /// Gives a place back, where nothing was made writable.
    fn leave(&self, place: Place) {
        let (step, any) = (usize::from(place == Place::Step), usize::from(place != Place::None));
        self.places.fetch_sub(step, Ordering::Relaxed);
        self.budget.places.fetch_sub(step, Ordering::Relaxed);
        self.all_places.fetch_sub(any, Ordering::Relaxed);
        self.taken.fetch_sub(any, Ordering::Relaxed);
    }
}

/// Takes one more, if there are fewer than `most`.
fn take(places: &AtomicUsize, most: usize) -> bool {
    let more = |places: usize| (places < most).then_some(places + 1);
    places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

impl Drop for Written {
    /// What was written goes, and so does the charge.
    fn drop(&mut self) {
        let steps: u64 = self.steps.iter_mut().map(|word| u64::from(word.get_mut().count_ones())).sum();
        self.budget.give_back(steps * STEP as u64);
        self.budget.places.fetch_sub(*self.places.get_mut(), Ordering::Relaxed);
        self.taken.fetch_sub(*self.all_places.get_mut(), Ordering::Relaxed);
    }
}

fn bit(step: usize) -> u64 {
    1 << (step % 64)
}

/// Makes pages writable, which are mapped privately.
pub(super) fn make_writable(pages: Range<usize>) -> bool {
    let access = MprotectFlags::READ | MprotectFlags::WRITE;
    if enter(Call::Protect).is_err() {
        return false;
    }
    // SAFETY: the pages are in a range that a `Guard` covers, so mapped, private, and its owner's.
    unsafe { mprotect(ptr::with_exposed_provenance_mut(pages.start), pages.len(), access) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Access, File, Guard, Space};

    /// How many mappings of the process's are in a range.
    fn mappings(range: &Range<usize>) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = |line: &str| usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        maps.lines().filter(|line| range.contains(&start(line))).count()
    }

    #[test]
    fn who_writes_here_and_there_takes_no_more_mappings() {
        const STEPS: usize = 1_024;
        crate::sys::install_fault_handler().unwrap();
        let file = File::create("test", (STEPS * STEP) as u64).unwrap();
        let space = Space::reserve(STEPS * STEP, 0).unwrap();
        space.map(0, &file, 0, STEPS * STEP, Access::Private).unwrap();
        let start = space.base().addr().get();
        let range = start..start + STEPS * STEP;
        let budget = Arc::new(Budget::new(u64::MAX));
        let guard = Guard::private(range.clone(), false, Arc::clone(&budget));
        for step in (0..STEPS).step_by(2) {
            let at = space.base().as_ptr().wrapping_add(step * STEP);
            // SAFETY: inside of the space, and shown; the handler makes it writable.
            unsafe { at.write_volatile(1) };
            let written = step / 2 + 1;
            if written <= PLACES {
                assert_eq!(budget.used(), (written * STEP) as u64);
            }
        }
        assert!(mappings(&range) <= 2 * PLACES + 2 * PARTS, "{}", mappings(&range));
        // The first places are in two eighths, of which every second step was written to; all of the others are charged.
        assert_eq!(budget.used(), ((STEPS - PLACES) * STEP) as u64);
        // There is no room elsewhere, either.
        assert_eq!(budget.places.load(Ordering::Relaxed), PLACES);
        drop(guard);
        assert_eq!((budget.used(), budget.places.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn neighbours_are_one_place_and_nothing_is_charged_twice() {
        let budget = Arc::new(Budget::new(3 * STEP as u64));
        let file = File::create("test", 8 * STEP as u64).unwrap();
        let space = Space::reserve(8 * STEP, 0).unwrap();
        space.map(0, &file, 0, 8 * STEP, Access::Private).unwrap();
        let start = space.base().addr().get();
        let written = Written::new(8 * STEP, Arc::clone(&budget));
        let open = |step: usize, always| written.open(start..start + 8 * STEP, start + step * STEP + 5, always);
        assert!(open(2, false) && open(3, false) && open(1, false) && open(2, false));
        assert_eq!((budget.used(), budget.places.load(Ordering::Relaxed)), (3 * STEP as u64, 1));
        assert!(!open(6, false) && open(3, false));
        assert_eq!(budget.used(), 3 * STEP as u64);
        assert!(open(6, true));
        // What was refused took no place.
        assert_eq!((budget.used(), budget.places.load(Ordering::Relaxed)), (4 * STEP as u64, 2));
        drop(written);
        assert_eq!((budget.used(), budget.places.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn all_stores_together_have_no_more_places_than_a_part_of_the_processs_mappings() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let file = File::create("test", 300 * STEP as u64).unwrap();
        let space = Space::reserve(300 * STEP, 0).unwrap();
        space.map(0, &file, 0, 300 * STEP, Access::Private).unwrap();
        let start = space.base().addr().get();
        let range = start..start + 300 * STEP;
        // All show the same pages: what counts is how many places they take.
        let store = || {
            let budget = Arc::new(Budget::new(u64::MAX));
            let written = Written::counted(300 * STEP, Arc::clone(&budget), &TAKEN);
            (0..2 * PLACES).step_by(2).for_each(|step| {
                assert!(written.open(range.clone(), start + step * STEP, false));
            });
            (written, budget)
        };
        let stores: Vec<_> = (0..ALL_PLACES / PLACES).map(|_| store()).collect();
        assert!(stores.iter().all(|(_, budget)| budget.used() == (PLACES * STEP) as u64));
        assert_eq!(TAKEN.load(Ordering::Relaxed), ALL_PLACES);
        // No place is left, so the next store changes all of its mapping at once.
        let (_written, budget) = store();
        assert_eq!((budget.used(), TAKEN.load(Ordering::Relaxed)), (300 * STEP as u64, ALL_PLACES));
        drop(stores);
        assert_eq!(TAKEN.load(Ordering::Relaxed), 0);
    }
}
