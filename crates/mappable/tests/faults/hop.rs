//! A hop from the host through two guests and back, and a store that nothing happens to while others are stopped in the
//! middle of one.

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
        let runtime = setup.runtime_with(config);
        let component = runtime.compile(wat::pair(setup.memory()).as_bytes()).unwrap();
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

    pub(crate) fn region(&self) -> Mappable {
        let mut region = self.runtime.allocate(SIZE).unwrap();
        region.bytes_mut().unwrap().fill(BY_HOST);
        region
    }

    pub(crate) fn traveller(&self) -> Traveller {
        let mut store = self.store();
        let instance = self.linker.instantiate(&mut store, &self.component).unwrap();
        let [a, b] = ["a", "b"].map(|name| {
            let index = instance.get_export_index(&mut store, None, name).unwrap();
            Guest::new(instance, &mut store, Some(index))
        });
        b.fill(&mut store, AT_B, HEAP, LEN);
        Traveller { store, a, b }
    }
}

/// Does nothing when the guest calls back, however often.
pub(crate) fn quiet(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<()> {
    store.data_mut().call_back = Some(Box::new(quiet));
    Ok(())
}

/// Two guests, through which a region goes.
pub(crate) struct Traveller {
    pub(crate) store: Store<State>,
    pub(crate) a: Guest,
    pub(crate) b: Guest,
}

impl Traveller {
    /// Gives the region to the store.
    pub(crate) fn insert(&mut self, region: Mappable) -> Handle {
        self.store.data_mut().mappable.insert(region).unwrap()
    }

    /// Through `a` and `b`, mapped in both, and back.
    pub(crate) fn hop(&mut self, handle: Handle) -> wasmtime::Result<Handle> {
        let Self { store, a, b } = self;
        let region = a.take(store, handle)?;
        let mapping = a.try_map(store, region, AT_A, LEN)?.unwrap();
        a.run(store, "fill", (AT_A, u32::from(BY_A), WRITTEN))?;
        let region = a.try_unmap(store, mapping, AT_A, LEN)?.unwrap();
        let region: u32 = a.call(store, "pass", (region,))?;
        let answer: u64 = b.call(store, "visit", (region, AT_B, LEN, u32::from(BY_B)))?;
        let region: u32 = a.call(store, "fetch", (visited(answer),))?;
        a.give(store, region)
    }

    /// After an interruption: nobody enters the store any more, and the region has one owner, or goes with the store.
    /// Answers whether it was mapped.
    pub(crate) fn look_after(&mut self, rep: u32, take: bool) -> bool {
        trap_is(self.b.call::<_, u32>(&mut self.store, "load8", (AT_B,)), Trap::CannotEnterComponent);
        left(&mut self.store, rep, take)
    }
}

/// The handle, after the bytes were as they should be.
pub(crate) fn visited(answer: u64) -> u32 {
    assert_eq!((answer as u8, (answer >> 8) as u8), (BY_B, HEAP), "the region's byte, and the heap's after it");
    (answer >> 32) as u32
}

/// The region that a store in the middle of a hop has: one, mapped or the host's to take. Answers whether it is mapped.
pub(crate) fn left(store: &mut Store<State>, rep: u32, take: bool) -> bool {
    let ctx = &mut store.data_mut().mappable;
    assert_eq!(ctx.held(), (1, SIZE), "the region is owned once");
    let handle = Resource::new_own(rep);
    if ctx.get(&handle).is_err() {
        assert!(matches!(ctx.remove(handle), Err(HandleError::NotHeld(_))));
        return true;
    }
    if take {
        let region = ctx.remove(handle).unwrap();
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
    region: Option<Mappable>,
}

impl Bystander {
    pub(crate) fn new(ground: &Ground) -> Self {
        let mut traveller = ground.traveller();
        traveller.a.fill(&mut traveller.store, G, 0x41, 12 * G);
        traveller.a.mapped(&mut traveller.store, 2 * G, 1, 0x42);
        let mut bystander = Self { traveller, region: Some(ground.region()) };
        bystander.check();
        bystander
    }

    /// A whole hop; then all is looked at.
    pub(crate) fn check(&mut self) {
        let handle = self.traveller.insert(self.region.take().unwrap());
        let handle = self.traveller.hop(handle).unwrap();
        let Traveller { store, a, .. } = &mut self.traveller;
        let mut region = store.data_mut().mappable.remove(handle).unwrap();
        check_bytes(&region);
        assert_eq!(region.bytes().unwrap()[0], BY_B);
        region.bytes_mut().unwrap().fill(BY_HOST);
        self.region = Some(region);
        a.expect(store, G, G, 0x41);
        a.expect(store, 2 * G, G, 0x42);
        a.expect(store, 3 * G, 3 * G, 0x41);
    }
}
