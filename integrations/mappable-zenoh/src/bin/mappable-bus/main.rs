//! The `mappable-bus` command: components, and files, on the bus.
//!
//! ```text
//!   main      the command line
//!    ├ run      a component as a node        ── node     its sandbox: grants, quotas, limits
//!    ├ files    files to the bus and back: send, receive, offer, get
//!    └ bench    a hop between two processes
//!   member    the options that all have: where peers are
//! ```

mod bench;
mod files;
mod member;
mod node;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples, each in a terminal of its own:
  mappable-bus run --listen tcp/127.0.0.1:7447 --receive 'camera/*' viewer.wasm camera/left 100 1000000
  mappable-bus run --connect tcp/127.0.0.1:7447 --send 'camera/*' camera.wasm camera/left 100 1000000

  mappable-bus receive --listen tcp/0.0.0.0:7447 results -o result.bin
  mappable-bus send --connect tcp/192.0.2.1:7447 results result.bin

Between processes of one host and user values go through shared memory, else over the network.";

/// Regions and frozen values between components in this process, on this host and on others.
#[derive(Debug, Parser)]
#[command(name = "mappable-bus", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Send(files::SendArgs),
    Receive(files::ReceiveArgs),
    Offer(files::OfferArgs),
    Get(files::GetArgs),
    Bench(bench::Args),
    #[command(hide = true)]
    BenchPeer(bench::PeerArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Send(args) => files::send(&args),
        Command::Receive(args) => files::receive(&args),
        Command::Offer(args) => files::offer(&args),
        Command::Get(args) => files::get(&args),
        Command::Bench(args) => bench::run(&args),
        Command::BenchPeer(args) => bench::peer(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mappable-bus: {error:#}");
            ExitCode::FAILURE
        }
    }
}
