//! A store for one test ([`World`]).

use std::ops::{Deref, DerefMut};

use mappable::{GRANULE, Handle, Mappable, Runtime};
use wasmtime::Store;
use wasmtime::component::{Component, Instance};

use super::fixture::{Fixture, State};
use super::{Guest, Setup, all_are};
use crate::wat;

/// A store, with a region in it that the test has no business with. On drop the canaries are looked at.
pub struct World {
    pub fixture: &'static Fixture,
    pub store: Store<State>,
    held: Option<Handle>,
}

impl Fixture {
    /// A store in which nothing is yet.
    pub fn world(&'static self) -> World {
        let mut store = Store::new(self.runtime.engine(), State::new(&self.runtime));
        store.set_hostcall_fuel(4 << 30);
        let own = self.runtime.allocate_from(&[0xc1; 100]).unwrap();
        let mut world = World { fixture: self, store, held: None };
        world.held = Some(world.store.data_mut().mappable.insert(own).unwrap());
        world
    }
}

impl World {
    pub fn new(setup: Setup) -> Self {
        setup.fixture().world()
    }

    /// A store with one guest in it.
    pub fn with_guest(setup: Setup) -> (Self, Guest) {
        let mut world = Self::new(setup);
        let guest = world.guest();
        (world, guest)
    }

    pub fn runtime(&self) -> &'static Runtime {
        &self.fixture.runtime
    }

    pub fn guest(&mut self) -> Guest {
        let component = self.fixture.compile(&wat::guest(self.fixture.setup.memory()));
        let instance = self.instantiate(&component);
        Guest::new(instance, &mut self.store, None)
    }

    pub fn instantiate(&mut self, component: &Component) -> Instance {
        self.fixture.linker.instantiate(&mut self.store, component).unwrap()
    }

    /// The guests `a` and `b` of a component made of them.
    pub fn guests(&mut self, component: &Component) -> (Guest, Guest) {
        let instance = self.instantiate(component);
        Guest::pair(instance, &mut self.store).into()
    }

    pub fn pair(&mut self) -> (Guest, Guest) {
        let component = self.fixture.compile(&wat::pair(self.fixture.setup.memory()));
        self.guests(&component)
    }

    /// How many regions the store's components hold, besides the canary.
    pub fn held(&self) -> (usize, u64) {
        let (regions, bytes) = self.store.data().mappable.held();
        (regions - 1, bytes - GRANULE)
    }

    /// A region in the host's hands, all of one byte.
    pub fn region(&self, granules: u64, byte: u8) -> Mappable {
        let mut region = self.runtime().allocate(granules * GRANULE).unwrap();
        region.bytes_mut().unwrap().fill(byte);
        region
    }

    pub fn insert(&mut self, region: Mappable) -> Handle {
        self.store.data_mut().mappable.insert(region).unwrap()
    }

    /// After the context, and the canary in it, have gone.
    pub fn replace_canary(&mut self, region: Mappable) {
        self.held = Some(self.store.data_mut().mappable.insert(region).unwrap());
    }

    pub fn remove(&mut self, handle: Handle) -> Mappable {
        self.store.data_mut().mappable.remove(handle).unwrap()
    }
}

impl Deref for World {
    type Target = Store<State>;
    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.store
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let held = self.held.take().unwrap();
        let mut region = self.store.data_mut().mappable.remove(held).unwrap();
        region.set_len(region.size()).unwrap();
        let bytes = region.bytes().unwrap();
        assert!(all_are(&bytes[..100], 0xc1), "a canary was touched");
        assert!(all_are(&bytes[100..], 0), "a canary was touched");
        self.fixture.check_canary();
    }
}
