//! `mappable-bench`: measurements on this machine, each within one run and against what a user has without this
//! project.
//!
//! ```text
//!   hop, open, lists, load, access,      the benchmarks: what is compared, rows, a summary, a table
//!   share, scale, counts, ordinary, cold, start, serve, stream, files, cores,
//!   languages
//!    ├ driver    case after case, the methods of each interleaved
//!    ├ method    ways in which two parties pass bytes, each ready to be timed
//!    ├ lane      a method under measurement: warmed up, sampled in turn with others, checked each time
//!    ├ figures   medians and spread, and what they were taken with
//!    ├ report    the same figures as a page with charts
//!    └ sys       what needs `unsafe`: stepping through another process, and a thread's own time
//! ```
//!
//! Each benchmark checks what it computes; none asserts a time.

mod access;
mod cold;
mod command;
mod cores;
mod counts;
mod driver;
mod figures;
mod files;
mod hop;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod ipc;
mod lane;
mod languages;
mod lists;
mod load;
mod method;
mod open;
mod ordinary;
mod report;
mod resident;
mod scale;
mod serve;
mod share;
mod size;
mod stages;
mod start;
mod stream;
mod sys;
mod table;
mod tier;

use std::process::ExitCode;

use clap::Parser;

/// Measures mappable on this machine, against stock Wasmtime and memcpy.
#[derive(Debug, Parser)]
#[command(name = "mappable-bench", version, max_term_width = 100)]
enum Bench {
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
    Start(start::Args),
    Serve(serve::Args),
    ServeStock(serve::stock::Args),
    Stream(stream::Args),
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    Ipc(ipc::Args),
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    IpcPeer(ipc::peer::Args),
    Files(files::Args),
    Languages(languages::Args),
    FilesGuest(files::guest::Args),
    Cores(cores::Args),
}

/// Runs one benchmark, and prints its table, or its figures as JSON.
fn main() -> ExitCode {
    let done = match Bench::parse() {
        Bench::Hop(args) => hop::run(&args),
        Bench::Open(args) => open::run(&args),
        Bench::Lists(args) => lists::run(&args),
        Bench::Load(args) => load::run(&args),
        Bench::Access(args) => access::run(&args),
        Bench::Share(args) => share::run(&args),
        Bench::Scale(args) => scale::run(&args),
        Bench::Counts(args) => counts::run(&args),
        Bench::Rounds(args) => counts::rounds::run(&args),
        Bench::Ordinary(args) => ordinary::run(&args),
        Bench::Cold(args) => cold::run(&args),
        Bench::Start(args) => start::run(&args),
        Bench::Serve(args) => serve::run(&args),
        Bench::ServeStock(args) => serve::stock::run(&args),
        Bench::Stream(args) => stream::run(&args),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        Bench::Ipc(args) => ipc::run(&args),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        Bench::IpcPeer(args) => ipc::peer::run(&args),
        Bench::Files(args) => files::run(&args),
        Bench::Languages(args) => languages::run(&args),
        Bench::FilesGuest(args) => files::guest::run(&args),
        Bench::Cores(args) => cores::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
