//! `mappable component`: a core module as a component.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;

use crate::failure::{Exit, fail};
use crate::files::{self, Output};
use crate::{preview1, world};

/// Make a component of a core module, as compilers of C, C++ and Zig make them
///
/// A program of WASI preview 1, with a `main`, is a component of the world `wasi:cli/command`. `run` takes those as they are; this
/// command makes the component once: for another host, to be composed with others, or to save what `run` does each time.
///
/// A library, whose exports others call, is a component of the world that --wit and --world name, or that bindings of
/// `wit-bindgen` have written into the module. The packages `mappable:memory` and `mappable:stage` are known: a WIT may use them
/// without a copy in `deps`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  mappable component app.wasm -o app.component.wasm\n  \
    mappable component --world mappable:stage/stage invert.core.wasm -o invert.wasm\n  \
    mappable component --wit wit --world filter filter.core.wasm -o filter.wasm\n\n\
    Exit codes: 0 done; 1 not written; 2 wrong usage; 3 not to be found, or no component can be made of it.")]
pub(crate) struct Args {
    /// The module, in binary or text
    #[arg(value_name = "CORE.wasm")]
    module: PathBuf,

    /// The WIT package of the world: a folder (with the packages that it uses in `deps`) or a file
    #[arg(long, value_name = "PATH")]
    wit: Option<PathBuf>,

    /// The world that the module is written for; not needed if the package has only one
    #[arg(long, value_name = "NAME")]
    world: Option<String>,

    /// Where the component goes, a file whose name ends in .wasm; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let output = Output::component(&args.output)?;
    let component = make(args).with_context(|| args.module.display().to_string())?;
    output.write(&component)
}

fn no_module(bytes: &[u8]) -> &'static str {
    match wat::parse_bytes(bytes) {
        Ok(binary) if wasmparser::Parser::is_component(&binary) => "not a core module: it is a component already",
        _ => "not a core module",
    }
}

fn make(args: &Args) -> Result<Vec<u8>> {
    let bytes = files::component(&args.module)?;
    let mut module = preview1::core_module(&bytes).ok_or_else(|| fail(Exit::Load, no_module(&bytes)))?;
    if args.wit.is_none() && args.world.is_none() {
        // A library says itself what it is of, or nobody does.
        return if preview1::begins(&module) || !world::is_known(&module) {
            preview1::program(module)
        } else {
            preview1::library(&module)
        };
    }
    world::write(&mut module, args.wit.as_deref(), args.world.as_deref())
        .map_err(|error| fail(Exit::Load, format!("no world for it: {error:#}")))?;
    if preview1::begins(&module) { preview1::program(module) } else { preview1::library(&module) }
}
