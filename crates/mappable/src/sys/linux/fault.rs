//! Writes by the host into pages that are shown for reading alone.
//!
//! A guest chooses where the host writes: a return area, or what its `realloc` answers. Aimed at a frozen mapping, such
//! a write faults in host code, which would end the process. So the pages of frozen mappings are private ones, and a
//! handler makes them writable when the host has faulted there: the write lands in a copy of the mapping's own. A
//! guest's own store faults in compiled code, which is the engine's to turn into a trap, before it gets here:
//! Wasmtime's handler passes on what is not compiled code's to the handler that was there before, so this one must be
//! installed first. Where it was not (an engine was made before the first runtime), guests' stores land here too and
//! are made private ones, which harms as little; `host/probe.rs` finds out which it is.
//!
//! Pages of files of others may go while they are shown: [`lost`](super::lost). Private mappings may be written to by
//! guests, too: [`private`](super::private). Their faults are looked for before the engine is asked, by a second handler that
//! is installed when there is an engine.
//!
//! ```text
//!   Guard       a range that is shown for reading, and whether it was written to since
//!    ├ Slot     the same as the handler sees it: in memory that is never freed, read without a lock
//!    └ Written  of a private mapping: what was written to, and who is charged
//! ```
//!
//! # Safety
//!
//! A handler may interrupt anything, so [`on_fault`] does nothing but load atomics and make system calls, neither of
//! which takes a lock or allocates. Slots are leaked, so that it never sees one freed. It changes only pages inside a
//! range that a [`Guard`] covers, and only to private ones of the same content; who makes a `Guard` owns that range. A
//! [`WriteCount`], and [`Written`], are there as long as their `Guard` is: whoever writes to the range does so in a call of the
//! store that shows it, and only such calls change what is shown. A window of the host's is there for as long as somebody reads it.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libc::{SA_NODEFER, SA_ONSTACK, SA_SIGINFO, SIG_DFL, SIG_IGN, SIGBUS, SIGSEGV, sigaction, siginfo_t};

use super::private::{Written, make_writable};
use super::{lost, spare};
use crate::sys::write_count::advance;
use crate::sys::{Budget, Call, WriteCount, enter};

/// The kernel's word for a fault on a page that is there, but not for this kind of access.
const SEGV_ACCERR: i32 = 2;

/// How many slots are leaked at once.
const SLOTS: usize = 256;

/// What is shown in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Shown {
    /// Frozen bytes of our own, in a guest's memory.
    Own,
    /// A file of others, in a guest's memory.
    Foreign,
    /// A file of others, to the host.
    ForeignWindow,
}

/// A range that is shown for reading, as the handler sees it.
pub(super) struct Slot {
    /// Odd while `start` and `end` change, and another number after.
    version: AtomicUsize,
    start: AtomicUsize,
    /// Zero in a slot that is not used.
    end: AtomicUsize,
    dirty: AtomicBool,
    /// A [`Shown`].
    shown: AtomicU8,
    /// Advanced when the range gets dirty. May be null. Belongs to the guard.
    count: AtomicPtr<AtomicU64>,
    /// What was written to, if this is a private mapping; else null. Belongs to the guard.
    written: AtomicPtr<Written>,
}

