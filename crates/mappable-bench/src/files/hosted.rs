//! What a scan through a loop in Wasm costs where nothing of ours is involved: the file is mapped by `mmap` over pages of a stock
//! memory's, and the program is the same loop as a core module without WASI.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use wasmtime::{Caller, Config, Engine, Extern, InstancePre, Linker, Module, Store};

use super::Act;
use crate::sys;

/// A memory's.
const PAGE: u64 = 65_536;

/// The processor's. Windows begin in the file at a multiple of it.
const HUGE_PAGE: u64 = 2 << 20;

pub(super) struct Hosted {
    program: InstancePre<State>,
}

/// An instance that has given its answer. What it has mapped stays until it is dropped.
pub(super) struct Done {
    _store: Store<State>,
    pub(super) start: u128,
    pub(super) first: u64,
    pub(super) all: u64,
    pub(super) sum: u64,
}

struct State {
    begin: Instant,
    file: Option<Arc<File>>,
    written: bool,
    /// Where windows are mapped, one over the other.
    at: Option<u64>,
}

impl State {
    fn now(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }
}

impl Hosted {
    pub(super) fn new(app: &Path) -> Result<Self> {
        let engine = Engine::new(&Config::new())?;
        let mut linker = Linker::<State>::new(&engine);
        linker.func_wrap("host", "now", |caller: Caller<'_, State>| caller.data().now())?;
        linker.func_wrap("host", "map", map)?;
        Ok(Self { program: linker.instantiate_pre(&Module::from_file(&engine, app)?)? })
    }

    /// A fresh instance does this with a file. As in the other lanes, the file is opened while time is taken.
    pub(super) fn run(&self, act: Act, file: &Path) -> Result<Done> {
        let begin = Instant::now();
        let state = State { begin, file: None, written: matches!(act, Act::Patch | Act::Rewrite), at: None };
        let mut store = Store::new(self.program.module().engine(), state);
        let instance = self.program.instantiate(&mut store)?;
        let run = instance.get_typed_func::<(u32, u64), u64>(&mut store, "run")?;
        let first = instance.get_typed_func::<(), u64>(&mut store, "first")?;
        let start = begin.elapsed().as_nanos();

        store.data_mut().begin = Instant::now();
        let file = File::open(file)?;
        let size = file.metadata()?.len();
        store.data_mut().file = Some(Arc::new(file));
        let sum = run.call(&mut store, (act as u32, size))?;
        let all = store.data().now();
        Ok(Done { start, first: first.call(&mut store, ())?, all, sum, _store: store })
    }
}

/// Maps a window of the file, and says where it is.
fn map(mut caller: Caller<'_, State>, offset: u64, len: u64) -> wasmtime::Result<u32> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("no memory"))?;
    let at = match caller.data().at {
        Some(at) => at,
        None => {
            let end = memory.grow(&mut caller, (len + HUGE_PAGE).div_ceil(PAGE))? * PAGE;
            // Where the kernel would put it: by huge pages, if the file's are.
            let address = memory.data_ptr(&caller).addr() as u64 + end;
            end + address.next_multiple_of(HUGE_PAGE) - address
        }
    };
    caller.data_mut().at = Some(at);
    let written = caller.data().written;
    let file = caller.data().file.clone().ok_or_else(|| wasmtime::Error::msg("no file"))?;
    sys::map_over(memory, &mut caller, at..at + len, &file, offset, written)?;
    Ok(u32::try_from(at)?)
}
