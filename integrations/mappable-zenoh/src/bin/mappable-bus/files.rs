//! `send`, `receive`, `offer` and `get`: files to the bus, and back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mappable::{Frozen, Runtime};
use mappable_zenoh::{Congestion, Key, Message, Pattern, Subscription};

use crate::member::Member;

/// Send a file to whoever subscribes to a key
#[derive(Debug, clap::Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    member: Member,
    /// Seconds to wait for a subscriber
    #[arg(long, default_value_t = 60)]
    wait: u64,
    key: Key,
    file: PathBuf,
}

/// Receive values, and write the last to a file
#[derive(Debug, clap::Args)]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    member: Member,
    /// How many values
    #[arg(short = 'n', long, default_value_t = 1)]
    count: u64,
    /// Seconds to wait for each
    #[arg(long, default_value_t = 60)]
    wait: u64,
    /// Where the last goes
    #[arg(short, long)]
    output: Option<PathBuf>,
    keys: Pattern,
}

/// Offer a file to whoever asks for a key
#[derive(Debug, clap::Args)]
pub(crate) struct OfferArgs {
    #[command(flatten)]
    member: Member,
    /// Seconds until the offer ends. It doesn't end unless told
    #[arg(long)]
    seconds: Option<u64>,
    key: Key,
    file: PathBuf,
}

/// Ask for values by their keys, and write the first to a file
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    member: Member,
    /// Seconds until somebody must have answered
    #[arg(long, default_value_t = 60)]
    wait: u64,
    /// Where the first goes
    #[arg(short, long)]
    output: Option<PathBuf>,
    keys: Pattern,
}

pub(crate) fn send(args: &SendArgs) -> Result<()> {
    let (runtime, value) = read(&args.file)?;
    let joined = args.member.open(&runtime)?;
    let publisher = joined.bus.publisher(&args.key, Congestion::Block)?;
    if !publisher.wait_for_subscriber(Duration::from_secs(args.wait)) {
        bail!("nobody subscribes to {}", args.key);
    }
    publisher.publish(&value)?;
    joined.leave();
    Ok(())
}

pub(crate) fn receive(args: &ReceiveArgs) -> Result<()> {
    let runtime = Runtime::new()?;
    let joined = args.member.open(&runtime)?;
    let subscriber = joined.bus.subscriber(&args.keys, Subscription::new())?;
    for number in 1..=args.count {
        let message = subscriber.receive(Duration::from_secs(args.wait))?;
        let message = message.with_context(|| format!("nothing came under {}", args.keys))?;
        let is_last = number == args.count;
        take(&message, args.output.as_deref().filter(|_| is_last))?;
    }
    Ok(())
}

pub(crate) fn offer(args: &OfferArgs) -> Result<()> {
    let (runtime, value) = read(&args.file)?;
    let joined = args.member.open(&runtime)?;
    let _offer = joined.bus.offer(&args.key, value)?;
    match args.seconds {
        Some(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
        None => loop {
            std::thread::park();
        },
    }
    Ok(())
}

pub(crate) fn get(args: &GetArgs) -> Result<()> {
    let runtime = Runtime::new()?;
    let joined = args.member.open(&runtime)?;
    let begun = std::time::Instant::now();
    loop {
        let messages = joined.bus.get(&args.keys, Duration::from_secs(args.wait))?;
        if let Some(first) = messages.first() {
            take(first, args.output.as_deref())?;
            return messages[1..].iter().try_for_each(|message| take(message, None));
        }
        if begun.elapsed() >= Duration::from_secs(args.wait) {
            bail!("nobody offers {}", args.keys);
        }
        // Nobody is connected yet.
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read(path: &Path) -> Result<(Runtime, Frozen)> {
    let runtime = Runtime::new()?;
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let value = Frozen::from_file(&runtime, &file).with_context(|| path.display().to_string())?;
    Ok((runtime, value))
}

fn take(message: &Message, output: Option<&Path>) -> Result<()> {
    println!("{}: {} bytes", message.key, message.payload.len());
    let Some(path) = output else { return Ok(()) };
    fs::write(path, &message.payload[..]).with_context(|| path.display().to_string())
}
