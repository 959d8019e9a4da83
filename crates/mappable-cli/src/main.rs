//! The `mappable` command: pipelines of sandboxed stages that hand one region along, a demo, and tools around them.
//!
//! ```text
//!   cli          the command line
//!    ├ demo      the whole idea from nothing: frames through light stages, a picture through heavy ones
//!    ├ pipe      a picture through stages, from file to file
//!    ├ run       a WASI command, with mapping     ── application   what it is given, and how much it may take
//!    ├ serve     HTTP, by an instance a request   ─┘
//!    ├ bus       components across processes and machines: another command's
//!    ├ component a core module as a component
//!    ├ compose   stages as one component, which may run on hosts without regions
//!    └ inspect   what mapping a component does, and how
//!   pipeline     a payload through steps, timed   ── stage   a component as a step: loaded, in a sandbox of its own
//!   files        pictures in and out              ── failure what went wrong, as one line and an exit code
//!   runtime      options of a runtime             ── limiter what a guest's memories may have
//!   preview1     core modules as components       ── world    which world one is of
//!   amount       sizes and times, as written      ── table   tables and figures, for people
//! ```
//!
//! # Exit codes
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | the work failed: a bad picture, a file that can't be read or written, a stage's own error |
//! | 2 | wrong usage |
//! | 3 | a component can't be loaded: not found, of the wrong world, or refused by the rewriter |
//! | 4 | a stage trapped, or ran out of memory |
//!
//! `mappable run` exits with the application's own code, with 134 when it traps, 124 when its time is up
//! (`--timeout`), and as above when it can't begin. `mappable bus` exits as `mappable-bus` does.
//!
//! A failure is one line on stderr, and leaves no output file and an existing one as it was.

mod amount;
mod application;
mod bus;
mod cli;
mod component;
mod compose;
mod demo;
mod failure;
mod files;
mod inspect;
mod limiter;
mod map_files;
mod peer;
mod pipe;
mod pipeline;
mod preview1;
mod progress;
mod run;
mod runtime;
mod serve;
mod stage;
mod table;
mod world;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
