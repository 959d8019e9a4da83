//! `mappable bus`: what another command does, `mappable-bus`, which is found as `cargo` finds its subcommands.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Args as ClapArgs, Parser as _};

use crate::cli::Cli;
use crate::failure::{Exit, fail};

/// The command that does it.
const COMMAND: &str = "mappable-bus";

/// Run components, and send files, across processes and machines: by the command `mappable-bus`
///
/// That is a package of its own, mappable-zenoh, since it brings Eclipse Zenoh along. It must be on the PATH.
///
/// From a checkout of the repository: `cargo install --path integrations/mappable-zenoh`
#[derive(Debug, ClapArgs)]
#[command(
    disable_help_flag = true,
    after_help = "Examples, each in a terminal of its own:\n  \
    mappable bus run --listen tcp/127.0.0.1:7447 --receive 'camera/*' viewer.wasm camera/left 100 1000000\n  \
    mappable bus run --connect tcp/127.0.0.1:7447 --send 'camera/*' camera.wasm camera/left 100 1000000\n  \
    mappable bus --help"
)]
pub(crate) struct Args {
    /// What `mappable-bus` is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Runs it, and ends as it does.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let status = match Command::new(COMMAND).args(&args.arguments).status() {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return without(args),
        Err(error) => return Err(fail(Exit::Work, format!("{COMMAND} can't be run: {error}"))),
    };
    // A signal has no code; a shell says 128 and its number.
    let code = status.code().or_else(|| signal(status)).and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// What there is without the command: how to get it.
fn without(args: &Args) -> Result<ExitCode> {
    if let [only] = &args.arguments[..]
        && (only == "--help" || only == "-h")
        && let Err(help) = Cli::try_parse_from(["mappable", "help", "bus"])
    {
        help.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let how = "install it by, from a checkout of the repository: cargo install --path integrations/mappable-zenoh";
    Err(fail(Exit::Usage, format!("there is no command {COMMAND} on the PATH: {how}")))
}

#[cfg(unix)]
fn signal(status: std::process::ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal)
}

#[cfg(not(unix))]
fn signal(_: std::process::ExitStatus) -> Option<i32> {
    None
}
