//! Maps and unmaps, with the host and without.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use wasmtime::{Caller, Func, TypedFunc};

use super::world::{Host, Party, World, failed, failure, set_word, word};
use crate::ledger::interface::{Builtin, Failure};
use crate::ledger::layout::*;
use crate::ledger::modules::{self, CALL};
use crate::ledger::signature::{Kind, Signature, Value};

const MEMORY_RECORD: u32 = MEMORIES + MEMORY;
const AT: u32 = 0x1_0000;
const RETURN: u32 = 0x200;
const REGION_NUMBER: u32 = 7;
const RECORD: u32 = REGIONS + REGION_NUMBER * REGION;

/// What maps and unmaps, and what handles are before and after.
type Way = ([Builtin; 2], [Kind; 2]);
const OWNED: Way = ([Builtin::MappableMap, Builtin::MappingUnmap], [Kind::Mappable, Kind::Mapping]);
const REFERENCE: Way = ([Builtin::FrozenMap, Builtin::FrozenMappingUnmap], [Kind::Frozen, Kind::FrozenMapping]);

type Swap = TypedFunc<(u32, u32, u32, u32), ()>;

/// A, with one region, and a host whose view of number 1 shows nothing, of number 2 the region.
struct Stage {
    world: World,
    a: Party,
    map: Swap,
    unmap: Swap,
    /// How often the host was asked.
    asked: Arc<AtomicU32>,
    /// What it answers next: the discriminant.
    answer: Arc<Mutex<u32>>,
    /// Not 0: which generation it begins with the next change.
    next_generation: Arc<AtomicU32>,
    handle: u32,
}

impl Stage {
    fn new() -> Self {
        Self::of(OWNED)
    }

    fn of((builtins, kinds): Way) -> Self {
        let mut world = World::new();
        let a = world.a.clone();
        let (asked, answer) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(0)));
        let next_generation = Arc::new(AtomicU32::new(0));
        let signature = Signature { params: vec![], result: None };
        let mut swap = |index: usize| {
            let told = (asked.clone(), answer.clone(), next_generation.clone());
            let host = host(&mut world, &a, kinds, index == 0, told);
            let module = modules::builtin(builtins[index], &signature, true);
            let instance = world.instantiate(&a, &module, Some(host));
            instance.get_typed_func(&mut world.store, CALL).unwrap()
        };
        let (map, unmap) = (swap(0), swap(1));
        world.set_word(MAX_MAPPINGS, 4);
        world.set_word(MEMORY_RECORD + MEMORY_SELECTOR, 1);
        world.set_word(MEMORY_RECORD + MEMORY_GENERATION, 5);
        world.set_word(RECORD + REGION_SOURCE, 3);
        let is_frozen = kinds[0] == Kind::Frozen;
        world.set_word(MAX_FROZEN_MAPPED, if is_frozen { 1 } else { 0 });
        world.set_word(RECORD + REGION_GRANULES, if is_frozen { FROZEN | 1 } else { 1 });
        let handle = world.give(&a, kinds[0], REGION_NUMBER);
        Self { world, a, map, unmap, asked, answer, next_generation, handle }
    }

    /// Maps and says whether the host was asked.
    fn map(&mut self) -> bool {
        self.map_at(self.handle, AT, 0x1_0000).unwrap()
    }

    fn unmap(&mut self) -> bool {
        self.unmap_at(self.handle, AT, 0x1_0000).unwrap()
    }

    fn map_at(&mut self, handle: u32, at: u32, len: u32) -> wasmtime::Result<bool> {
        let before = self.asked.load(Ordering::Relaxed);
        self.map.call(&mut self.world.store, (handle, at, len, RETURN))?;
        Ok(self.asked.load(Ordering::Relaxed) != before)
    }

    fn unmap_at(&mut self, handle: u32, at: u32, len: u32) -> wasmtime::Result<bool> {
        let before = self.asked.load(Ordering::Relaxed);
        self.unmap.call(&mut self.world.store, (handle, at, len, RETURN))?;
        Ok(self.asked.load(Ordering::Relaxed) != before)
    }

    /// Both hosts' ways known: mapped and unmapped twice.
    fn warmed() -> Self {
        Self::warmed_of(OWNED)
    }

    fn warmed_of(way: Way) -> Self {
        let mut stage = Self::of(way);
        for _ in 0..2 {
            stage.map();
            stage.unmap();
        }
        assert!(!stage.map() && !stage.unmap());
        stage
    }

    fn selector(&self) -> u32 {
        self.world.word(MEMORY_RECORD + MEMORY_SELECTOR)
    }

    fn result(&self) -> (u32, u32) {
        let memory = self.a.memory;
        (word(&memory, &self.world.store, RETURN) & 0xff, word(&memory, &self.world.store, RETURN + 4))
    }
}

