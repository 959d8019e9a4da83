//! `mappable-bench files-guest`: the component of one lane, in a process of its own, so often at once as is told. Not for people.
//!
//! # Safety
//!
//! [`FilesCtx::shared`] asks that nobody writes to the file: it is the benchmark's own, and written before.

#![allow(unsafe_code)]

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mappable::{HugePages, MappableCtx, MappableView, Runtime};
use mappable_wasi::{FilesCtx, FilesView};
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use super::Act;
use super::hosted::Hosted;
use crate::driver;

/// Run a component of the benchmark `files`.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    #[arg(value_enum)]
    host: Host,
    app: PathBuf,
    /// What the program does
    #[arg(value_enum)]
    act: Act,
    /// The file
    file: PathBuf,
    /// How many instances
    count: u32,
}

/// What a component runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Host {
    Snapshot,
    Shared,
    /// With advice for huge pages.
    SharedHuge,
    Stock,
    /// A core module whose host maps the file itself.
    StockMmap,
}

/// Where the program finds the file's folder.
const FOLDER: &str = "/data";

pub(crate) fn run(args: &Args) -> Result<()> {
    match args.host {
        Host::StockMmap => {
            let hosted = Hosted::new(&args.app)?;
            each(args, || {
                let done = hosted.run(args.act, &args.file)?;
                println!("{} {} {} {}", done.start, done.first, done.all, done.sum);
                Ok(done)
            })
        }
        Host::Stock => {
            let engine = Engine::new(&Config::new())?;
            let mut linker = Linker::<WasiState>::new(&engine);
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            let program = linker.instantiate_pre(&Component::from_file(&engine, &args.app)?)?;
            all(args, program, |wasi| Store::new(&engine, wasi))
        }
        Host::Snapshot | Host::Shared | Host::SharedHuge => {
            let huge_pages = if args.host == Host::SharedHuge { HugePages::Advised } else { HugePages::default() };
            let runtime = Runtime::builder().huge_pages(huge_pages).build()?;
            let mut linker = Linker::<State>::new(runtime.engine());
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            mappable::add_to_linker(&mut linker)?;
            mappable_wasi::add_to_linker_async(&mut linker)?;
            let program = linker.instantiate_pre(&runtime.compile(&std::fs::read(&args.app)?)?)?;
            let files = FilesCtx::new(&runtime);
            // SAFETY: the file is the benchmark's, which writes to it no more, and the folder is for reading alone.
            let files = if args.host == Host::Snapshot { files } else { unsafe { files.shared() } };
            all(args, program, |wasi| runtime.store(State { mappable: runtime.context(), files: files.clone(), wasi }))
        }
    }
}

/// Instance after instance, of which all stay until the end.
fn all<T: WasiView + Send + 'static>(
    args: &Args,
    program: InstancePre<T>,
    store: impl Fn(WasiState) -> Store<T>,
) -> Result<()> {
    let program = CommandPre::new(program)?;
    each(args, || {
        let (wasi, output) = WasiState::new(&driver::name(args.act), &args.file)?;
        let begin = Instant::now();
        let mut store = store(wasi);
        let started = in_tokio(async {
            let command = program.instantiate_async(&mut store).await?;
            let started = begin.elapsed();
            let done = command.wasi_cli_run().call_run(&mut store).await?;
            ensure!(done.is_ok(), "the program has failed");
            anyhow::Ok(started)
        })?;
        let said = output.contents();
        let said = std::str::from_utf8(&said)?.strip_prefix("0 ").context("the program has not said its times")?;
        print!("{} {said}", started.as_nanos());
        Ok(store)
    })
}

/// As often as is told, when it is told to begin. What is left of each stays until the end.
fn each<T>(args: &Args, mut one: impl FnMut() -> Result<T>) -> Result<()> {
    let mut line = String::new();
    println!("ready");
    io::stdin().read_line(&mut line)?;
    let mut kept = vec![];
    for _ in 0..args.count {
        kept.push(one()?);
    }
    println!("done");
    io::stdout().flush()?;
    io::read_to_string(io::stdin())?;
    Ok(())
}

struct WasiState {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiState {
    /// For a program that does this with this file, and what it prints.
    fn new(act: &str, file: &Path) -> Result<(Self, MemoryOutputPipe)> {
        let name = file.file_name().and_then(|name| name.to_str()).context("a file without a name")?;
        let folder = file.parent().context("a file without a folder")?;
        let output = MemoryOutputPipe::new(1 << 12);
        let mut wasi = WasiCtx::builder();
        wasi.args(&["files", act, &format!("{FOLDER}/{name}")]).stdout(output.clone()).inherit_stderr();
        wasi.preopened_dir(folder, FOLDER, FsPerms::ReadOnly)?.allow_blocking_current_thread(true);
        Ok((Self { ctx: wasi.build(), table: ResourceTable::new() }, output))
    }
}

impl WasiView for WasiState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

struct State {
    mappable: MappableCtx,
    files: FilesCtx,
    wasi: WasiState,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl FilesView for State {
    fn files(&mut self) -> &mut FilesCtx {
        &mut self.files
    }
}
