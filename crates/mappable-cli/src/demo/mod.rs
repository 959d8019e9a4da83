//! `mappable demo`: the whole idea, from nothing. `frames` is light work on many frames, `picture` heavy work on one.

mod frames;
mod gain;
mod picture;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};

/// Show what passing bytes without a copy is worth: 4K frames through five stages
///
/// Without a subcommand, the same as `mappable demo frames`: on one core and on all (`-j`).
#[derive(Debug, ClapArgs)]
#[group(skip)]
#[command(args_conflicts_with_subcommands = true, after_help = frames::EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    demo: Option<Demo>,

    #[command(flatten)]
    frames: frames::Args,
}

#[derive(Debug, Subcommand)]
enum Demo {
    Frames(frames::Args),
    Picture(Box<picture::Args>),
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.demo {
        None => frames::run(&args.frames),
        Some(Demo::Frames(args)) => frames::run(args),
        Some(Demo::Picture(args)) => picture::run(args),
    }
}
