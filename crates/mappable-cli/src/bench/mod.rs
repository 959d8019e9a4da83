//! `mappable bench`: measurements, each within one run and against what a user would have had.

mod access;
mod cold;
mod counts;
mod figures;
mod hop;
mod lane;
mod lists;
mod load;
mod method;
mod open;
mod ordinary;
mod report;
mod resident;
mod scale;
mod share;
mod size;
mod tier;

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
    Open(open::Args),
    Lists(lists::Args),
    Load(load::Args),
    Access(access::Args),
    Share(share::Args),
    Scale(scale::Args),
    Counts(counts::Args),
    Rounds(counts::rounds::Args),
    Ordinary(ordinary::Args),
    Cold(cold::Args),
}

/// Runs one benchmark and prints its table, or its figures as JSON.
pub(crate) fn run(args: Args) -> Result<()> {
    match args.what {
        What::Hop(args) => hop::run(&args),
        What::Open(args) => open::run(&args),
        What::Lists(args) => lists::run(&args),
        What::Load(args) => load::run(&args),
        What::Access(args) => access::run(&args),
        What::Share(args) => share::run(&args),
        What::Scale(args) => scale::run(&args),
        What::Counts(args) => counts::run(&args),
        What::Rounds(args) => counts::rounds::run(&args),
        What::Ordinary(args) => ordinary::run(&args),
        What::Cold(args) => cold::run(&args),
    }
}
