//! An application of WASI 0.2 or 0.3: what it is given of the system, how much it may take, and the store that it runs in.
//! [`run`](crate::run) has one that runs to its end, [`serve`](crate::serve) one for each request.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use mappable::{Limits, MappableCtx, MappableView, Runtime};
use mappable_wasi::{FilesCtx, FilesView};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::amount::size;
use crate::failure::{Exit, fail};
use crate::limiter::Limiter;
use crate::map_files::MapFiles;
use crate::preview1;
use crate::progress::Progress;

/// What an application sees of the system.
#[derive(Clone, Debug, Args)]
pub(crate) struct Given {
    /// A folder that the application may read and write, under its own name or another
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    dirs: Vec<String>,

    /// A folder that the application may only read
    #[arg(long = "dir-ro", value_name = "HOST[::GUEST]")]
    read_only_dirs: Vec<String>,

    /// A variable of the application's environment; with no value, ours
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    envs: Vec<String>,

    /// How files are held that the application maps, by `mappable:files`
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    map_files: MapFiles,
}

impl Given {
    /// A context with these, to which the rest is added.
    pub(crate) fn context(&self) -> Result<WasiCtxBuilder> {
        let mut wasi = WasiCtxBuilder::new();
        for env in &self.envs {
            match env.split_once('=') {
                Some((name, value)) => wasi.env(name, value),
                None => match std::env::var(env) {
                    Ok(value) => wasi.env(env, value),
                    Err(error) => return Err(fail(Exit::Usage, format!("--env {env}: {error}"))),
                },
            };
        }
        if self.map_files == MapFiles::Shared {
            self.check_shared()?;
        }
        let given = [("--dir", &self.dirs, FsPerms::ReadWrite), ("--dir-ro", &self.read_only_dirs, FsPerms::ReadOnly)];
        for (option, dirs, permissions) in given {
            for dir in dirs {
                let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
                let opened = wasi.preopened_dir(host, guest, permissions);
                opened.map_err(|error| anyhow::anyhow!("{option} {host}: {error:#}"))?;
            }
        }
        Ok(wasi)
    }

    /// What is shared must not be the application's to write by another folder.
    fn check_shared(&self) -> Result<()> {
        let of_host = |dir: &String| {
            let host = dir.split_once("::").map_or(&**dir, |(host, _)| host);
            // Whoever opens it says what is wrong.
            fs::canonicalize(host).ok()
        };
        let read_only: Vec<_> = self.read_only_dirs.iter().filter_map(of_host).collect();
        for written in self.dirs.iter().filter_map(of_host) {
            if let Some(read) = read_only.iter().find(|read| read.starts_with(&written) || written.starts_with(read)) {
                let (read, written) = (read.display(), written.display());
                let text = format!("--map-files shared: --dir {written} would write to files of --dir-ro {read}");
                return Err(fail(Exit::Usage, text));
            }
        }
        Ok(())
    }

    /// How the store's files are held.
    pub(crate) fn files(&self, runtime: &Runtime) -> FilesCtx {
        self.map_files.of(runtime)
    }
}

/// How much an application may take.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Bounds {
    /// What the application's memories may have together, with KiB, MiB or GiB. What is mapped takes room there, too
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_memory: Option<u64>,

    /// What the application's regions may have together; 4 GiB unless told
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_regions: Option<u64>,
}

/// What the application's store keeps.
pub(crate) struct State {
    mappable: MappableCtx,
    files: FilesCtx,
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
}

impl State {
    pub(crate) fn new(runtime: &Runtime, bounds: Bounds, files: FilesCtx, mut wasi: WasiCtxBuilder) -> Self {
        let mut mappable = runtime.context();
        if let Some(bytes) = bounds.max_regions {
            mappable.set_limits(Limits::default().region_bytes(bytes));
        }
        let limiter = Limiter::new(bounds.max_memory.unwrap_or(u64::MAX));
        Self { mappable, files, wasi: wasi.build(), table: ResourceTable::new(), limiter }
    }
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl FilesView for State {
    fn files(&mut self) -> &mut FilesCtx {
        &mut self.files
    }
}

/// Compiles an application, and says so while it takes.
pub(crate) fn compile(runtime: &Runtime, bytes: &[u8]) -> Result<Component> {
    preview1::binary_or_text(bytes)?;
    let progress = Progress::new(1);
    progress.says("compiling");
    runtime.compile(bytes).map_err(|error| {
        let error = anyhow::Error::from(error);
        fail(Exit::Load, format!("not loaded: {error:#}"))
    })
}

/// What an application can import, whichever of the two it is of.
pub(crate) fn linker<T: FilesView>(engine: &Engine) -> wasmtime::Result<Linker<T>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    mappable::add_to_linker(&mut linker)?;
    mappable_wasi::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// The interfaces of this name that a component exports, without their versions' last parts: `wasi:cli/run@0.2`.
pub(crate) fn exports(component: &Component, interface: &str) -> bool {
    let ty = component.component_type();
    ty.exports(component.engine()).any(|(name, _)| {
        name.strip_prefix(interface)
            .is_some_and(|rest| rest.strip_prefix('.').is_some_and(|patch| !patch.contains('-')))
    })
}

/// Which command runs a component, to be said behind why another one doesn't; nothing if none does.
pub(crate) fn advice(component: &Component) -> &'static str {
    let ty = component.component_type();
    let runs = |(name, _): (&str, _)| match name {
        _ if name.starts_with("mappable:stage/step@") => Some("; `mappable pipe` runs stages"),
        _ if name.starts_with("wasi:cli/run@0.") && !name.contains('-') => Some("; `mappable run` runs commands"),
        _ if name.starts_with("wasi:http/incoming-handler@0.2.") => Some("; `mappable serve` serves HTTP"),
        _ if name.starts_with("wasi:http/handler@0.3.") && !name.contains('-') => {
            Some("; `mappable serve` serves HTTP")
        }
        _ => None,
    };
    ty.exports(component.engine()).find_map(runs).unwrap_or_default()
}

/// Half of how long a guest may compute until it lets others have their turn. A request that is shorter than this is never
/// interrupted, for that costs as much as it does itself.
const TURN: Duration = Duration::from_millis(5);

/// Guests of an engine with this configuration can be stopped at any time, even when they only compute.
pub(crate) fn stoppable(config: &mut Config) {
    config.epoch_interruption(true);
}

/// Counts the turns of such an engine's guests, for as long as the engine lives.
pub(crate) fn count_turns(engine: &Engine) {
    let engine = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TURN);
        }
    });
}

/// Makes the guests of a store yield to other tasks when they have had a turn: the one that is counted now may be over at once,
/// so with the one after.
pub(crate) fn take_turns<T>(store: &mut Store<T>) {
    store.set_epoch_deadline(2);
    store.epoch_deadline_async_yield_and_update(2);
}
