//! A hop from the host through two guests and back, and a store that nothing happens to while others are stopped in the
//! middle of one. In a closed composition the host has no part in it: the region is the first guest's to begin with,
//! and at the end.

use mappable::{GRANULE, Handle, HandleError, Mappable, Runtime};
use wasmtime::component::{Component, Linker, Resource};
use wasmtime::{Config, Store, StoreContextMut, Trap};

use crate::support::{G, Guest, Setup, State, linker, trap_is};
use crate::wat;

/// The region's size, and what it is filled with by the host and by the guests.
pub(crate) const SIZE: u64 = 2 * GRANULE;
pub(crate) const LEN: u32 = SIZE as u32;
pub(crate) const BY_HOST: u8 = 0x22;
pub(crate) const BY_A: u8 = 0x33;
pub(crate) const BY_B: u8 = 0x44;
/// What the heap of `b` has where the region is mapped.
pub(crate) const HEAP: u8 = 0x99;

/// How many bytes the first guest writes: few, for each costs fuel.
pub(crate) const WRITTEN: u32 = 16;

/// Where the guests map it.
pub(crate) const AT_A: u32 = 4 * G;
pub(crate) const AT_B: u32 = 5 * G;

/// What stores are made of.
pub(crate) struct Ground {
    pub(crate) setup: Setup,
    pub(crate) runtime: Runtime,
    pub(crate) linker: Linker<State>,
    pub(crate) component: Component,
}

impl Ground {
    pub(crate) fn new(setup: Setup, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = setup.config();
        change(&mut config);
        let runtime = setup.runtime_that_keeps_none(config);
        let component = runtime.compile(setup.text(&wat::pair(setup.memory())).as_bytes()).unwrap();
        Self { setup, linker: linker(&runtime), component, runtime }
    }

    /// A store that is never interrupted, unless told.
    pub(crate) fn store(&self) -> Store<State> {
        let mut store = Store::new(self.runtime.engine(), State::new(&self.runtime));
        let _ = store.set_fuel(u64::MAX);
        store.set_epoch_deadline(u64::MAX / 2);
        store.data_mut().call_back = Some(Box::new(quiet));
        store
    }

    pub(crate) fn traveller(&self) -> Traveller {
        let mut store = self.store();
        let instance = self.linker.instantiate(&mut store, &self.component).unwrap();
        let [a, b] = Guest::pair(instance, &mut store);
        b.fill(&mut store, AT_B, HEAP, LEN);
        Traveller { setup: self.setup, store, a, b }
    }
}

