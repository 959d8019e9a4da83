//! Numbers that a `realloc` forges, doubles or loses while a value is on its way: whoever receives it gets the regions
//! that were sent, or traps. Nobody gets anything else, and nothing is lost but to its sender's store.

use mappable::{GRANULE, TrapReason};

use super::Party;
use super::positions::{ARRIVED, POSITIONS, Position, Word};
use crate::support::{Setup, World, Wrong, on_every_setup, trapped, wrong};

/// The sizes of what is sent, and of what nobody sends: by these they are told apart.
const SENT: [u64; 2] = [GRANULE, 2 * GRANULE];
const KEPT: u64 = 5 * GRANULE;
const OTHERS: u64 = 7 * GRANULE;

/// Which way a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As parameters, to `b`.
    Put,
    /// As a result, to `a`.
    Get,
}

struct Scene {
    world: World,
    a: Party,
    b: Party,
    way: Way,
    sent: [u32; 2],
    kept: u32,
    others: u32,
}

impl Scene {
    fn new(setup: Setup, position: &Position, way: Way) -> Self {
        let mut world = World::new(setup);
        let [a, b] = Party::all(&mut world, &position.composition(setup.memory()), ["a", "b"]);
        let (sender, receiver) = if way == Way::Put { (&a, &b) } else { (&b, &a) };
        let mut make = |party: &Party, size: u64| party.call::<_, u32>(&mut world, "allocate", (size,)).unwrap();
        // Indices are not the same on both sides.
        let kept = make(sender, KEPT);
        let sent = SENT.map(|size| make(sender, size));
        let others = make(receiver, OTHERS);
        Self { world, a, b, way, sent, kept, others }
    }

    /// Who has the value before, and who has it then.
    fn sender_size(&mut self, handle: u32) -> wasmtime::Result<u64> {
        let sender = if self.way == Way::Put { &self.a } else { &self.b };
        sender.call(&mut self.world, "size", (handle,))
    }

    fn receiver_size(&mut self, handle: u32) -> wasmtime::Result<u64> {
        let receiver = if self.way == Way::Put { &self.b } else { &self.a };
        receiver.call(&mut self.world, "size", (handle,))
    }

    /// Hands the value over. For a result the handles are `b`'s, which `a` names.
    fn go(&mut self) -> wasmtime::Result<()> {
        let [first, second] = self.sent;
        match self.way {
            Way::Put => self.a.call::<_, u32>(&mut self.world, "send", (first, second)).map(drop),
            Way::Get => self.a.0.run(&mut self.world.store, "fetch", (first, second)),
        }
    }

    fn attack(&mut self, at: u32, value: u32) {
        let receiver = if self.way == Way::Put { &self.b } else { &self.a };
        receiver.0.run(&mut self.world.store, "attack", (at, value)).unwrap();
    }

    fn word(&mut self, at: u32) -> u32 {
        let receiver = if self.way == Way::Put { &self.b } else { &self.a };
        receiver.call(&mut self.world, "word", (at,)).unwrap()
    }

    /// Where a word of the value is when it has arrived: of the value itself, then of the elements.
    fn arrived(&self, position: &Position) -> Vec<(u32, Word)> {
        let elements = match self.way {
            Way::Put => (ARRIVED + position.size() + 64 + 8).next_multiple_of(8),
            Way::Get => ARRIVED + 0x100,
        };
        let values = (ARRIVED..).step_by(4).zip(position.words.iter().copied());
        values.chain((elements..).step_by(4).zip(position.elements.iter().copied())).collect()
    }

    /// All handles that were sent have arrived, and are the receiver's.
    #[track_caller]
    fn all_arrived(&mut self, position: &Position) {
        for (at, word) in self.arrived(position) {
            if let Word::Handle(n) = word {
                let handle = self.word(at);
                assert_eq!(self.receiver_size(handle).unwrap(), SENT[n as usize], "{}, {:?}", position.name, self.way);
            }
        }
    }

    /// Both have what nobody sent, and nobody has more.
    #[track_caller]
    fn nothing_else_moved(&mut self) {
        let (kept, others) = (self.kept, self.others);
        assert_eq!(self.sender_size(kept).unwrap(), KEPT);
        assert_eq!(self.receiver_size(others).unwrap(), OTHERS);
    }
}

const ALL: u64 = SENT[0] + SENT[1] + KEPT + OTHERS;

fn each(mut rule: impl FnMut(&Position, Way)) {
    for position in &POSITIONS {
        for way in [Way::Put, Way::Get] {
            rule(position, way);
        }
    }
}