impl Slot {
    const fn empty() -> Self {
        Self {
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            dirty: AtomicBool::new(false),
            shown: AtomicU8::new(Shown::Own as u8),
            count: AtomicPtr::new(ptr::null_mut()),
            written: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// By its owner alone.
    fn set(&self, range: Range<usize>, shown: Shown, count: *mut AtomicU64, written: *mut Written) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.start.store(range.start, Ordering::Relaxed);
        self.end.store(range.end, Ordering::Relaxed);
        self.dirty.store(false, Ordering::Relaxed);
        self.shown.store(shown as u8, Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
        self.written.store(written, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The range, if `address` is in it. A slot that changes meanwhile is that of another range.
    fn around(&self, address: usize) -> Option<Range<usize>> {
        let version = self.version.load(Ordering::Acquire);
        let range = self.start.load(Ordering::Relaxed)..self.end.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let same = version.is_multiple_of(2) && version == self.version.load(Ordering::Relaxed);
        (same && range.contains(&address)).then_some(range)
    }
}

impl Slot {
    /// Whether the host may write there.
    fn is_in_a_memory(&self) -> bool {
        self.shown.load(Ordering::Relaxed) != Shown::ForeignWindow as u8
    }

    /// Whether pages there may go.
    pub(super) fn is_of_others(&self) -> bool {
        self.shown.load(Ordering::Relaxed) != Shown::Own as u8
    }

    /// What was written to of a private mapping, if it is one.
    pub(super) fn written(&self) -> Option<&Written> {
        // SAFETY: null, or there as long as the slot's guard is, and so now (the module's).
        unsafe { self.written.load(Ordering::Relaxed).as_ref() }
    }

    /// Notes that pages of the range are no longer those that were shown. In a handler, as all of these.
    pub(super) fn note_private(&self) {
        self.dirty.store(true, Ordering::Relaxed);
        FAULTS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: null, or there as long as the slot's guard is, and so now (the module's).
        if let Some(count) = unsafe { self.count.load(Ordering::Relaxed).as_ref() } {
            advance(count);
        }
    }
}

/// Slots, and where more of them are.
struct Chunk {
    slots: [Slot; SLOTS],
    next: AtomicPtr<Chunk>,
}

static CHUNKS: AtomicPtr<Chunk> = AtomicPtr::new(ptr::null_mut());
static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());
/// How often pages were made private, in the whole process.
static FAULTS: AtomicU64 = AtomicU64::new(0);
/// How many private mappings there are, in the whole process.
static PRIVATE: AtomicUsize = AtomicUsize::new(0);
/// Who is asked about faults that are none of a private mapping's: the engine, once its handler is not the first any more.
static ENGINE: OnceLock<sigaction> = OnceLock::new();
/// Who is asked about faults that are none of ours.
static PREVIOUS: OnceLock<sigaction> = OnceLock::new();
/// The same of pages that are gone.
static PREVIOUS_BUS: OnceLock<sigaction> = OnceLock::new();

/// Says that a range is shown for reading, until this is dropped. The range is the caller's alone.
pub(crate) struct Guard {
    slot: &'static Slot,
    /// After the slot no longer has them: see its drop.
    _count: Option<WriteCount>,
    written: Option<Arc<Written>>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Guard").field(&self.is_dirty()).finish()
    }
}

impl Guard {
    /// For a guest's memory that shows frozen bytes, or those of a file of others. `count` is advanced when pages of the range
    /// are made private.
    pub(crate) fn new(range: Range<usize>, of_others: bool, count: Option<WriteCount>) -> Self {
        Self::of(range, if of_others { Shown::Foreign } else { Shown::Own }, count, None)
    }

    /// For a guest's memory that shows bytes which it may write to, as its own. `budget` is charged for those that are.
    pub(crate) fn private(range: Range<usize>, of_others: bool, budget: Arc<Budget>) -> Self {
        let written = Arc::new(Written::new(range.len(), budget));
        PRIVATE.fetch_add(1, Ordering::Relaxed);
        Self::of(range, if of_others { Shown::Foreign } else { Shown::Own }, None, Some(written))
    }

    /// For what shows a file of others to the host. A write there is not ours to forgive.
    pub(crate) fn of_window(range: Range<usize>) -> Self {
        Self::of(range, Shown::ForeignWindow, None, None)
    }