/// Does nothing when the guest calls back, however often.
pub(crate) fn quiet(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<()> {
    store.data_mut().call_back = Some(Box::new(quiet));
    Ok(())
}

/// The region of a hop, while it is not mapped.
#[derive(Debug)]
pub(crate) enum Cargo {
    /// The host has it.
    Given(Handle),
    /// The first guest has it, by this index; what the host calls it.
    Kept(u32, u32),
}

impl Cargo {
    /// What the host calls it.
    pub(crate) fn rep(&self) -> u32 {
        match self {
            Self::Given(handle) => handle.rep(),
            Self::Kept(_, rep) => *rep,
        }
    }
}

/// Two guests, through which a region goes.
pub(crate) struct Traveller {
    pub(crate) setup: Setup,
    pub(crate) store: Store<State>,
    pub(crate) a: Guest,
    pub(crate) b: Guest,
}

impl Traveller {
    /// Gives a region to the store, all of [`BY_HOST`]; or has the first guest make one.
    pub(crate) fn load(&mut self) -> Cargo {
        let Self { store, a, .. } = self;
        if a.usher().is_none() {
            let mut region = store.data().runtime.allocate(SIZE).unwrap();
            region.bytes_mut().unwrap().fill(BY_HOST);
            return Cargo::Given(store.data_mut().mappable.insert(region).unwrap());
        }
        let region = a.allocate(store, SIZE).unwrap();
        self.kept(region)
    }

    /// The region that the first guest has made, all of [`BY_HOST`].
    pub(crate) fn kept(&mut self, region: u32) -> Cargo {
        let ctx = &mut self.store.data_mut().mappable;
        // The one that was made last, where no other has been dropped.
        let is_held = |rep: &u32| ctx.get(&Resource::new_own(*rep)).is_ok();
        let rep = (0..16).rev().find(is_held).unwrap();
        ctx.bytes_mut(&Resource::new_own(rep)).unwrap().fill(BY_HOST);
        Cargo::Kept(region, rep)
    }

    /// Looks at the region after a whole hop. The host has it no more, and has freed it if it had it.
    pub(crate) fn unload(&mut self, cargo: Cargo) {
        let ctx = &mut self.store.data_mut().mappable;
        let check = |region: &Mappable| {
            check_bytes(region);
            assert_eq!(region.bytes().unwrap()[..2], [BY_B, BY_A]);
        };
        match cargo {
            Cargo::Given(handle) => check(&ctx.remove(handle).unwrap()),
            Cargo::Kept(_, rep) => check(ctx.get(&Resource::new_own(rep)).unwrap()),
        }
    }

    /// Through `a` and `b`, mapped in both, and back.
    pub(crate) fn hop(&mut self, cargo: Cargo) -> wasmtime::Result<Cargo> {
        let Self { store, a, b, .. } = self;
        let (region, rep) = match cargo {
            Cargo::Given(handle) => (a.take(store, handle)?, None),
            Cargo::Kept(region, rep) => (region, Some(rep)),
        };
        let mapping = a.try_map(store, region, AT_A, LEN)?.unwrap();
        a.run(store, "fill", (AT_A, u32::from(BY_A), WRITTEN))?;
        let region = a.try_unmap(store, mapping, AT_A, LEN)?.unwrap();
        let region: u32 = a.call(store, "pass", (region,))?;
        let answer: u64 = b.call(store, "visit", (region, AT_B, LEN, u32::from(BY_B)))?;
        let region: u32 = a.call(store, "fetch", (visited(answer),))?;
        match rep {
            None => a.give(store, region).map(Cargo::Given),
            Some(rep) => Ok(Cargo::Kept(region, rep)),
        }
    }

    /// After an interruption: nobody enters the store any more, and the region has one owner, or goes with the store.
    /// Answers whether it was mapped.
    pub(crate) fn look_after(&mut self, rep: u32, take: bool) -> bool {
        trap_is(self.b.call::<_, u32>(&mut self.store, "load8", (AT_B,)), Trap::CannotEnterComponent);
        left(&mut self.store, self.setup, rep, take)
    }
}

/// The handle, after the bytes were as they should be.
pub(crate) fn visited(answer: u64) -> u32 {
    assert_eq!((answer as u8, (answer >> 8) as u8), (BY_B, HEAP), "the region's byte, and the heap's after it");
    (answer >> 32) as u32
}

/// The region that a store in the middle of a hop has: one, mapped or the host's to take. Answers whether it is mapped.
pub(crate) fn left(store: &mut Store<State>, setup: Setup, rep: u32, take: bool) -> bool {
    let ctx = &mut store.data_mut().mappable;
    assert_eq!(ctx.held(), (1, SIZE), "the region is owned once");
    let handle = Resource::new_own(rep);
    let Ok(region) = ctx.get(&handle) else {
        assert!(matches!(ctx.remove(handle), Err(HandleError::NotHeld(_))));
        return true;
    };
    check_bytes(region);
    if take {
        let region = match ctx.remove(handle) {
            Ok(region) => region,
            // A component has it in a table of the ledger: it is not the host's to take.
            Err(error) => {
                assert!(setup.is_ledger() && matches!(error, HandleError::NotHeld(_)), "{setup:?}: {error}");
                assert_eq!(ctx.held(), (1, SIZE));
                return false;
            }
        };
        check_bytes(&region);
        assert_eq!(ctx.held(), (0, 0));
        assert!(ctx.remove(Resource::new_own(rep)).is_err(), "what was taken is not there a second time");
    }
    false
}

/// A region in the host's hands has what was written last, however far it came.
pub(crate) fn check_bytes(region: &Mappable) {
    let (written, rest) = region.bytes().unwrap().split_at(WRITTEN as usize);
    let (first, second) = (written[0], written[1]);
    assert!(rest.iter().all(|&byte| byte == BY_HOST), "nobody wrote here");
    assert!(written[1..].iter().all(|&byte| byte == second), "half written");
    assert!([(BY_HOST, BY_HOST), (BY_A, BY_A), (BY_B, BY_A)].contains(&(first, second)), "{first:#x}, {second:#x}");
}

/// A store that goes on whatever happens to others: with a region that stays mapped, and one that it hops with.
pub(crate) struct Bystander {
    traveller: Traveller,
    cargo: Option<Cargo>,
}

impl Bystander {
    pub(crate) fn new(ground: &Ground) -> Self {
        let mut traveller = ground.traveller();
        traveller.a.fill(&mut traveller.store, G, 0x41, 12 * G);
        traveller.a.mapped(&mut traveller.store, 2 * G, 1, 0x42);
        let cargo = Some(traveller.load());
        let mut bystander = Self { traveller, cargo };
        // From the third time on it takes no more than it has.
        (0..3).for_each(|_| bystander.check());
        bystander
    }

    /// A whole hop; then all is looked at.
    pub(crate) fn check(&mut self) {
        let cargo = self.cargo.take().unwrap();
        let cargo = self.traveller.hop(cargo).unwrap();
        let Traveller { store, a, .. } = &mut self.traveller;
        let (ctx, handle) = (&mut store.data_mut().mappable, Resource::new_own(cargo.rep()));
        check_bytes(ctx.get(&handle).unwrap());
        assert_eq!(ctx.get(&handle).unwrap().bytes().unwrap()[0], BY_B);
        ctx.bytes_mut(&handle).unwrap().fill(BY_HOST);
        self.cargo = Some(cargo);
        a.expect(store, G, G, 0x41);
        a.expect(store, 2 * G, G, 0x42);
        a.expect(store, 3 * G, 3 * G, 0x41);
    }
}