/// The host's map or unmap: claims its operand, gives what it made, and moves the memory to the other view.
fn host(
    world: &mut World,
    a: &Party,
    kinds: [Kind; 2],
    map: bool,
    (asked, answer, next_generation): (Arc<AtomicU32>, Arc<Mutex<u32>>, Arc<AtomicU32>),
) -> Func {
    let (ledger, memory) = (a.ledger, a.memory);
    let (taken, given) = if map { (kinds[0], kinds[1]) } else { (kinds[1], kinds[0]) };
    let body = move |mut caller: Caller<'_, Host>, _: u32, at: u32, len: u32, ret: u32| {
        asked.fetch_add(1, Ordering::Relaxed);
        let get = |caller: &Caller<'_, Host>, at| word(&ledger, caller, at);
        assert_eq!((get(&caller, FLIGHT_LEN), get(&caller, FLIGHT_NEXT)), (1, 0));
        assert_eq!(get(&caller, FLIGHT + 4), taken as u32);
        let region = get(&caller, FLIGHT);
        let answer = *answer.lock().unwrap();
        let mut set = |at, value| set_word(&ledger, &mut caller, at, value);
        set(FLIGHT_LEN, 1);
        set(FLIGHT_NEXT, 0);
        set(FLIGHT + 4, if answer == 0 { given as u32 } else { taken as u32 });
        if answer == 0 {
            let record = REGIONS + region * REGION;
            set(record + REGION_MEMORY, if map { MEMORY_RECORD } else { 0 });
            set(record + REGION_AT, at);
            if map {
                set(record + REGION_LEN, len);
            }
            set(MEMORY_RECORD + MEMORY_SELECTOR, if map { 2 } else { 1 });
            match next_generation.load(Ordering::Relaxed) {
                0 => {}
                next => set(MEMORY_RECORD + MEMORY_GENERATION, next),
            }
            let mapped = word(&ledger, &caller, MAPPED);
            set_word(&ledger, &mut caller, MAPPED, if map { mapped + 1 } else { mapped - 1 });
            set_word(&ledger, &mut caller, FROZEN_MAPPED, u32::from(map && kinds[0] == Kind::Frozen));
        }
        memory.write(&mut caller, ret as usize, &[answer as u8]).unwrap();
        set_word(&memory, &mut caller, ret + 4, 0xdead);
    };
    Func::wrap(&mut world.store, body)
}

