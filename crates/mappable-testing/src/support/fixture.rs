//! What the tests of a setup share: a runtime, its components, and a canary ([`Fixture`]); and a store's data ([`State`]).

use std::collections::HashMap;
use std::sync::Mutex;

use mappable::{GRANULE, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Component, Linker, WasmList};
use wasmtime::{ResourceLimiterAsync, Store, StoreContextMut};

use super::{G, Guest, Setup, all_are, compiled};
use crate::wat;

/// Called by the guest's `call-back`.
type CallBack = Box<dyn FnMut(StoreContextMut<'_, State>) -> wasmtime::Result<()> + Send>;

/// A store's data.
pub struct State {
    pub mappable: MappableCtx,
    /// How often the package's functions, or the ledger's, have asked for the context.
    pub host_calls: u64,
    /// What regions of the host's are made with.
    pub runtime: Runtime,
    pub call_back: Option<CallBack>,
    /// Where the lists that `sum` was given lay in the host.
    pub lists: Vec<usize>,
    /// The limiter of a test that has one.
    pub limiter: Option<Box<dyn ResourceLimiterAsync + Send + Sync>>,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        self.host_calls += 1;
        &mut self.mappable
    }
}

impl State {
    pub fn new(runtime: &Runtime) -> Self {
        Self {
            mappable: runtime.context(),
            host_calls: 0,
            runtime: runtime.clone(),
            call_back: None,
            lists: vec![],
            limiter: None,
        }
    }
}

pub fn linker(runtime: &Runtime) -> Linker<State> {
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker).unwrap();
    add_env(&mut linker);
    linker
}

pub fn add_env(linker: &mut Linker<State>) {
    let mut env = linker.instance("test:host/env").unwrap();
    env.func_wrap("sum", |mut store: StoreContextMut<'_, State>, (bytes,): (WasmList<u8>,)| {
        let bytes = bytes.as_le_slice(&store);
        let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
        let address = bytes.as_ptr().addr();
        store.data_mut().lists.push(address);
        Ok((sum,))
    })
    .unwrap();
    env.func_wrap("call-back", |mut store: StoreContextMut<'_, State>, (): ()| {
        let mut call_back = store.data_mut().call_back.take().expect("the test expects no call back");
        call_back(store)
    })
    .unwrap();
}

/// A runtime, and the components that were compiled for it.
pub struct Fixture {
    pub setup: Setup,
    pub runtime: Runtime,
    pub linker: Linker<State>,
    components: Mutex<HashMap<String, Component>>,
    /// A region in the host's hands that no test knows of, and one that is mapped in an instance that none knows of.
    canary: Mutex<Canary>,
}

impl Fixture {
    pub fn new(setup: Setup, runtime: Runtime) -> Self {
        let linker = linker(&runtime);
        let text = setup.text(&wat::guest(setup.memory()));
        let guest = compiled::component(setup, &runtime, &text);
        let canary = Mutex::new(Canary::new(&runtime, &linker, &guest));
        let components = Mutex::new(HashMap::from([(text, guest)]));
        Self { setup, runtime, linker, components, canary }
    }

    /// A component whose guests the host drives: closed, where that is the tier.
    pub fn compile(&self, text: &str) -> Component {
        self.compile_as_is(&self.setup.text(text))
    }

    /// A component that is closed by itself.
    pub fn compile_as_is(&self, text: &str) -> Component {
        let mut components = self.components.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(component) = components.get(text) {
            return component.clone();
        }
        let component = compiled::component(self.setup, &self.runtime, text);
        components.insert(text.to_owned(), component.clone());
        component
    }

    /// Looks at what no test has any business with.
    pub fn check_canary(&self) {
        self.canary.lock().unwrap_or_else(|e| e.into_inner()).check();
    }
}

struct Canary {
    host: Mappable,
    store: Store<State>,
    guest: Guest,
}

impl Canary {
    fn new(runtime: &Runtime, linker: &Linker<State>, guest: &Component) -> Self {
        let mut host = runtime.allocate(2 * GRANULE).unwrap();
        host.bytes_mut().unwrap().fill(0xc2);
        let mut store = Store::new(runtime.engine(), State::new(runtime));
        let guest = Guest::new(linker.instantiate(&mut store, guest).unwrap(), &mut store, None);
        guest.fill(&mut store, 2 * G, 0xc3, 4 * G);
        let handle = guest.allocate(&mut store, 2 * GRANULE).unwrap();
        guest.map(&mut store, handle, 3 * G, 2 * G).unwrap();
        guest.fill(&mut store, 3 * G, 0xc4, 2 * G);
        Self { host, store, guest }
    }

    fn check(&mut self) {
        let Self { host, store, guest } = self;
        assert!(all_are(host.bytes().unwrap(), 0xc2), "the host's canary was touched");
        guest.expect(store, 2 * G, G, 0xc3);
        guest.expect(store, 3 * G, 2 * G, 0xc4);
        guest.expect(store, 5 * G, G, 0xc3);
    }
}
