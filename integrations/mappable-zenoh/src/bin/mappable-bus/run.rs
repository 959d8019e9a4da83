//! `mappable-bus run`: a component as a node.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use mappable::Runtime;
use mappable_zenoh::host::{Grants, Quota};
use mappable_zenoh::{Overflow, Pattern};

use crate::member::Member;
use crate::node::Node;

/// Run a component of the world `mappable:bus/node`
///
/// It may use those keys that are granted, and nothing else of the system. What its function `run` returns is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    member: Member,
    /// Keys under which it may publish, offer and be there. `*` is one part, `**` any number
    #[arg(long, value_name = "KEYS")]
    send: Vec<Pattern>,
    /// Keys that it may subscribe to and ask for
    #[arg(long, value_name = "KEYS")]
    receive: Vec<Pattern>,
    /// Drop the oldest messages that wait when there are too many, in place of letting publishers wait
    #[arg(long)]
    drop_oldest: bool,
    /// MiB of memory that it may have, and as many of regions
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: u64,
    /// The component
    component: PathBuf,
    /// What its function `run` is given
    #[arg(trailing_var_arg = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = Runtime::new()?;
    let path = args.component.display();
    let bytes = fs::read(&args.component).with_context(|| path.to_string())?;
    let component = runtime.compile(&bytes).with_context(|| path.to_string())?;
    let grants = args.send.iter().cloned().fold(Grants::new(), Grants::send);
    let grants = args.receive.iter().cloned().fold(grants, Grants::receive);
    let mut quota = Quota::default();
    quota.overflow = if args.drop_oldest { Overflow::DropOldest } else { Overflow::Block };

    let joined = args.member.open(&runtime)?;
    let mut node = Node::new(&runtime, &component, &joined.bus, grants, quota, args.memory << 20)?;
    let text = node.run(&args.arguments)?;
    drop(node);
    joined.leave();
    println!("{text}");
    Ok(())
}