    fn of(range: Range<usize>, shown: Shown, count: Option<WriteCount>, written: Option<Arc<Written>>) -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.is_empty() {
            let next = AtomicPtr::new(CHUNKS.load(Ordering::Relaxed));
            let chunk = Box::leak(Box::new(Chunk { slots: [const { Slot::empty() }; SLOTS], next }));
            CHUNKS.store(chunk, Ordering::Release);
            free.extend(chunk.slots.iter());
        }
        let slot = free.pop().expect("slots were added where there were none");
        let own = written.as_ref().map_or(ptr::null_mut(), |written| Arc::as_ptr(written).cast_mut());
        slot.set(range, shown, count.as_ref().map_or(ptr::null_mut(), WriteCount::as_ptr), own);
        Self { slot, _count: count, written }
    }

    /// Whether pages of the range have been made private and may differ from what was shown.
    pub(crate) fn is_dirty(&self) -> bool {
        self.slot.dirty.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.set(0..0, Shown::Own, ptr::null_mut(), ptr::null_mut());
        PRIVATE.fetch_sub(usize::from(self.written.is_some()), Ordering::Relaxed);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
    }
}

/// How often pages under any [`Guard`] were made private: as long as it stays the same, none got dirty.
#[inline]
pub(crate) fn faults() -> u64 {
    FAULTS.load(Ordering::Relaxed)
}

/// Installs the handlers, once for the process.
pub(crate) fn install() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*installed {
        enter(Call::Sigaction)?;
        PREVIOUS.get_or_init(|| current(SIGSEGV));
        PREVIOUS_BUS.get_or_init(|| current(SIGBUS));
        set(SIGSEGV, on_fault as *const () as usize, HANDLED)?;
        set(SIGBUS, lost::on_fault as *const () as usize, HANDLED)?;
        *installed = true;
    }
    Ok(())
}

/// Installs, once for the process, the handler that is asked before the engine's. There is an engine.
pub(crate) fn install_first() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let action = current(SIGSEGV);
    // Where no engine's handler came after ours, ours is the first as it is.
    if !*installed && action.sa_sigaction != on_fault as *const () as usize {
        enter(Call::Sigaction)?;
        ENGINE.get_or_init(|| action);
        set(SIGSEGV, on_first_fault as *const () as usize, HANDLED)?;
        *installed = true;
    }
    Ok(())
}

/// As the engine's.
const HANDLED: i32 = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;

/// What is done about a signal now.
fn current(signal: i32) -> sigaction {
    let mut action = MaybeUninit::<sigaction>::zeroed();
    // SAFETY: asks only, and the kernel writes no more than one `sigaction`.
    unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zeroes is a valid one (the default action, no flags), and so is what the kernel wrote.
    unsafe { action.assume_init() }
}