on_every_setup! {
    fn a_handle_arrives_in_every_position(setup) {
        each(|position, way| {
            let mut scene = Scene::new(setup, position, way);
            scene.go().unwrap_or_else(|error| panic!("{}, {way:?}: {error:?}", position.name));
            scene.all_arrived(position);
            scene.nothing_else_moved();
            assert_eq!(scene.world.held(), (4, ALL));
            // What was sent is gone from where it was.
            if position.handles() == 2 {
                let first = scene.sent[0];
                let answer = scene.sender_size(first);
                wrong(setup, answer, &[Wrong::UnknownHandle]);
            }
        });
    }

    fn a_handle_is_sent_once(setup) {
        each(|position, way| {
            let mut scene = Scene::new(setup, position, way);
            if position.handles() == 2 {
                // The same one twice.
                scene.sent[1] = scene.sent[0];
                let answer = scene.go();
                wrong(setup, answer, &[Wrong::UnknownHandle]);
                assert_eq!(scene.world.held(), (4, ALL), "{}, {way:?}", position.name);
            }
        });
    }

    fn a_number_that_realloc_writes_is_no_handle(setup) {
        each(|position, way| {
            let words = Scene::new(setup, position, way).arrived(position);
            for (at, word) in words {
                for value in [0, 1, 2, 3, 4, 0x40, u32::MAX] {
                    let mut scene = Scene::new(setup, position, way);
                    scene.attack(at, value);
                    let answer = scene.go();
                    let what = format!("{}, {way:?}, {value:#x} over {word:?}: {answer:?}", position.name);
                    assert_eq!(scene.world.held(), (4, ALL), "{what}");
                    match answer {
                        Ok(()) => {
                            scene.nothing_else_moved();
                            // Where the engine carries it, who is lied to by its own `realloc` sees the lie.
                            if !position.is_carried(setup) {
                                assert_eq!(scene.word(at), value, "{what}");
                            } else if matches!(word, Word::Handle(_) | Word::Number(7 | 9)) {
                                scene.all_arrived(position);
                            }
                        }
                        Err(error) => {
                            assert!(position.is_carried(setup) && !matches!(word, Word::Handle(_)), "{what}");
                            let is_bug = matches!(error.downcast_ref(), Some(TrapReason::Bug { .. } | TrapReason::NotGiven { .. }));
                            assert!(!is_bug, "{what}");
                        }
                    }
                }
            }
        });
    }

    fn a_list_made_shorter_or_longer_by_realloc_loses_nothing(setup) {
        for position in POSITIONS.iter().filter(|position| !position.elements.is_empty()) {
            for way in [Way::Put, Way::Get] {
                for length in [0, 1, 200, u32::MAX] {
                    let mut scene = Scene::new(setup, position, way);
                    let (at, _) = *scene.arrived(position).iter().rfind(|(_, it)| matches!(it, Word::Elements)).unwrap();
                    scene.attack(at + 4, length);
                    let answer = scene.go();
                    match answer {
                        // Elements without handles may be more: all that was sent has been claimed.
                        Ok(()) => {
                            let is_honest = !setup.is_ledger() || position.name == "list of options" && length == 200;
                            assert!(is_honest, "{}, {way:?}, {length}", position.name);
                            scene.nothing_else_moved();
                        }
                        answer => wrong(setup, answer, &[Wrong::Flight, Wrong::OutOfBounds, Wrong::Discriminant]),
                    }
                    assert_eq!(scene.world.held(), (4, ALL), "{}, {way:?}, {length}", position.name);
                }
            }
        }
    }

    fn a_realloc_that_asks_for_a_regions_size_traps(setup) {
        each(|position, way| {
            let mut scene = Scene::new(setup, position, way);
            let others = scene.others;
            let receiver = if way == Way::Put { &scene.b } else { &scene.a };
            receiver.0.run(&mut scene.world.store, "leave", (others,)).unwrap();
            let answer = scene.go();
            wrong(setup, answer, &[Wrong::CannotLeave]);
            assert_eq!(scene.world.held(), (4, ALL), "{}, {way:?}", position.name);
        });
    }

    fn a_store_that_traps_in_the_middle_of_a_hand_over_takes_nothing_from_others(setup) {
        each(|position, way| {
            let mut scene = Scene::new(setup, position, way);
            // Past the memory's end: the `realloc` itself traps.
            scene.attack(u32::MAX, 0);
            trapped(scene.go());
            assert_eq!(scene.world.held(), (4, ALL), "{}, {way:?}", position.name);
            let runtime = scene.world.runtime();
            drop(scene);
            for granules in 1..8 {
                let fresh = runtime.allocate(granules * GRANULE).unwrap();
                assert!(crate::support::all_are(fresh.bytes().unwrap(), 0));
            }
        });
    }
}
