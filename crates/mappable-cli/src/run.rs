//! `mappable run`: a WASI 0.2 command, with mapping available.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use mappable::{MappableCtx, MappableView};
use wasmtime::Config;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::failure::{self, Exit, fail, one_line, trap_reason};
use crate::files;
use crate::progress::Progress;
use crate::runtime::Options;

/// What a shell says of a process that aborted, and `wasmtime run` of a trap.
const TRAPPED: u8 = 134;

/// Run a WASI 0.2 command component with mapping available
///
/// The component exports `wasi:cli/run`, and may import `mappable:memory/types` and WASI 0.2. It has stdin, stdout and
/// stderr, the arguments, and what is given by --dir, --dir-ro and --env; no network. All that follows its name is the
/// application's own.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "mappable run [OPTIONS] <APP.wasm> [ARGS]...",
    after_help = "Examples:
  mappable run app.wasm one two
  mappable run app.wasm --help                     # the application's own help
  mappable run --dir pictures::/data --dir-ro /etc --env LEVEL=3 app.wasm --verbose
  mappable run --mapping-mode copy app.wasm        # where no memory can be mapped

Exits with the application's own code: 0 or 1, or what it gave to `exit`; 134 when it traps.
1 when an argument can't be had, 2 for wrong usage, 3 when the component can't be loaded."
)]
pub(crate) struct Args {
    /// A folder that the application may read and write, under its own name or another
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    dirs: Vec<String>,

    /// A folder that the application may only read
    #[arg(long = "dir-ro", value_name = "HOST[::GUEST]")]
    read_only_dirs: Vec<String>,

    /// A variable of the application's environment; with no value, ours
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    envs: Vec<String>,

    #[command(flatten)]
    runtime: Options,

    /// The component, in binary or text, and the application's own arguments
    // In one: the first that follows the component ends our options, whatever it looks like.
    #[arg(value_name = "APP.wasm", required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

impl Args {
    fn app(&self) -> &Path {
        Path::new(self.command.first().map_or("", String::as_str))
    }
}

/// What the application's store keeps.
struct State {
    mappable: MappableCtx,
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

/// Runs it, and returns its exit code.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let name = args.app().display().to_string();
    application(args).with_context(|| name.clone()).or_else(|error| match error.downcast::<Trapped>() {
        Ok(Trapped(reason)) => {
            failure::say(&one_line(&format!("{name}: {reason}")));
            Ok(ExitCode::from(TRAPPED))
        }
        Err(error) => Err(error),
    })
}

/// The application trapped, for this reason.
#[derive(Debug)]
struct Trapped(String);

impl std::fmt::Display for Trapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trapped {}

fn application(args: &Args) -> Result<ExitCode> {
    let bytes = files::component(args.app())?;
    let runtime = args.runtime.build(Config::new())?;
    let progress = Progress::new(1);
    progress.says("compiling");
    let component = runtime.compile(&bytes).map_err(|error| {
        let error = anyhow::Error::from(error);
        fail(Exit::Load, format!("not loaded: {error:#}"))
    })?;
    drop(progress);
    let mut linker: Linker<State> = Linker::new(runtime.engine());
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(|error| fail(Exit::Load, error))?;
    mappable::add_to_linker(&mut linker).map_err(|error| fail(Exit::Load, error))?;
    let state = State { mappable: runtime.context(), wasi: wasi(args)?, table: ResourceTable::new() };
    let mut store = runtime.store(state);
    let command = match Command::instantiate(&mut store, &component, &linker) {
        Ok(command) => command,
        Err(error) if error.is::<wasmtime::Trap>() => return Err(Trapped(trap_reason(&error)).into()),
        Err(error) => return Err(fail(Exit::Load, why_not_a_command(&component, &error))),
    };
    match command.wasi_cli_run().call_run(&mut store) {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(())) => Ok(ExitCode::FAILURE),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            // A process has eight bits for it.
            Some(I32Exit(code)) => Ok(ExitCode::from((code & 0xff) as u8)),
            None => Err(Trapped(trap_reason(&error)).into()),
        },
    }
}

/// Why a component does not run as a command, with what it is where that can be told.
fn why_not_a_command(component: &Component, error: &wasmtime::Error) -> String {
    let ty = component.component_type();
    let engine = component.engine();
    if ty.exports(engine).any(|(name, _)| name.starts_with("wasi:cli/run@0.3")) {
        return "a WASI 0.3 command: only those of WASI 0.2 can be run".to_owned();
    }
    if let Some((name, _)) = ty.imports(engine).find(|(name, _)| name.starts_with("wasi:http/")) {
        return format!("it imports `{name}`, and there is no network here");
    }
    format!("not a WASI 0.2 command: {error:#}")
}

/// What the application sees of the system.
fn wasi(args: &Args) -> Result<WasiCtx> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().allow_blocking_current_thread(true);
    let (file_name, own) = (args.app().file_name().unwrap_or(args.app().as_os_str()), args.command.get(1..));
    wasi.arg(file_name.to_string_lossy());
    wasi.args(own.unwrap_or_default());
    for env in &args.envs {
        match env.split_once('=') {
            Some((name, value)) => wasi.env(name, value),
            None => match std::env::var(env) {
                Ok(value) => wasi.env(env, value),
                Err(error) => return Err(fail(Exit::Usage, format!("--env {env}: {error}"))),
            },
        };
    }
    let given = [("--dir", &args.dirs, FsPerms::ReadWrite), ("--dir-ro", &args.read_only_dirs, FsPerms::ReadOnly)];
    for (option, dirs, permissions) in given {
        for dir in dirs {
            let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
            let opened = wasi.preopened_dir(host, guest, permissions);
            opened.map_err(|error| anyhow::anyhow!("{option} {host}: {error:#}"))?;
        }
    }
    Ok(wasi.build())
}
