//! Two guests, the steps that they can take with regions, and a model of what each of them should see meanwhile.
//!
//! Every step insists: when it is refused, some call must have failed, nothing may have changed, and the same step
//! again must succeed. So a scene in which a call fails ends as one in which none does, unless it ends in a trap.

use mappable::GRANULE;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Lift, Lower};

use crate::fault::{Faults, Refusal};
use crate::support::{Fixture, G, Guest, PAGES, State, both, made, swapped};
use crate::wat;

/// The two guests. `A` can hand over to `B`, and take back.
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

/// What is read goes here: into the first granule, which nothing is mapped over.
const SCRATCH: u32 = 8192;

/// Where the guest has results written.
const RET: u32 = 1024;

/// What four bytes of a granule are, as the guest's `probe` tells.
pub(crate) type Cell4 = u32;

pub(crate) fn cell(byte: u8) -> Cell4 {
    u32::from_le_bytes([byte; 4])
}

/// What the guest's `probe` tells of a granule. There are zeroes behind the bytes that count.
pub(crate) fn probe(granule: &[u8]) -> Cell4 {
    u32::from_le_bytes([0, 4095, 32768, 65535].map(|at| granule.get(at).copied().unwrap_or(0)))
}

/// A region or a reference, in a guest's hands.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) who: usize,
    pub(crate) handle: u32,
    pub(crate) frozen: bool,
    pub(crate) cells: Vec<Cell4>,
    /// The granule at which it is mapped.
    pub(crate) at: Option<u32>,
}

pub(crate) type Id = usize;

pub(crate) struct Scene<'f> {
    pub(crate) fixture: &'f Fixture,
    pub(crate) faults: &'f Faults,
    pub(crate) store: Store<State>,
    guests: [Guest; 2],
    heaps: [Vec<Cell4>; 2],
    pub(crate) pieces: Vec<Option<Piece>>,
    /// Whose mapping was dropped since the last change in that memory.
    lingering: [Vec<Piece>; 2],
}

impl<'f> Scene<'f> {
    pub(crate) fn new(fixture: &'f Fixture, faults: &'f Faults) -> Self {
        let component = fixture.compile(&wat::pair(fixture.setup.memory()));
        let (store, guests) = loop {
            let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
            match fixture.linker.instantiate(&mut store, &component) {
                Ok(instance) => {
                    let guests = Guest::pair(instance, &mut store);
                    break (store, guests);
                }
                Err(error) => {
                    let refusal = Refusal::Instantiate(format!("{error:?}"));
                    assert!(refusal.is_exhaustion(), "{refusal:?}");
                    faults.refuse("instantiation", &refusal);
                }
            }
        };
        let heaps = [vec![cell(0); PAGES as usize], vec![cell(0); PAGES as usize]];
        let mut scene = Self { fixture, faults, store, guests, heaps, pieces: vec![], lingering: [vec![], vec![]] };
        for who in [A, B] {
            for granule in 1..PAGES {
                scene.fill_heap(who, granule);
            }
        }
        scene
    }

    fn fill_heap(&mut self, who: usize, granule: u32) {
        let byte = 0x80 + 0x20 * who as u8 + granule as u8;
        self.guests[who].fill(&mut self.store, granule * G, byte, G);
        self.heaps[who].resize(self.heaps[who].len().max(granule as usize + 1), cell(0));
        self.heaps[who][granule as usize] = cell(byte);
    }

    pub(crate) fn call<P, R>(&mut self, who: usize, name: &'static str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.guests[who].clone().call(&mut self.store, name, params)
    }

    /// Takes a step: again, if it was refused because a call failed.
    pub(crate) fn insist<T>(
        &mut self,
        what: &str,
        mut step: impl FnMut(&mut Self) -> wasmtime::Result<Result<T, Refusal>>,
    ) -> wasmtime::Result<T> {
        let refusal = match step(self)? {
            Ok(done) => return Ok(done),
            Err(refusal) => refusal,
        };
        self.faults.refuse(what, &refusal);
        assert!(refusal.is_exhaustion(), "{what}: {refusal:?}");
        self.check_all(&format!("after {what} was refused"));
        Ok(step(self)?.unwrap_or_else(|refusal| panic!("{what} was refused again: {refusal:?}")))
    }

    pub(crate) fn piece(&mut self, id: Id) -> &mut Piece {
        self.pieces[id].as_mut().unwrap()
    }

    pub(crate) fn add(&mut self, piece: Piece) -> Id {
        self.pieces.push(Some(piece));
        self.pieces.len() - 1
    }

    /// What a guest should see in a granule.
    fn visible(&self, who: usize, granule: u32) -> Cell4 {
        let shown = self.pieces.iter().flatten().filter(|piece| piece.who == who).chain(&self.lingering[who]);
        let mut over = shown.filter_map(|piece| piece.cells.get(granule.checked_sub(piece.at?)? as usize));
        *over.next_back().unwrap_or(&self.heaps[who][granule as usize])
    }

