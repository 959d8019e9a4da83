mod bench;
use clap::Parser;
#[derive(Parser)] struct Cli { #[command(subcommand)] c: C }
#[derive(clap::Subcommand)] enum C { Bench(bench::Args) }
fn main() -> anyhow::Result<()> { let C::Bench(a) = Cli::parse().c; bench::run(a) }
