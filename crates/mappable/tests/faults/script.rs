//! All that two guests and their host can do with regions, in a row.

use mappable::{Frozen, GRANULE, Mappable};
use wasmtime::component::Resource;

use crate::fault::Refusal;
use crate::scene::{A, B, Cell4, Id, Piece, Scene, cell, probe};
use crate::support::PAGES;

impl Scene<'_> {
    /// All that there is to do. An error is a trap.
    pub(crate) fn run(&mut self) -> wasmtime::Result<()> {
        self.owned()?;
        self.shared()?;
        self.parts()?;
        if !self.fixture.setup.is_ledger() {
            self.host_round()?;
        }
        self.give_all_back()?;
        self.leave_behind()
    }

    fn owned(&mut self) -> wasmtime::Result<()> {
        let region = self.allocate(A, 2)?;
        for at in [4, 6, 4] {
            self.map(region, at)?;
            self.fill(region, 0x10 + at as u8);
            self.unmap(region)?;
        }
        self.hand_over(region)?;
        self.map(region, 4)?;
        self.grow(B, 2)?;
        self.unmap(region)?;
        self.map(region, PAGES)?;
        self.fill(region, 0x18);
        self.unmap(region)?;
        self.write(region)?;
        self.hand_over(region)?;
        self.map(region, 4)?;
        self.drop(region);
        let next = self.allocate(A, 1)?;
        self.map(next, 5)?;
        self.unmap(next)
    }

    fn shared(&mut self) -> wasmtime::Result<()> {
        let region = self.allocate(B, 3)?;
        self.map(region, 3)?;
        self.fill(region, 0x21);
        self.unmap(region)?;
        self.freeze(region)?;
        let other = self.more(region, "clone", 0..3)?;
        let part = self.more(region, "slice", 1..2)?;
        self.hand_over(other)?;
        self.map(region, 5)?;
        self.map(other, 8)?;
        self.grow(A, 1)?;
        self.map(part, 9)?;
        self.unmap(region)?;
        self.drop(other);
        let copy = self.more(region, "copy-frozen", 0..3)?;
        self.map(copy, 3)?;
        self.fill(copy, 0x22);
        self.unmap(part)?;
        self.drop(region);
        // What lingers with the other guest goes with a change there.
        let next = self.allocate(A, 1)?;
        self.map(next, 8)?;
        self.unmap(next)?;
        self.thaw(part)?;
        self.map(part, 1)?;
        self.fill(part, 0x23);
        self.drop(copy);
        self.unmap(part)
    }

    fn parts(&mut self) -> wasmtime::Result<()> {
        let low = self.allocate(A, 3)?;
        self.map(low, 2)?;
        self.fill(low, 0x31);
        self.unmap(low)?;
        let high = self.split(low, 1)?;
        self.map(high, 2)?;
        self.map(low, 6)?;
        self.fill(low, 0x32);
        self.unmap(high)?;
        self.unmap(low)?;
        self.join(low, high)?;
        self.map(low, 2)?;
        self.unmap(low)?;
        self.freeze(low)?;
        self.give_frozen(low)
    }

    /// The guests drop all that they have. After two changes in each memory nothing is held any more.
    fn give_all_back(&mut self) -> wasmtime::Result<()> {
        for id in 0..self.pieces.len() {
            if self.pieces[id].is_some() {
                self.drop(id);
            }
        }
        for who in [A, B] {
            let last = self.allocate(who, 1)?;
            self.map(last, 3)?;
            self.unmap(last)?;
            self.drop(last);
        }
        assert_eq!(self.store.data().mappable.held(), (0, 0));
        Ok(())
    }

    /// What goes with the store: mapped, lingering, retired, held, frozen.
    fn leave_behind(&mut self) -> wasmtime::Result<()> {
        for who in [A, B] {
            let [mapped, dropped, held] = [self.allocate(who, 2)?, self.allocate(who, 1)?, self.allocate(who, 1)?];
            self.map(mapped, 2)?;
            self.fill(mapped, 0x41);
            self.map(dropped, 5)?;
            self.fill(dropped, 0x42);
            self.drop(dropped);
            self.map(held, 7)?;
            self.fill(held, 0x43);
            self.unmap(held)?;
            self.freeze(held)?;
            let other = self.more(held, "clone", 0..1)?;
            self.map(other, 9)?;
            let dropped = self.more(held, "clone", 0..1)?;
            self.map(dropped, 10)?;
            self.drop(dropped);
        }
        self.faults.stop();
        self.check_all("at the end");
        Ok(())
    }

    /// The host makes a region, has a guest see it, takes it back, freezes it, and has both see it.
    fn host_round(&mut self) -> wasmtime::Result<()> {
        let runtime = &self.fixture.runtime;
        let bytes = vec![0x51; 2 * GRANULE as usize];
        let region = self.insist("allocate_from", |_| Ok(runtime.allocate_from(&bytes).map_err(Refusal::Allocate)))?;
        let handle = self.store.data_mut().mappable.insert(region)?;
        let handle = self.call(A, "take", (handle,))?;
        let id = self.add(Piece { who: A, handle, frozen: false, cells: vec![cell(0x51); 2], at: None });
        self.map(id, 7)?;
        self.fill(id, 0x52);
        self.unmap(id)?;
        let piece = self.pieces[id].take().unwrap();
        let handle: mappable::Handle = self.call(A, "give", (piece.handle,))?;
        let region = self.store.data_mut().mappable.remove(handle)?;
        // The parts are shown anew.
        let (low, high) = region.split(GRANULE)?;
        let mut low = Some(low);
        let frozen = self.insist("freeze", |_| {
            Ok(low.take().unwrap().freeze().map_err(|failed| {
                low = Some(failed.region);
                Refusal::Host(failed.source.kind())
            }))
        })?;
        let shown = |part: &Mappable| part.bytes().map(probe).map_err(|e| Refusal::Host(e.kind()));
        assert_eq!(self.insist("bytes", |_| Ok(shown(&high)))?, cell(0x52));
        assert_eq!(probe(&frozen), cell(0x52));
        let file = self.insist("from_file_mapped", |scene| Ok(scene.foreign()))?;
        let copied = self.insist("copy", |_| Ok(file.copy().map_err(Refusal::Allocate)))?;
        assert_eq!(self.insist("bytes", |_| Ok(shown(&copied)))?, cell(0x61));
        for (frozen, at) in [(frozen, 7), (file, 9)] {
            self.frozen_round(frozen, at)?;
        }
        Ok(())
    }

    /// A guest sees what the host has frozen, and gives it back.
    fn frozen_round(&mut self, frozen: Frozen, at: u32) -> wasmtime::Result<()> {
        let cells: Vec<Cell4> = frozen.chunks(GRANULE as usize).map(probe).collect();
        let handle = self.store.data_mut().mappable.insert_frozen(frozen)?;
        let handle = self.call(A, "take-frozen", (handle,))?;
        let id = self.add(Piece { who: A, handle, frozen: true, cells: cells.clone(), at: None });
        self.map(id, at)?;
        self.unmap(id)?;
        self.give_frozen(id)
    }

    /// To the host, who sees the bytes. What is in a closed composition stays there.
    fn give_frozen(&mut self, id: Id) -> wasmtime::Result<()> {
        if self.fixture.setup.is_ledger() {
            return Ok(());
        }
        let piece = self.pieces[id].take().unwrap();
        let handle: mappable::FrozenHandle = self.call(piece.who, "give-frozen", (piece.handle,))?;
        let rep = handle.rep();
        let frozen = self.insist("remove_frozen", |scene| {
            Ok(scene.store.data_mut().mappable.remove_frozen(Resource::new_own(rep)).map_err(Refusal::Handle))
        })?;
        assert_eq!(frozen.chunks(GRANULE as usize).map(probe).collect::<Vec<_>>(), piece.cells);
        Ok(())
    }

    /// Frozen bytes whose last granule is partly the file's.
    #[allow(unsafe_code)]
    fn foreign(&self) -> Result<Frozen, Refusal> {
        let path = std::env::temp_dir().join(format!("mappable-faults-{}", std::process::id()));
        std::fs::write(&path, vec![0x61; GRANULE as usize + 1]).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // SAFETY: nobody else has the file.
        unsafe { Frozen::from_file_mapped(&self.fixture.runtime, &file) }.map_err(|error| Refusal::Host(error.kind()))
    }
}