fn set(signal: i32, handler: usize, flags: i32) -> io::Result<()> {
    let mut action = current(signal);
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the mask is written to, and nothing else.
    unsafe { libc::sigemptyset(&raw mut action.sa_mask) };
    // SAFETY: `handler` is the default action, or a function of the type that `flags` promise, which may run at any
    // time (the module's).
    let answer = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A guest's first store to a step of a private mapping is none of the engine's business, as long as there is room for it.
extern "C" fn on_first_fault(signal: i32, info: *mut siginfo_t, context: *mut c_void) {
    if PRIVATE.load(Ordering::Relaxed) > 0 {
        // SAFETY: the kernel, or the handler that passes the fault on, gives a valid `siginfo_t`.
        let fault = unsafe { &*info };
        // SAFETY: for this signal the address is set.
        let address = unsafe { fault.si_addr() }.addr();
        let found = || find(address).and_then(|(slot, range)| Some(slot.written()?.open(range, address, false)));
        if fault.si_code == SEGV_ACCERR && found() == Some(true) {
            return;
        }
    }
    pass_to(ENGINE.get(), signal, info, context);
}

extern "C" fn on_fault(signal: i32, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel, or the handler that passes the fault on, gives a valid `siginfo_t`.
    let fault = unsafe { &*info };
    // SAFETY: for this signal the address is set.
    let address = unsafe { fault.si_addr() }.addr();
    if fault.si_signo == SIGBUS {
        // The engine has been asked, and it is not compiled code's.
        if !lost::replace(address) {
            pass_on(SIGBUS, info, context);
        }
        return;
    }
    if fault.si_code == SEGV_ACCERR && find(address).is_some_and(|(slot, range)| make_private(slot, range, address)) {
        return;
    }
    pass_on(signal, info, context);
}

/// What the engine does about a fault, if its handler is the one that is asked first.
pub(super) fn engine() -> Option<Handler> {
    let action = ENGINE.get().copied().unwrap_or_else(|| current(SIGSEGV));
    let is_another = action.sa_sigaction != on_fault as *const () as usize;
    if is_another { handler(&action) } else { None }
}

pub(super) fn find(address: usize) -> Option<(&'static Slot, Range<usize>)> {
    let mut next = CHUNKS.load(Ordering::Acquire);
    // SAFETY: a chunk is never freed, and was written before its address was published.
    while let Some(chunk) = unsafe { next.as_ref() } {
        if let Some(found) = chunk.slots.iter().find_map(|slot| Some((slot, slot.around(address)?))) {
            return Some(found);
        }
        next = chunk.next.load(Ordering::Relaxed);
    }
    None
}

/// Makes the pages of a range, which are mapped privately, writable. All at once: one by one they would each become a
/// mapping of their own, of which a process has not many.
fn make_private(slot: &Slot, range: Range<usize>, address: usize) -> bool {
    if !slot.is_in_a_memory() {
        return false;
    }
    if let Some(written) = slot.written() {
        return written.open(range, address, true);
    }
    slot.note_private();
    // A system that promises no more memory than it has may not promise a copy of the whole range, but of one page.
    let page = rustix::param::page_size();
    let start = address / page * page;
    let page = start..start + page;
    [range, page.clone()].into_iter().any(make_writable) || (spare::give_up() && make_writable(page))
}

/// A handler that is told where the fault was.
pub(super) type Handler = extern "C" fn(i32, *mut siginfo_t, *mut c_void);

fn handler(action: &sigaction) -> Option<Handler> {
    let is_one = action.sa_flags & SA_SIGINFO != 0 && ![SIG_DFL, SIG_IGN].contains(&action.sa_sigaction);
    // SAFETY: with that flag it is a function of this type.
    is_one.then(|| unsafe { std::mem::transmute::<usize, Handler>(action.sa_sigaction) })
}

/// Does what would have been done without us.
pub(super) fn pass_on(signal: i32, info: *mut siginfo_t, context: *mut c_void) {
    pass_to(if signal == SIGBUS { PREVIOUS_BUS.get() } else { PREVIOUS.get() }, signal, info, context);
}

fn pass_to(previous: Option<&sigaction>, signal: i32, info: *mut siginfo_t, context: *mut c_void) {
    let previous = previous.filter(|action| ![SIG_DFL, SIG_IGN].contains(&action.sa_sigaction));
    match previous.map(|action| (action, handler(action))) {
        // The fault comes again when we return, and then ends the process.
        None => drop(set(signal, SIG_DFL, 0)),
        Some((_, Some(handler))) => handler(signal, info, context),
        Some((action, None)) => {
            // SAFETY: without the flag it is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(i32)>(action.sa_sigaction) };
            handler(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_found_while_it_is_guarded() {
        let far = usize::MAX / 2;
        let guards: Vec<Guard> =
            (0..2 * SLOTS).map(|n| Guard::new(far + 10 * n..far + 10 * n + 5, false, None)).collect();
        for (n, guard) in guards.iter().enumerate() {
            assert!(find(far + 10 * n + 4).is_some_and(|(slot, _)| ptr::eq(slot, guard.slot)));
            assert!(find(far + 10 * n + 5).is_none());
        }
        drop(guards);
        assert!((0..2 * SLOTS).all(|n| find(far + 10 * n).is_none()));
    }
}
