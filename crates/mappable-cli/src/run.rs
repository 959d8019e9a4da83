//! `mappable run`: a command of WASI 0.2 or 0.3, with mapping available.

use std::future::poll_fn;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Store};
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{I32Exit, p2, p3};

use crate::amount::span;
use crate::application::{self, Bounds, Given, State};
use crate::failure::{self, Exit, fail, one_line, trap_reason};
use crate::files;
use crate::preview1;
use crate::runtime::Options;

/// What a shell says of a process that aborted, and `wasmtime run` of a trap.
const TRAPPED: u8 = 134;

/// What `timeout` says of a command that it stopped.
const OUT_OF_TIME: u8 = 124;

/// Run a WASI command with mapping available
///
/// The component exports `wasi:cli/run`, of WASI 0.2 or 0.3; or it is a core module of preview 1, as compilers of C make them, and is
/// made a component. It may import `mappable:memory/types`, `mappable:files`, and all of WASI 0.2 and 0.3 but HTTP. It has stdin, stdout and stderr, the arguments, and what is given by --dir, --dir-ro and --env; no network. All
/// that follows its name is the application's own.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "mappable run [OPTIONS] <APP.wasm> [ARGS]...",
    after_help = "Examples:
  mappable run app.wasm one two
  mappable run app.wasm --help                     # the application's own help
  mappable run --dir pictures::/data --dir-ro /etc --env LEVEL=3 app.wasm --verbose
  mappable run --timeout 30s --max-memory 512MiB --max-regions 1GiB app.wasm
  mappable run --mapping-mode copy app.wasm        # where no memory can be mapped
  mappable run --dir-ro index::/index --map-files shared lookup.wasm /index/words.fst

Exits with the application's own code: 0 or 1, or what it gave to `exit`; 134 when it traps,
124 when its time is up. 1 when an argument can't be had, 2 for wrong usage, 3 when the
component can't be loaded."
)]
pub(crate) struct Args {
    #[command(flatten)]
    given: Given,

    /// How long the application may run, with ms, s, m or h; for ever unless told
    #[arg(long, value_name = "TIME", value_parser = span, help_heading = "Limits")]
    timeout: Option<Duration>,

    #[command(flatten)]
    bounds: Bounds,

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

/// Runs it, and returns its exit code.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let name = args.app().display().to_string();
    application(args).with_context(|| name.clone()).or_else(|error| match error.downcast::<Ended>() {
        Ok(Ended { code, reason }) => {
            failure::say(&one_line(&format!("{name}: {reason}")));
            Ok(ExitCode::from(code))
        }
        Err(error) => Err(error),
    })
}

/// The application did not come to its own end: how the process exits, and why.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
struct Ended {
    code: u8,
    reason: String,
}

fn application(args: &Args) -> Result<ExitCode> {
    let bytes = preview1::component(files::component(args.app())?)?;
    let mut config = Config::new();
    if args.timeout.is_some() {
        application::stoppable(&mut config);
    }
    let runtime = args.runtime.build(config)?;
    let component = application::compile(&runtime, &bytes)?;
    let linker = application::linker(runtime.engine()).map_err(|error| fail(Exit::Load, error))?;

    let mut wasi = args.given.context()?;
    // What blocks can't be given up on.
    wasi.inherit_stdio().allow_blocking_current_thread(args.timeout.is_none());
    let (file_name, own) = (args.app().file_name().unwrap_or(args.app().as_os_str()), args.command.get(1..));
    wasi.arg(file_name.to_string_lossy());
    wasi.args(own.unwrap_or_default());

    let mut store = runtime.store(State::new(&runtime, args.bounds, args.given.files(&runtime), wasi));
    store.limiter(|state| &mut state.limiter);
    let Some(timeout) = args.timeout else { return in_tokio(command(&mut store, &component, &linker)) };
    application::count_turns(runtime.engine());
    application::take_turns(&mut store);
    let in_time = async { tokio::time::timeout(timeout, command(&mut store, &component, &linker)).await };
    in_tokio(in_time).unwrap_or_else(|_| {
        let reason = format!("stopped: it was still running after {timeout:?} (--timeout)");
        Err(Ended { code: OUT_OF_TIME, reason }.into())
    })
}

/// Runs the component as what it exports: a command of WASI 0.3, or of 0.2.
async fn command(store: &mut Store<State>, component: &Component, linker: &Linker<State>) -> Result<ExitCode> {
    let done = if application::exports(component, "wasi:cli/run@0.3") {
        let command = p3::bindings::Command::instantiate_async(&mut *store, component, linker).await;
        let command = command.map_err(|error| not_begun(store, component, error))?;
        let run = store.run_concurrent(async |accessor| {
            let done = command.wasi_cli_run().call_run(accessor).await?;
            // What it left to be done, such as writing what it printed.
            poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
            Ok(done)
        });
        run.await.flatten()
    } else {
        let command = p2::bindings::Command::instantiate_async(&mut *store, component, linker).await;
        let command = command.map_err(|error| not_begun(store, component, error))?;
        command.wasi_cli_run().call_run(&mut *store).await
    };
    match done {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(())) => Ok(ExitCode::FAILURE),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            // A process has eight bits for it.
            Some(I32Exit(code)) => Ok(ExitCode::from((code & 0xff) as u8)),
            None => Err(trapped(store, &error)),
        },
    }
}

fn trapped(store: &Store<State>, error: &wasmtime::Error) -> anyhow::Error {
    let reason = trap_reason(error);
    let reason = match store.data().limiter.shortage() {
        Some(shortage) => format!("{shortage} ({reason})"),
        None => reason,
    };
    Ended { code: TRAPPED, reason }.into()
}

/// Why a component does not run as a command, with what it is where that can be told.
fn not_begun(store: &Store<State>, component: &Component, error: wasmtime::Error) -> anyhow::Error {
    if error.is::<wasmtime::Trap>() {
        return trapped(store, &error);
    }
    if let Some(shortage) = store.data().limiter.shortage() {
        return fail(Exit::Load, format!("{shortage} (--max-memory)"));
    }
    let ty = component.component_type();
    let network = ty.imports(component.engine()).map(|(name, _)| name).find(|name| name.starts_with("wasi:http/"));
    let is_command = ["wasi:cli/run@0.2", "wasi:cli/run@0.3"].iter().any(|run| application::exports(component, run));
    let advice = if is_command { "" } else { application::advice(component) };
    let reason = match network.filter(|_| advice.is_empty()) {
        Some(name) => format!("it imports `{name}`, and there is no network here"),
        None if is_command => format!("not loaded: {error:#}"),
        None => format!("not a WASI command: it exports neither `wasi:cli/run@0.2` nor `wasi:cli/run@0.3`{advice}"),
    };
    fail(Exit::Load, reason)
}
