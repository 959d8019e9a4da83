//! `mappable component`: a program of WASI preview 1 as a component.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;

use crate::failure::{Exit, fail};
use crate::files::{self, Output};
use crate::preview1;

/// Make a component of a program of WASI preview 1, once
///
/// Compilers of C make core modules that import `wasi_snapshot_preview1`. `run` takes those as they are; this command is for
/// who wants the component: for another host, to be composed with others, or to save what `run` does each time.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  mappable component app.wasm -o app.component.wasm\n\n\
    Exit codes: 0 done; 1 not written; 2 wrong usage; 3 not to be found, or no program of preview 1.")]
pub(crate) struct Args {
    /// The program, in binary or text
    #[arg(value_name = "APP.wasm")]
    app: PathBuf,

    /// Where the component goes, a file whose name ends in .wasm; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let output = Output::component(&args.output)?;
    let component = make(args).with_context(|| args.app.display().to_string())?;
    output.write(&component)
}

fn make(args: &Args) -> Result<Vec<u8>> {
    let bytes = files::component(&args.app)?;
    preview1::encode(&bytes)?.ok_or_else(|| fail(Exit::Load, "not a core module"))
}
