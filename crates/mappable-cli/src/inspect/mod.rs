//! `mappable inspect`: prints what a component maps, which way its functions' calls go, where its refreshes are, and how
//! its memories are mapped into.

mod facts;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use mappable::rewrite;

use self::facts::{Call, Facts, Memory, Tier};
use crate::failure::{Exit, fail};
use crate::stage::PARALLEL;
use crate::{files, preview1, table};

/// Say what mapping a component does, where its refreshes are, and how its memories can be mapped into
///
/// Rewrites and checks the component as `compile` does, and throws away what was written. Says for each function that a
/// component calls or offers who carries its handles and lists (the engine, the baseline tier, the ledger), and what
/// keeps it from the ledger. Says for each function that changes what is mapped where the rewriter puts its refresh, and for each memory by which
/// strategy regions get into it: swap (another view is made current, no system call), remap (pages are mapped over, a
/// system call), or not at all, and why. A memory that nothing is mapped into gets a maximum, so that it costs nothing
/// that others can be; loops on the others get a preload in front of them, a load that spares them more.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  mappable inspect app.wasm\n  mappable inspect --json app.wasm\n\n\
    Exit codes: 0 done; 2 wrong usage; 3 not a component, not to be found, or refused by the rewriter.")]
pub(crate) struct Args {
    /// The component, in binary or text
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let name = args.file.display().to_string();
    let facts = inspect(args).with_context(|| name.clone())?;
    if args.json {
        files::print(&serde_json::to_string_pretty(&facts)?)?;
    } else {
        files::print(&describe(&name, &facts))?;
    }
    Ok(())
}

fn inspect(args: &Args) -> Result<Facts> {
    let bytes = preview1::component(files::component(&args.file)?)?;
    preview1::binary_or_text(&bytes)?;
    let binary = wat::parse_bytes(&bytes).map_err(|error| fail(Exit::Load, format!("not a component: {error}")))?;
    let report = rewrite::inspect(&binary).map_err(|error| {
        let error = anyhow::Error::from(error);
        fail(Exit::Load, format!("refused: {error:#}"))
    })?;
    Ok(Facts::new(&binary, &report))
}

fn describe(name: &str, facts: &Facts) -> String {
    let count = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    let size = format!(
        "{} with {}",
        count(facts.components, "component", "components"),
        count(facts.core_modules, "core module", "core modules")
    );
    if !facts.maps {
        let mut text = format!("{name}: {size}. Nothing in it maps regions: its code runs as it is.");
        if !matches!(facts.tier, Tier::Baseline { obstacle: None }) {
            text += &format!("\n{}", facts.tier);
        }
        text += &calls(&facts.calls);
        if !facts.memories.is_empty() {
            text += &format!("\n\nMemories\n{}{}", memories(&facts.memories), preloads(facts.preloads));
        }
        return text;
    }
    let mut text = format!("{name}: {size}.");
    for import in &facts.imports {
        text += &format!("\nImports `{import}`.");
    }
    for interface in &facts.files {
        text += &format!("\nMaps files, by `{interface}`.");
    }
    if facts.parallel {
        text += &format!("\nExports `{PARALLEL}`: several instances can work on one picture (`mappable pipe -j`).");
    }
    text += &format!("\n{}", facts.tier);
    if facts.functions.is_empty() {
        return text + "\nNo function in it changes what is mapped: no refresh is needed." + &calls(&facts.calls);
    }
    let mut table = table::new(&["component", "function", "memory", "lowered as", "refresh"]);
    for function in &facts.functions {
        let lowered = format!("core function {}", function.core_function);
        let refresh = match (function.refresh_instance, function.refresh_function) {
            (Some(instance), Some(func)) => format!("put in: instance {instance}, function {func}"),
            (Some(instance), None) => format!("there already: instance {instance}"),
            (None, _) => "by the ledger's wrapper".to_owned(),
        };
        table.add_row([&function.component, &function.function, &function.memory, &lowered, &refresh]);
    }
    format!(
        "{text}\n\nFunctions that change what is mapped, each called through its refresh\n{table}{}\n\nMemories\n{}{}",
        calls(&facts.calls),
        memories(&facts.memories),
        preloads(facts.preloads)
    )
}

/// Which way calls go, if any is more than the engine's own business.
fn calls(calls: &[Call]) -> String {
    let (told, others): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.route != "engine" || call.why.is_some());
    if told.is_empty() {
        return String::new();
    }
    let mut table = table::new(&["component", "", "function", "goes by", "why not the ledger"]);
    for call in told {
        let why = match (&call.why, call.route) {
            (Some(why), _) => why,
            (None, "baseline") => "what keeps the whole tree at baseline",
            (None, _) => "",
        };
        table.add_row([&call.component, call.side, &call.function, call.route, why]);
    }
    let others = match others.len() {
        0 => String::new(),
        1 => "\n1 other has neither handles of regions nor such lists: the engine's adapters carry its values."
            .to_owned(),
        n => format!(
            "\n{n} others have neither handles of regions nor such lists: the engine's adapters carry their values."
        ),
    };
    format!("\n\nFunctions with handles of regions, or with lists of plain data\n{table}{others}")
}

/// What is said of loops, if any is preloaded.
fn preloads(count: usize) -> String {
    let loops = match count {
        0 => return String::new(),
        1 => "1 loop has".to_owned(),
        _ => format!("{count} loops have"),
    };
    format!("\n{loops} a preload in front: the base of a memory that may move is loaded once, not each time around.")
}

fn memories(memories: &[Memory]) -> String {
    let mut table = table::new(&["component", "memory", ">pages", "mapped into", "strategy", "why"]);
    for memory in memories {
        table.add_row([
            memory.component.as_str(),
            &memory.memory,
            &memory.pages,
            if memory.mapped_into { "yes" } else { "no" },
            memory.strategy.as_deref().unwrap_or("none"),
            &memory.why,
        ]);
    }
    table.to_string()
}
