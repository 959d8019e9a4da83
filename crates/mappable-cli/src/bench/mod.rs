//! `mappable bench`: measurements, each within one run and against what a user would have had.

mod hop;
mod method;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};

/// Measure on this machine.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Hop(hop::Args),
}

/// Runs one benchmark and prints its table, or its figures as JSON.
pub(crate) fn run(args: Args) -> Result<()> {
    match args.what {
        What::Hop(args) => hop::run(&args),
    }
}
