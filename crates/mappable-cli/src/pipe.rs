//! `mappable pipe`: a picture from a file through stages to a file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{ArgGroup, Args as ClapArgs};
use serde::Serialize;

use crate::amount::size_or_mib;
use crate::failure::{Exit, fail};
use crate::files::{self, Output};
use crate::peer::{self, Peer};
use crate::pipeline::{self, Figures, nanos};
use crate::progress::Progress;
use crate::runtime::Options;
use crate::stage::{BUILTINS, Header, MappedHost, Pixels, Spec, Stage, fuse, load};

/// Run a picture through stages, each a component in a sandbox of its own
///
/// The picture (PNG or JPEG) is handed from stage to stage as one region of memory, and never copied between them.
///
/// A stage may import WASI 0.2, as the runtimes of many languages do, and is given clocks, random numbers and nothing else. What it prints
/// comes on stderr, behind its name.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = after_help(),
    group = ArgGroup::new("source").args(["input", "from"]).required(true),
    group = ArgGroup::new("destination").args(["output", "to"]).required(true),
    group = ArgGroup::new("peers").args(["from", "to"]).multiple(true),
)]
pub(crate) struct Args {
    /// The picture, PNG or JPEG; - is stdin
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Where the result goes, a PNG; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Take the picture from another `mappable pipe`, which has its `--to` here; waits for it
    #[arg(long, value_name = "SOCKET")]
    from: Option<PathBuf>,

    /// Hand the picture to another `mappable pipe`, which has its `--from` here, as a region and without a copy; waits for it
    #[arg(long, value_name = "SOCKET")]
    to: Option<PathBuf>,

    /// Let the other process be another user's, who is trusted with the picture while this command uses it
    #[arg(long, requires = "peers")]
    any_user: bool,

    /// Built-in names, or paths of components of the world `mappable:stage/stage`, each with its arguments
    #[arg(value_name = "STAGE[:ARG,…]", required = true)]
    stages: Vec<String>,

    /// Compose the stages into one component, in which they hand the picture on without the host
    #[arg(long)]
    fused: bool,

    /// Run the stages given and no others: the first is handed the file as it is, the last gives one
    #[arg(long)]
    exact: bool,

    /// How many instances of a stage work on the picture at once, each on a part that it owns, where the stage can be shared
    /// out; 0 is as many as there are cores
    #[arg(short, long, value_name = "N", default_value_t = 1, conflicts_with = "fused", value_parser = jobs)]
    jobs: usize,

    /// Print figures as JSON
    #[arg(long)]
    json: bool,

    /// What each stage may have, in its memories and again in its regions, with KiB, MiB or GiB; a number alone is of MiB
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = size_or_mib)]
    max_memory: u64,

    #[command(flatten)]
    runtime: Options,
}

/// A number of instances of one stage.
pub(crate) fn jobs(text: &str) -> Result<usize, String> {
    const MOST: usize = 256;
    text.parse().ok().filter(|&jobs| jobs <= MOST).ok_or_else(|| format!("expected a number from 0 to {MOST}"))
}

