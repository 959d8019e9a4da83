//! A server that looks words up in an index, each request in an instance of its own: 200 at once, and one index in memory.
//!
//! Run with `cargo run -p mappable-wasi --example index_server`, or with a number of words: 50 million make an index of 1 GiB.
//!
//! # Safety
//!
//! `FilesCtx::shared` asks that nobody writes to the index as long as it is mapped: it is in a folder of this process's own.

#![allow(unsafe_code)]

use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use mappable::{MappableCtx, MappableView, Runtime};
use mappable_wasi::{FilesCtx, FilesView};
use wasmtime::Store;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::{Command, CommandPre};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

/// Requests that are there at once.
const REQUESTS: u64 = 200;

/// A program of WASI that looks words up in an index of the crate `fst`, which it maps: guests/tests-guests/lookup.
const LOOKUP: &[u8] = include_bytes!("../../../guests/built/lookup.wasm");

struct State {
    mappable: MappableCtx,
    files: FilesCtx,
    wasi: WasiCtx,
    table: ResourceTable,
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

struct Server {
    runtime: Runtime,
    program: CommandPre<State>,
    files: FilesCtx,
}

impl Server {
    fn new() -> Result<Self, Box<dyn Error>> {
        let runtime = Runtime::new()?;
        let mut linker = Linker::new(runtime.engine());
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        mappable::add_to_linker(&mut linker)?;
        mappable_wasi::add_to_linker_async(&mut linker)?;
        let component: Component = runtime.compile(LOOKUP)?;
        let program = CommandPre::new(linker.instantiate_pre(&component)?)?;
        // SAFETY: nobody writes to the index any more.
        let files = unsafe { FilesCtx::new(&runtime).shared() };
        Ok(Self { runtime, program, files })
    }

    /// One request, and what the program has printed. Its store is as it would be while the answer is sent.
    async fn look_up(&self, folder: &Path, word: &str) -> Result<(Store<State>, String), Box<dyn Error>> {
        let output = MemoryOutputPipe::new(1 << 12);
        let mut wasi = WasiCtx::builder();
        wasi.args(&["lookup", "get", "/index/words.fst", word]).stdout(output.clone()).inherit_stderr();
        wasi.preopened_dir(folder, "/index", FsPerms::ReadOnly)?;
        let state = State {
            mappable: self.runtime.context(),
            files: self.files.clone(),
            wasi: wasi.build(),
            table: ResourceTable::new(),
        };
        let mut store = self.runtime.store(state);
        let command: Command = self.program.instantiate_async(&mut store).await?;
        command.wasi_cli_run().call_run(&mut store).await?.map_err(|()| "the program has failed")?;
        Ok((store, String::from_utf8(output.contents().to_vec())?))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let words = std::env::args().nth(1).map_or(Ok(200_000), |words| words.parse::<u64>())?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("words.fst");
    let mut index = fst::MapBuilder::new(BufWriter::new(File::create(&path)?))?;
    for number in 0..words {
        index.insert(word(number), number)?;
    }
    index.finish()?;
    let size = fs::metadata(&path)?.len();

    let server = Server::new()?;
    let (before, begin) = (resident()?, Instant::now());
    let mut open = vec![];
    for request in 0..REQUESTS {
        let number = request * (words - 1) / (REQUESTS - 1);
        let (store, answer) = in_tokio(server.look_up(folder.path(), &word(number)))?;
        assert_eq!(answer, format!("{} {number}\n", word(number)));
        open.push(store);
    }
    let (took, more) = (begin.elapsed() / REQUESTS as u32, resident()?.saturating_sub(before));
    println!(
        "{REQUESTS} requests at once, {took:?} each, in an index of {} KiB: {} KiB of memory more",
        size >> 10,
        more >> 10
    );
    // One index, and what an instance has for itself.
    assert!(more < size + REQUESTS * (1 << 20), "{more}");
    Ok(())
}

/// Each as long, in order, and with little in common.
fn word(number: u64) -> String {
    format!("{number:010}{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The memory that this process has, pages of files included, each page counted once.
fn resident() -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
    Ok(line.ok_or("the system does not tell")?.parse::<u64>()? << 10)
}
