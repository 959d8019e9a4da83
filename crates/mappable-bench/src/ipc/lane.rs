//! What is timed, round by round.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mappable::ipc::{Afterwards, Connection, Listener, Received, Settings};
use mappable::{Mappable, Runtime};

use super::{Kind, trusting};
use crate::driver;
use crate::method::{self, Method, Writer, runtime_for_sandboxes};

/// The other processes, which end with this.
pub(super) struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Children {
    fn start(kind: Kind, size: u64, socket: &Path, count: u32) -> Result<Self> {
        let mut children = Self(vec![]);
        for _ in 0..count {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["ipc-peer", &driver::name(kind), &size.to_string()]).arg(socket);
            children.0.push(command.stdin(Stdio::null()).spawn()?);
        }
        Ok(children)
    }
}

/// A method under measurement, with the processes that it needs.
#[allow(clippy::large_enum_variant, reason = "a few live at once")]
pub(super) enum Lane {
    Region { connection: Connection, writer: Writer, region: Option<Mappable>, written: u64, _children: Children },
    Frozen { connections: Vec<Connection>, writer: Writer, region: Option<Mappable>, written: u64, _children: Children },
    Socket { stream: UnixStream, writer: Writer, region: Option<Mappable>, written: u64, _children: Children },
    List { method: Box<dyn Method>, done: u64 },
    Iceoryx2 { to: ChildStdin, from: BufReader<ChildStdout>, _child: Children },
}

fn region(runtime: &Runtime, size: u64) -> Result<Option<Mappable>> {
    Ok(Some(runtime.allocate_exportable(size)?))
}

/// The first word of a region.
fn word(region: &Mappable) -> Result<u64> {
    Ok(u64::from_le_bytes(region.bytes()?[..8].try_into()?))
}

impl Lane {
    pub(super) fn new(kind: Kind, size: u64, readers: u32, iceoryx2: Option<&Path>) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("socket");
        let one = readers == 1;
        Ok(Some(match kind {
            Kind::Region if one => {
                let runtime = runtime_for_sandboxes()?;
                let listener = Listener::bind(&path)?;
                let children = Children::start(kind, size, &path, 1)?;
                let connection = listener.accept(&runtime, Settings::new(trusting()))?;
                let writer = Writer::new(&runtime, size)?;
                Self::Region { connection, writer, region: region(&runtime, size)?, written: 0, _children: children }
            }
            Kind::Frozen => {
                let runtime = runtime_for_sandboxes()?;
                let listener = Listener::bind(&path)?;
                let children = Children::start(kind, size, &path, readers)?;
                let accept = |_| listener.accept(&runtime, Settings::new(trusting()));
                let connections = (0..readers).map(accept).collect::<std::io::Result<_>>()?;
                let writer = Writer::new(&runtime, size)?;
                Self::Frozen { connections, writer, region: region(&runtime, size)?, written: 0, _children: children }
            }
            Kind::Socket if one => {
                let runtime = runtime_for_sandboxes()?;
                let listener = UnixListener::bind(&path)?;
                let children = Children::start(kind, size, &path, 1)?;
                let (stream, _) = listener.accept()?;
                let writer = Writer::new(&runtime, size)?;
                let region = Some(runtime.allocate(size)?);
                Self::Socket { stream, writer, region, written: 0, _children: children }
            }
            Kind::ListU8 if one => Self::List { method: method::lists(false, size)?, done: 0 },
            Kind::Iceoryx2 => {
                let Some(program) = iceoryx2 else { return Ok(None) };
                let mut command = Command::new(program);
                command.args(["ping", &size.to_string(), &readers.to_string()]);
                let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
                let mut child = child.with_context(|| program.display().to_string())?;
                let to = child.stdin.take().context("no stdin")?;
                let mut from = BufReader::new(child.stdout.take().context("no stdout")?);
                let child = Children(vec![child]);
                let mut line = String::new();
                from.read_line(&mut line)?;
                ensure!(line.trim() == "ready", "{}: it is not ready: {line}", program.display());
                Self::Iceoryx2 { to, from, _child: child }
            }
            Kind::Region | Kind::Socket | Kind::ListU8 => return Ok(None),
        }))
    }

    /// How many nanoseconds each of so many rounds took: there and back, or to all readers.
    pub(super) fn sample(&mut self, rounds: u32) -> Result<Vec<f64>> {
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