fn after_help() -> String {
    let width = BUILTINS.iter().map(|builtin| builtin.name.len()).max().unwrap_or(0);
    let stages = BUILTINS.iter().map(|builtin| format!("  {:width$}  {}\n", builtin.name, builtin.about));
    format!(
        "Built-in stages:\n{}\n\
         `decode` is put first unless the first stage is that, and `encode` last unless the last is that; \
         with --exact neither is.\n\n\
         Examples:\n  \
         mappable pipe -i photo.jpg -o gray.png grayscale\n  \
         mappable pipe -i photo.jpg -o sharp.png -j 0 blur sharpen\n  \
         mappable pipe -i photo.jpg -o small.png blur:2 resize:50% encode:best\n  \
         mappable pipe -i photo.png -o out.png ./mine.wasm:10,20 --json\n  \
         mappable pipe --from picture.sock -o gray.png grayscale    # in one terminal\n  \
         mappable pipe -i photo.jpg --to picture.sock blur:2        # in another\n\n\
         Exit codes: 0 done; 1 the work failed; 2 wrong usage; 3 a stage can't be loaded; \
         4 a stage trapped or ran out of memory. On failure no output is written.",
        stages.collect::<String>()
    )
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    input: String,
    output: String,
    fused: bool,
    /// Instances of a stage that can be shared out; 0 is as many as there are cores.
    jobs: usize,
    /// Loading and compiling the stages.
    ns_load: u64,
    /// From handing the picture to the first stage to having the last one's.
    ns_stages: u64,
    width: u32,
    height: u32,
    output_bytes: u64,
    stages: Vec<Figures>,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.json && args.output.as_deref().is_some_and(files::is_standard) {
        return Err(fail(Exit::Usage, "--json and the picture can't both go to stdout"));
    }
    let mut specs = args.stages.iter().map(|text| Spec::parse(text)).collect::<Result<Vec<_>>>()?;
    if !args.exact {
        specs = with_ends(specs, args.from.is_none(), args.to.is_none())?;
    }
    let output = args.output.as_deref().map(Output::new).transpose()?;
    let receiver = args.from.as_deref().map(Peer::listen).transpose()?;
    let progress = Progress::new(if args.fused { 1 } else { specs.len() });

    let mut options = args.runtime.clone();
    options.exportable_regions = args.to.is_some();
    let host = MappedHost::new(args.max_memory, &options)?.with_jobs(args.jobs).with_notes(progress.others());
    let begin = Instant::now();
    progress.says("loading");
    let mut stages = match args.fused {
        true => load(&host, &[fuse(&specs)?])?,
        false => load(&host, &specs)?,
    };
    name_fused(&mut stages, &specs);
    let load_time = begin.elapsed();

    let (input_name, region, header) = match (&args.input, receiver) {
        (Some(input), _) => {
            let name = files::name(input, "stdin");
            let region = files::read(host.runtime(), input, args.max_memory).with_context(|| name.clone())?;
            let header = Header::encoded(region.len());
            (name, region, header)
        }
        (None, Some(receiver)) => {
            progress.says("waiting for the other process");
            let name = receiver.name();
            let (region, header) =
                receiver.receive(host.runtime(), args.max_memory, args.any_user).with_context(|| name.clone())?;
            (name, region, header)
        }
        (None, None) => return Err(fail(Exit::Usage, "there is no --input and no --from")),
    };
    let done = pipeline::run(&host, &mut stages, region, header, |spec| progress.begins(&spec.to_string()));
    let mut done = done.with_context(|| input_name.clone())?;
    if output.is_some() && done.header.pixels != Pixels::Encoded {
        let title = stages.last().map_or_else(String::new, |stage| stage.title.clone());
        let text = format!("{title}: the last stage gives {}, not a file", done.header.describe());
        return Err(fail(Exit::Work, text)).context(input_name);
    }
    drop(stages);
    let mut output_name = String::new();
    if let Some(output) = output {
        output_name = output.name();
        let bytes = &done.payload.bytes()?[..usize::try_from(done.header.size)?];
        output.write(bytes)?;
    }
    if let Some(to) = &args.to {
        output_name = to.display().to_string();
        progress.says("waiting for the other process");
        let payload = std::mem::replace(&mut done.payload, host.runtime().allocate(1)?);
        peer::send(host.runtime(), to, payload, done.header, args.any_user, &progress)?;
    }
    drop(progress);

    if args.json {
        let stages_time: Duration = done.stages.iter().map(|stage| stage.time).sum();
        pipeline::measure_hand_over(&host, &mut done.stages, 1)?;
        let picture = last_geometry(&done.stages);
        let report = Report {
            input: input_name,
            output: output_name,
            fused: args.fused,
            jobs: args.jobs,
            ns_load: nanos(load_time),
            ns_stages: nanos(stages_time),
            width: picture.0,
            height: picture.1,
            output_bytes: done.header.size,
            stages: done.stages,
        };
        files::print(&serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Of the picture that was encoded. The encoded header says it, or the one before.
fn last_geometry(stages: &[Figures]) -> (u32, u32) {
    let headers = stages.iter().rev().flat_map(|stage| [stage.output, stage.input]);
    headers.map(|header| (header.width, header.height)).find(|size| *size != (0, 0)).unwrap_or((0, 0))
}

/// With `decode` before and `encode` behind, where a file is read or written and they are not there.
pub(crate) fn with_ends(mut specs: Vec<Spec>, reads: bool, writes: bool) -> Result<Vec<Spec>> {
    let is = |spec: Option<&Spec>, name: &str| spec.is_some_and(|spec| spec.name == name);
    if reads && !is(specs.first(), "decode") {
        specs.insert(0, Spec::builtin("decode", "")?);
    }
    if writes && !is(specs.last(), "encode") {
        specs.push(Spec::builtin("encode", "")?);
    }
    Ok(specs)
}

/// One stage that is several is named by what it is made of.
fn name_fused<S>(stages: &mut [Stage<S>], specs: &[Spec]) {
    if let [stage] = stages
        && specs.len() > 1
    {
        stage.title = format!("stages {} (fused)", stage.spec.name);
    }
}
