//! What is timed, round by round.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mappable::ipc::{Afterwards, Connection, Listener, Received, Settings};
use mappable::{Mappable, Runtime};

use super::children::{Children, somebody_connects};
use super::{Kind, trusting};
use crate::method::{self, Method, Writer, runtime_for_sandboxes};

/// A method under measurement.
pub(super) struct Lane {
    way: Way,
    children: Children,
}

#[allow(clippy::large_enum_variant, reason = "a few live at once")]
enum Way {
    Region { connection: Connection, writer: Writer, region: Option<Mappable>, written: u64 },
    Frozen { connections: Vec<Connection>, writer: Writer, region: Option<Mappable>, written: u64 },
    Socket { stream: UnixStream, writer: Writer, region: Option<Mappable>, written: u64 },
    List { method: Box<dyn Method>, done: u64 },
    Iceoryx2 { to: ChildStdin, from: BufReader<ChildStdout> },
}

fn region(runtime: &Runtime, size: u64) -> Result<Option<Mappable>> {
    Ok(Some(runtime.allocate_exportable(size)?))
}

/// The first word of a region.
fn word(region: &Mappable) -> Result<u64> {
    Ok(u64::from_le_bytes(region.bytes()?[..8].try_into()?))
}

impl Lane {
    /// None if the method hands nothing to so many, or its program was not given.
    pub(super) fn new(kind: Kind, size: u64, readers: u32, iceoryx2: Option<&Path>) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("socket");
        let children = Children::default();
        let way = match kind {
            Kind::Region | Kind::Socket | Kind::ListU8 | Kind::Iceoryx2 if readers > 1 => return Ok(None),
            Kind::Region => {
                let runtime = runtime_for_sandboxes()?;
                let listener = Listener::bind(&path)?;
                children.start(kind, size, &path, 1)?;
                somebody_connects(&listener)?;
                let connection = listener.accept(&runtime, Settings::new(trusting()))?;
                let writer = Writer::new(&runtime, size)?;
                Way::Region { connection, writer, region: region(&runtime, size)?, written: 0 }
            }
            Kind::Frozen => {
                let runtime = runtime_for_sandboxes()?;
                let listener = Listener::bind(&path)?;
                children.start(kind, size, &path, readers)?;
                let mut connections = vec![];
                for _ in 0..readers {
                    somebody_connects(&listener)?;
                    connections.push(listener.accept(&runtime, Settings::new(trusting()))?);
                }
                let writer = Writer::new(&runtime, size)?;
                Way::Frozen { connections, writer, region: region(&runtime, size)?, written: 0 }
            }
            Kind::Socket => {
                let runtime = runtime_for_sandboxes()?;
                let listener = UnixListener::bind(&path)?;
                children.start(kind, size, &path, 1)?;
                somebody_connects(&listener)?;
                let (stream, _) = listener.accept()?;
                let writer = Writer::new(&runtime, size)?;
                let region = Some(runtime.allocate(size)?);
                Way::Socket { stream, writer, region, written: 0 }
            }
            Kind::ListU8 => Way::List { method: method::lists(false, size)?, done: 0 },
            Kind::Iceoryx2 | Kind::Iceoryx2Read => {
                let Some(program) = iceoryx2 else { return Ok(None) };
                let round = if kind == Kind::Iceoryx2 { "answered" } else { "read" };
                let mut command = Command::new(program);
                command.args(["ping", round, &size.to_string(), &readers.to_string()]);
                let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
                let mut child = child.with_context(|| program.display().to_string())?;
                let to = child.stdin.take().context("no stdin")?;
                let mut from = BufReader::new(child.stdout.take().context("no stdout")?);
                children.add(child);
                let mut line = String::new();
                children.answer_in_time(|| Ok(from.read_line(&mut line)?))?;
                ensure!(line.trim() == "ready", "{}: it is not ready: {line}", program.display());
                Way::Iceoryx2 { to, from }
            }
        };
        Ok(Some(Self { way, children }))
    }

    /// How many nanoseconds each of so many rounds took: there and back, or to all readers.
    pub(super) fn sample(&mut self, rounds: u32) -> Result<Vec<f64>> {
        let Self { way, children } = self;
        children.answer_in_time(|| way.sample(rounds))
    }
}

impl Way {
    fn sample(&mut self, rounds: u32) -> Result<Vec<f64>> {
        if let Self::Iceoryx2 { to, from, .. } = self {
            writeln!(to, "{rounds}")?;
            let mut line = String::new();
            from.read_line(&mut line)?;
            let times = line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
            ensure!(times.len() == rounds as usize, "iceoryx2 has ended");
            return Ok(times);
        }
        let mut times = Vec::with_capacity(rounds as usize);
        for _ in 0..rounds {
            let start = Instant::now();
            self.round()?;
            times.push(start.elapsed().as_nanos() as f64);
        }
        Ok(times)
    }

    fn round(&mut self) -> Result<()> {
        match self {
            Self::Region { connection, writer, region, written, .. } => {
                let sent = writer.write(region.take().context("a round has failed before")?)?;
                connection.send(sent, 0, Afterwards::GiveBack)?;
                let Received::Region { region: back, .. } = connection.receive()? else { anyhow::bail!("no region") };
                *written += 2;
                ensure!(word(&back)? == *written, "{} of {written} have left their mark", word(&back)?);
                *region = Some(back);
            }
            Self::Frozen { connections, writer, region, written, .. } => {
                let frozen = writer.write(region.take().context("a round has failed before")?)?.freeze()?;
                *written += 1;
                for connection in &*connections {
                    connection.send_frozen(&frozen, *written)?;
                }
                for connection in &*connections {
                    ensure!(connection.settle()?, "a reader has sent something");
                }
                *region = Some(frozen.thaw()?);
            }
            Self::Socket { stream, writer, region, written, .. } => {
                let mut sent = writer.write(region.take().context("a round has failed before")?)?;
                stream.write_all(sent.bytes()?)?;
                stream.read_exact(sent.bytes_mut()?)?;
                *written += 2;
                ensure!(word(&sent)? == *written, "{} of {written} have left their mark", word(&sent)?);
                *region = Some(sent);
            }
            Self::List { method, done } => {
                let now = method.run(1)?;
                ensure!(now > *done, "a list has left no mark");
                *done = now;
            }
            Self::Iceoryx2 { .. } => {}
        }
        Ok(())
    }
}
