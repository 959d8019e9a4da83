//! `mappable compose`: stages as one component.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;

use crate::failure::{Exit, fail};
use crate::files::{self, Output};
use crate::pipe::with_ends;
use crate::stage::{Bytes, Regions, Spec, compose, exports_step, with_regions_inside};

/// Make one component of stages, or one that runs on any host of components
///
/// The stages hand the picture on among themselves. The component imports regions and is a stage again, of the world
/// `mappable:stage/stage`. With --portable it has its regions in itself and takes and gives lists of bytes, world
/// `mappable:stage/copying-stage`: it imports no function, unless a stage imports WASI, and runs in Wasmtime as it comes, in Node and
/// in browsers.
///
/// Have `mappable pipe` run it with --exact: `decode` and `encode` are in it.
///
/// Arguments are given when it runs: those of all stages in one list, with `--` between the stages. So a composition that
/// is composed again has to come first.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Built-in names, or paths of components of the world `mappable:stage/stage`; with --portable, one component of any
    /// world will do too
    #[arg(value_name = "STAGE", required = true)]
    stages: Vec<String>,

    /// Where the component goes, a file whose name ends in .wasm; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Put regions inside, in plain WebAssembly: they are copied, and no host has to know them
    #[arg(long)]
    portable: bool,

    /// Compose the stages given and no others: `decode` is not put first, nor `encode` last
    #[arg(long)]
    exact: bool,
}

const AFTER_HELP: &str = "\
The built-in stages are those of `mappable pipe`. `decode` is put first unless the first stage is that, \
and `encode` last unless the last is that; with --exact neither is.

Examples:
  A stage, and a picture through it:
    mappable compose blur edges -o both.wasm
    mappable pipe -i a.png -o b.png --exact ./both.wasm:--,2,--,--
  PNG or JPEG in, PNG out, on any host:
    mappable compose --portable grayscale -o gray.wasm
  A command, for `wasmtime run`:
    mappable compose --portable app.wasm -o app.portable.wasm

Exit codes: 0 done; 1 not written; 2 wrong usage; 3 a component can't be loaded or composed.";

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let output = Output::component(&args.output)?;
    let mut specs = args.stages.iter().map(|text| Spec::parse(text)).collect::<Result<Vec<_>>>()?;
    if let Some(spec) = specs.iter().find(|spec| !spec.args.is_empty()) {
        let message = "arguments are given when the composition runs, in one list with `--` between the stages";
        return Err(fail(Exit::Usage, message)).with_context(|| format!("stage {spec}"));
    }
    if let (true, [Spec { bytes: Bytes::File(path), .. }]) = (args.portable, &specs[..]) {
        let title = || path.display().to_string();
        let bytes = files::component(path).with_context(title)?;
        let bytes = wat::parse_bytes(&bytes).map_err(|error| fail(Exit::Load, error)).with_context(title)?;
        if !exports_step(&bytes).with_context(title)? {
            return output.write(&with_regions_inside(&bytes).with_context(title)?);
        }
    }
    if !args.exact {
        specs = with_ends(specs, true, true)?;
    }
    let regions = if args.portable { Regions::Inside } else { Regions::Imported };
    output.write(&compose(&specs, regions)?)
}