    /// Looks at what both guests see. Makes no system call.
    #[track_caller]
    fn check(&mut self, when: &str) {
        for who in [A, B] {
            for granule in 1..self.heaps[who].len() as u32 {
                let seen: u32 = self.call(who, "probe", (granule * G,)).unwrap();
                assert_eq!(seen, self.visible(who, granule), "guest {who}, granule {granule}, {when}");
            }
        }
    }

    /// Looks also at what is not mapped, by copy: when no more calls are to fail.
    #[track_caller]
    pub(crate) fn check_all(&mut self, when: &str) {
        self.check(when);
        for piece in self.pieces.clone().into_iter().flatten().filter(|piece| piece.at.is_none()) {
            let name = if piece.frozen { "read-frozen" } else { "read" };
            for (granule, &cell) in piece.cells.iter().enumerate() {
                for (offset, byte) in [0, 4095, 32768, 65535].into_iter().zip(cell.to_le_bytes()) {
                    let offset = granule as u64 * GRANULE + offset;
                    let read: i64 = self.call(piece.who, name, (piece.handle, offset, 1u32, SCRATCH)).unwrap();
                    let seen: u32 = self.call(piece.who, "load8", (SCRATCH,)).unwrap();
                    assert_eq!((read, seen), (1, u32::from(byte)), "{piece:?}, {when}");
                }
            }
        }
    }

    pub(crate) fn allocate(&mut self, who: usize, granules: u64) -> wasmtime::Result<Id> {
        let handle = self.insist("allocate", |scene| {
            let answer = scene.call(who, "allocate", (granules * GRANULE,))?;
            Ok(made(answer, [(); 3]).map_err(|()| Refusal::Guest(crate::support::AllocateError::Exhausted)))
        })?;
        Ok(self.add(Piece { who, handle, frozen: false, cells: vec![cell(0); granules as usize], at: None }))
    }

    pub(crate) fn map(&mut self, id: Id, at: u32) -> wasmtime::Result<()> {
        self.swap(id, at, ["map-and-load", "map-frozen-and-load"])?;
        self.piece(id).at = Some(at);
        self.check("after map");
        Ok(())
    }

    pub(crate) fn unmap(&mut self, id: Id) -> wasmtime::Result<()> {
        let at = self.piece(id).at.unwrap();
        self.swap(id, at, ["unmap-and-load", "unmap-frozen-and-load"])?;
        self.piece(id).at = None;
        self.check("after unmap");
        Ok(())
    }

