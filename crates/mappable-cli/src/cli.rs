//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{bus, component, compose, demo, inspect, pipe, run, serve};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the work failed: a bad picture, a file, a stage's own error
  2  wrong usage
  3  a component can't be loaded: not found, of the wrong world, or refused
  4  a stage trapped, or ran out of memory
`run` exits with the application's own code, with 134 when it traps, and with 124 when its time is up. \
`bus` exits as mappable-bus does.

Examples:
  mappable demo
  mappable pipe -i photo.jpg -o edges.png blur:2 edges
  mappable run --dir . app.wasm input.txt
  mappable serve --frozen table=table.bin app.wasm
  mappable component --world mappable:stage/stage invert.core.wasm -o invert.wasm
  mappable compose --portable grayscale -o gray.wasm
  mappable inspect app.wasm
  mappable bus run --connect tcp/192.0.2.1:7447 --send 'a/*' node.wasm";

/// Regions of memory that WebAssembly components hand to one another without a copy.
#[derive(Debug, Parser)]
#[command(name = "mappable", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Pipe(pipe::Args),
    Run(run::Args),
    Serve(serve::Args),
    Component(component::Args),
    Compose(compose::Args),
    Inspect(inspect::Args),
    Bus(bus::Args),
}

impl Cli {
    /// Does it.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(args) => return run::run(&args),
            Command::Bus(args) => return bus::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Pipe(args) => pipe::run(&args),
            Command::Serve(args) => serve::run(&args),
            Command::Component(args) => component::run(&args),
            Command::Compose(args) => compose::run(&args),
            Command::Inspect(args) => inspect::run(&args),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