#[test]
fn what_was_done_before_in_the_same_view_is_done_without_the_host() {
    for way in [OWNED, REFERENCE] {
        let (mut stage, kinds) = (Stage::of(way), way.1.map(|kind| kind as u32));
        let frozen = u32::from(way == REFERENCE);
        // The first map finds out which memory it is, the first unmap what leads where, there and back.
        assert!(stage.map());
        assert_eq!(stage.result(), (0, stage.handle));
        assert!(stage.unmap());
        for _ in 0..3 {
            assert!(!stage.map());
            assert_eq!(stage.selector(), 2);
            assert_eq!(stage.result(), (0, stage.handle));
            assert_eq!(stage.world.entry(&stage.a, stage.handle), (kinds[1], REGION_NUMBER));
            let record: Vec<u32> = [8, 12, 16].map(|at| stage.world.word(RECORD + at)).to_vec();
            assert_eq!(record, [MEMORY_RECORD, AT, 0x1_0000]);
            assert_eq!([MAPPED, FROZEN_MAPPED].map(|at| stage.world.word(at)), [1, frozen]);
            // The second unmap is of a module that has met the memory.
            stage.unmap();
            assert_eq!(stage.selector(), 1);
            assert_eq!(stage.result(), (0, stage.handle));
            assert_eq!(stage.world.entry(&stage.a, stage.handle), (kinds[0], REGION_NUMBER));
            assert_eq!([RECORD + REGION_MEMORY, MAPPED, FROZEN_MAPPED].map(|at| stage.world.word(at)), [0, 0, 0]);
        }
        assert_eq!(stage.asked.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn frozen_bytes_over_the_quota_are_the_hosts() {
    let mut stage = Stage::warmed_of(REFERENCE);
    stage.world.set_word(MAX_FROZEN_MAPPED, 0);
    assert!(stage.map());
    let mut stage = Stage::warmed_of(REFERENCE);
    stage.world.set_word(FROZEN_MAPPED, 1);
    assert!(stage.map());
    // Neither asks about an unmap, nor about a region that is owned.
    let mut stage = Stage::warmed_of(REFERENCE);
    stage.map();
    stage.world.set_word(MAX_FROZEN_MAPPED, 0);
    assert!(!stage.unmap() && !Stage::warmed_of(OWNED).map());
}

/// The same bytes, but frozen or of another file: another view shows them.
#[test]
fn what_is_shown_otherwise_is_another_transition() {
    for (way, granules) in [(OWNED, FROZEN | 1), (REFERENCE, 1), (REFERENCE, FROZEN | 1 << FILE_SHIFT | 1)] {
        let mut stage = Stage::warmed_of(way);
        stage.world.set_word(RECORD + REGION_GRANULES, granules);
        assert!(stage.map(), "{granules:#x}");
    }
}

#[test]
fn a_result_that_goes_into_frozen_bytes_is_the_hosts_to_write() {
    // The granules between which frozen bytes are shown, where the result goes, and whether that meets them.
    let cases = [
        ((0, 0), RETURN, false),
        ((0, 1), RETURN, true),
        ((1, 2), RETURN, false),
        ((1, 2), 0xfff4, false),
        ((1, 2), 0xfff8, true),
        ((0, 1), 0xfff8, true),
        ((0, 1), 0x1_0000, false),
        ((0, 2), 0x1_fff4, true),
    ];
    for way in [OWNED, REFERENCE] {
        for ((start, end), ret, meets) in cases {
            let mut stage = Stage::warmed_of(way);
            stage.world.set_word(MEMORY_RECORD + MEMORY_FROZEN_START, start);
            stage.world.set_word(MEMORY_RECORD + MEMORY_FROZEN_END, end);
            for change in [stage.map.clone(), stage.unmap.clone()] {
                let before = stage.asked.load(Ordering::Relaxed);
                change.call(&mut stage.world.store, (stage.handle, AT, 0x1_0000, ret)).unwrap();
                let asked = stage.asked.load(Ordering::Relaxed) != before;
                assert_eq!(asked, meets, "{way:?}: {ret:#x}, {start} to {end}");
            }
        }
    }
}

#[test]
fn a_refusal_gives_the_handle_back() {
    for warmed in [false, true] {
        let mut stage = if warmed { Stage::warmed() } else { Stage::new() };
        *stage.answer.lock().unwrap() = 1;
        stage.world.set_word(MAX_MAPPINGS, 0);
        assert!(stage.map());
        assert_eq!(stage.result(), (1, stage.handle));
        assert_eq!(stage.world.entry(&stage.a, stage.handle), (Kind::Mappable as u32, REGION_NUMBER));
        assert_eq!(stage.selector(), 1);
    }
}

/// Whatever has changed, the host is asked.
#[test]
fn a_map_in_another_state_is_the_hosts() {
    let changes: [(u32, u32); 8] = [
        (LINGERING, 1),
        (MAX_MAPPINGS, 0),
        (MEMORY_RECORD + MEMORY_SELECTOR, 0),
        (MEMORY_RECORD + MEMORY_SELECTOR, 3),
        (MEMORY_RECORD + MEMORY_GENERATION, 6),
        (RECORD + REGION_SOURCE, 4),
        (RECORD + REGION_SOURCE, NO_SOURCE),
        (RECORD + REGION_GRANULES, 2),
    ];
    for (at, value) in changes {
        let mut stage = Stage::warmed();
        stage.world.set_word(at, value);
        assert!(stage.map(), "{at:#x}");
    }
    let mut stage = Stage::warmed();
    assert!(stage.map_at(stage.handle, AT + 0x1_0000, 0x1_0000).unwrap());
    let mut stage = Stage::warmed();
    assert!(stage.map_at(stage.handle, AT, 0x2_0000).unwrap());
    // As an unmap is cached, from the view that has the region.
    let mut stage = Stage::warmed();
    stage.world.set_word(MEMORY_RECORD + MEMORY_SELECTOR, 2);
    assert!(stage.map_at(stage.handle, AT, 0).unwrap());
}

#[test]
fn an_unmap_in_another_state_is_the_hosts() {
    let changes: [(u32, u32); 8] = [
        (LINGERING, 1),
        (MEMORY_RECORD + MEMORY_SELECTOR, 0),
        (MEMORY_RECORD + MEMORY_SELECTOR, 3),
        (MEMORY_RECORD + MEMORY_GENERATION, 6),
        (RECORD + REGION_SOURCE, NO_SOURCE),
        (RECORD + REGION_AT, 0),
        (RECORD + REGION_LEN, 0xffff),
        (RECORD + REGION_MEMORY, MEMORY_RECORD + MEMORY),
    ];
    for (at, value) in changes {
        let mut stage = Stage::warmed();
        stage.map();
        stage.world.set_word(at, value);
        assert!(stage.unmap(), "{at:#x}");
    }
    for (at, len) in [(AT + 1, 1), (AT, 0), (AT, 0x1_0001)] {
        let mut stage = Stage::warmed();
        stage.map();
        assert!(stage.unmap_at(stage.handle, at, len).unwrap());
    }
    let mut stage = Stage::warmed();
    stage.map();
    assert!(!stage.unmap_at(stage.handle, AT, 1).unwrap());
}

#[test]
fn nothing_is_kept_of_a_change_that_takes_more_with_it() {
    let mut stage = Stage::new();
    stage.map();
    // Something else is shown that was dropped: it goes with the unmap, and would be back with the map.
    stage.world.set_word(LINGERING, 1);
    stage.unmap();
    stage.world.set_word(LINGERING, 0);
    assert!(stage.map());
}

#[test]
fn nothing_is_kept_where_there_is_no_view() {
    let changes = [
        (RECORD + REGION_SOURCE, NO_SOURCE, 3),
        // Of the view before the map, that after the unmap.
        (MEMORY_RECORD + MEMORY_SELECTOR, 0, 1),
    ];
    for (at, value, good) in changes {
        let mut stage = Stage::new();
        stage.map();
        stage.unmap();
        stage.world.set_word(MEMORY_RECORD + MEMORY_GENERATION, 6);
        stage.world.set_word(at, value);
        assert!(stage.map());
        stage.world.set_word(at, if at == RECORD + REGION_SOURCE { good } else { 2 });
        assert!(stage.unmap_at(stage.handle, AT, 0x1_0000).unwrap());
        stage.world.set_word(MEMORY_RECORD + MEMORY_GENERATION, 7);
        assert!(stage.map());
    }
}

#[test]
fn nothing_is_kept_across_generations() {
    let mut stage = Stage::new();
    stage.map();
    stage.next_generation.store(9, Ordering::Relaxed);
    stage.unmap();
    assert_eq!(stage.world.word(MEMORY_RECORD + MEMORY_GENERATION), 9);
    assert!(stage.map());
}

#[test]
fn a_bad_handle_or_return_area_is_refused_before_anything_changes() {
    let mut stage = Stage::warmed();
    let error = failed(stage.map_at(9, AT, 0x1_0000).map(drop));
    assert_eq!(error, failure(Failure::UnknownHandle, 9, 0));
    let mut stage = Stage::warmed();
    let error = failed(stage.unmap_at(stage.handle, AT, 0x1_0000).map(drop));
    assert_eq!(error, failure(Failure::WrongKind, stage.handle, Kind::Mapping as u32));
    let mut stage = Stage::warmed();
    stage.map();
    let error = failed(stage.map_at(stage.handle, AT, 0x1_0000).map(drop));
    assert_eq!(error, failure(Failure::Mapped, stage.handle, REGION_NUMBER));

    let mut stage = Stage::warmed();
    let call = |stage: &mut Stage, ret| {
        let map = stage.map.clone();
        map.call(&mut stage.world.store, (stage.handle, AT, 0x1_0000, ret))
    };
    assert_eq!(failed(call(&mut stage, 2)), failure(Failure::Misaligned, 2, 0));
    for ret in [0x1_fff8, 0x2_0000, 0xffff_fffc] {
        let trap = call(&mut stage, ret).unwrap_err().downcast::<wasmtime::Trap>().unwrap();
        assert_eq!(trap, wasmtime::Trap::MemoryOutOfBounds);
    }
    assert_eq!((stage.selector(), stage.asked.load(Ordering::Relaxed)), (1, 2));
    call(&mut stage, 0x1_fff4).unwrap();
}

#[test]
fn maps_are_forbidden_where_leaving_is() {
    let mut stage = Stage::warmed();
    let forbidden = stage.a.table.get_global(&mut stage.world.store, "forbidden").unwrap();
    forbidden.set(&mut stage.world.store, wasmtime::Val::I32(1)).unwrap();
    let error = failed(stage.map_at(stage.handle, AT, 0x1_0000).map(drop));
    assert_eq!(error, failure(Failure::CannotLeave, 0, 0));
}

/// What a hop costs: `cargo test -p mappable-rewrite --lib a_hop_takes -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn a_hop_takes_little_more_than_two_grows() {
    let mut stage = Stage::warmed();
    let driver = wat::parse_str(DRIVER).unwrap();
    let driver = wasmtime::Module::new(stage.world.store.engine(), &driver).unwrap();
    let (a, b) = (stage.a.clone(), stage.world.b.clone());
    let signature = Signature { params: vec![Value::Own(Kind::Mappable)], result: Some(Value::Own(Kind::Mappable)) };
    let mut linker = wasmtime::Linker::new(stage.world.store.engine());
    let store = &mut stage.world.store;
    linker.define(&*store, "", "memory", a.memory).unwrap();
    linker.define(&*store, "", "map", *stage.map.func()).unwrap();
    linker.define(&*store, "", "unmap", *stage.unmap.func()).unwrap();
    let same = wasmtime::Module::new(store.engine(), SAME).unwrap();
    let same = wasmtime::Instance::new(&mut *store, &same, &[]).unwrap().get_func(&mut *store, "same");
    let lift = stage.world.instantiate(&b, &modules::lift(&signature, false), same);
    let lift = lift.get_func(&mut stage.world.store, CALL);
    let lower = stage.world.instantiate(&a, &modules::lower(&signature, false), lift);
    let lower = lower.get_func(&mut stage.world.store, CALL).unwrap();
    linker.define(&stage.world.store, "", "hand", lower).unwrap();
    let store = &mut stage.world.store;
    let driver = linker.instantiate(&mut *store, &driver).unwrap();
    for name in ["grows", "maps", "hands"] {
        let run = driver.get_typed_func::<(u32, u32), ()>(&mut *store, name).unwrap();
        let times = (0..7).map(|_| {
            let begin = std::time::Instant::now();
            run.call(&mut *store, (stage.handle, 1_000_000)).unwrap();
            begin.elapsed().as_nanos() as u64 / 1_000_000
        });
        println!("{name}: {} ns", times.min().unwrap());
    }
}

const SAME: &str = r#"(module (func (export "same") (param i32) (result i32) (local.get 0)))"#;
const DRIVER: &str = r#"(module
  (import "" "memory" (memory 0))
  (import "" "map" (func $map (param i32 i32 i32 i32)))
  (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
  (import "" "hand" (func $hand (param i32) (result i32)))
  (func (export "grows") (param i32) (param $n i32)
    (loop $next
      (drop (memory.grow (i32.const 0))) (drop (memory.grow (i32.const 0)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "maps") (param $it i32) (param $n i32)
    (loop $next
      (call $map (local.get $it) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0x200))
      (call $unmap (local.get $it) (i32.const 0x10000) (i32.const 0x10000) (i32.const 0x200))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "hands") (param $it i32) (param $n i32)
    (loop $next
      (local.set $it (call $hand (local.get $it)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