    /// Maps or unmaps; the very next instruction loads from the placement, whether that was refused or not.
    fn swap(&mut self, id: Id, at: u32, names: [&'static str; 2]) -> wasmtime::Result<()> {
        let name = names[usize::from(self.piece(id).frozen)];
        let handle = self.insist(name, |scene| {
            let Piece { who, handle, cells, at: mapped, .. } = scene.piece(id).clone();
            let from = at * G + 4095;
            let loaded: u32 = scene.call(who, name, (handle, at * G, cells.len() as u32 * G, from))?;
            // The discriminant, and the handle above it; then the error.
            let [answer, error]: [u64; 2] =
                [scene.call(who, "load64", (RET,))?, scene.call(who, "load64", (RET + 8,))?];
            let refused = answer as u8 != 0;
            let meant = match mapped {
                _ if refused => scene.visible(who, at),
                Some(_) => scene.heaps[who][at as usize],
                None => cells[0],
            };
            assert_eq!(loaded, u32::from(meant.to_le_bytes()[1]), "right after {name}, refused: {refused}");
            let error = if refused { 1 + (error & 0xff) } else { 0 };
            Ok(swapped(answer >> 32 | error << 32).map_err(|(back, why)| {
                scene.piece(id).handle = back;
                Refusal::Map(why)
            }))
        })?;
        self.piece(id).handle = handle;
        let who = self.piece(id).who;
        self.lingering[who].clear();
        Ok(())
    }

    /// Through the mapping.
    pub(crate) fn fill(&mut self, id: Id, byte: u8) {
        let Piece { who, at, cells, .. } = self.piece(id);
        let (who, at, len) = (*who, at.unwrap(), cells.len() as u32);
        cells.fill(cell(byte));
        self.guests[who].clone().fill(&mut self.store, at * G, byte, len * G);
        self.check("after the region was filled");
    }

    /// A mapping may be dropped: it stays as it is until the next change.
    pub(crate) fn drop(&mut self, id: Id) {
        let piece = self.pieces[id].take().unwrap();
        let name = match (piece.frozen, piece.at) {
            (false, None) => "drop-mappable",
            (false, Some(_)) => "drop-mapping",
            (true, None) => "drop-frozen",
            (true, Some(_)) => "drop-frozen-mapping",
        };
        self.guests[piece.who].clone().run(&mut self.store, name, (piece.handle,)).unwrap();
        if piece.at.is_some() {
            self.lingering[piece.who].push(piece);
        }
        self.check("after a drop");
    }

    /// To the other guest.
    pub(crate) fn hand_over(&mut self, id: Id) -> wasmtime::Result<()> {
        let Piece { who, handle, frozen, .. } = *self.piece(id);
        let name = [["pass", "pass-frozen"], ["fetch", "fetch-frozen"]][who][usize::from(frozen)];
        let handle = self.call(A, name, (handle,))?;
        (self.piece(id).handle, self.piece(id).who) = (handle, 1 - who);
        Ok(())
    }

    pub(crate) fn grow(&mut self, who: usize, granules: u32) -> wasmtime::Result<()> {
        let before = self.heaps[who].len() as u32;
        self.insist("grow", |scene| {
            let answer: i32 = scene.call(who, "grow", (granules,))?;
            let pages: u32 = scene.call(who, "pages", ())?;
            assert_eq!(pages, if answer < 0 { before } else { before + granules });
            Ok(u32::try_from(answer).map_err(|_| Refusal::Grow))
        })?;
        self.heaps[who].resize((before + granules) as usize, cell(0));
        self.check("after growth");
        (before..before + granules).for_each(|granule| self.fill_heap(who, granule));
        Ok(())
    }

    /// By copy, all of it; then reads some of it back.
    pub(crate) fn write(&mut self, id: Id) -> wasmtime::Result<()> {
        let Piece { who, handle, cells, .. } = self.piece(id).clone();
        let (from, len) = (2, cells.len() as u32);
        let answer: i64 = self.call(who, "write", (handle, 0u64, from * G, len * G))?;
        assert_eq!(answer, 0);
        self.piece(id).cells = (from..from + len).map(|granule| self.visible(who, granule)).collect();
        let answer: i64 = self.call(who, "read", (handle, GRANULE - 1, 2u32, SCRATCH))?;
        assert_eq!(answer, 2);
        self.check("after a write");
        Ok(())
    }

    pub(crate) fn freeze(&mut self, id: Id) -> wasmtime::Result<()> {
        let Piece { who, handle, .. } = *self.piece(id);
        let handle = self.call(who, "freeze", (handle,))?;
        (self.piece(id).handle, self.piece(id).frozen) = (handle, true);
        Ok(())
    }

    pub(crate) fn thaw(&mut self, id: Id) -> wasmtime::Result<()> {
        let Piece { who, handle, .. } = *self.piece(id);
        let (handle, _) = both(self.call(who, "thaw", (handle,))?).expect("this is the last reference");
        (self.piece(id).handle, self.piece(id).frozen) = (handle, false);
        Ok(())
    }

    /// `clone`, `slice` and `copy`, which make one more of the same bytes.
    pub(crate) fn more(&mut self, id: Id, name: &'static str, part: std::ops::Range<u64>) -> wasmtime::Result<Id> {
        let Piece { who, handle, cells, .. } = self.piece(id).clone();
        let (offset, len) = (part.start * GRANULE, (part.end - part.start) * GRANULE);
        let new = self.insist(name, |scene| {
            let answer = match name {
                "slice" => scene.call(who, name, (handle, offset, len))?,
                _ => scene.call(who, name, (handle,))?,
            };
            use crate::support::AllocateError::{Exhausted, InvalidSize, OverQuota};
            Ok(made(answer, [InvalidSize, OverQuota, Exhausted]).map_err(Refusal::Guest))
        })?;
        let cells = cells[part.start as usize..part.end as usize].to_vec();
        Ok(self.add(Piece { who, handle: new, frozen: name != "copy-frozen", cells, at: None }))
    }

    pub(crate) fn split(&mut self, id: Id, at: usize) -> wasmtime::Result<Id> {
        let Piece { who, handle, cells, .. } = self.piece(id).clone();
        let (low, high) = both(self.call(who, "split", (handle, at as u64 * GRANULE))?).expect("a region can be split");
        let piece = self.piece(id);
        (piece.handle, piece.cells) = (low, cells[..at].to_vec());
        Ok(self.add(Piece { who, handle: high, frozen: false, cells: cells[at..].to_vec(), at: None }))
    }

    pub(crate) fn join(&mut self, low: Id, high: Id) -> wasmtime::Result<()> {
        let Piece { who, handle, .. } = *self.piece(low);
        let high = self.pieces[high].take().unwrap();
        let (handle, _) = both(self.call(who, "join", (handle, high.handle))?).expect("neighbours can be joined");
        let piece = self.piece(low);
        piece.handle = handle;
        piece.cells.extend(high.cells);
        Ok(())
    }
}
