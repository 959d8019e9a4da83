//! The other process: it answers until the connection ends.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Result, bail};
use mappable::ipc::{Afterwards, Connection, Received, Settings};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::{Kind, trusting};
use crate::method::{Reader, Writer, runtime_for_sandboxes};

/// The other end of `ipc`, which starts it.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    kind: Kind,
    size: u64,
    socket: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // Whoever ends the benchmark ends this.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let runtime = runtime_for_sandboxes()?;
    let mut writer = Writer::new(&runtime, args.size)?;
    match args.kind {
        Kind::Region => {
            let connection = Connection::connect(&runtime, &args.socket, Settings::new(trusting()))?;
            while let Ok(Received::Region { region, tag }) = connection.receive() {
                connection.send(writer.write(region)?, tag, Afterwards::Free)?;
            }
        }
        Kind::Frozen => {
            let mut reader = Reader::new(&runtime, args.size)?;
            let connection = Connection::connect(&runtime, &args.socket, Settings::new(trusting()))?;
            while let Ok(Received::Frozen { frozen, tag }) = connection.receive() {
                let seen = reader.read(frozen)?;
                anyhow::ensure!(seen == tag, "{seen} was read where {tag} was written");
            }
        }
        Kind::Socket => {
            let mut stream = UnixStream::connect(&args.socket)?;
            let mut region = runtime.allocate(args.size)?;
            while stream.read_exact(region.bytes_mut()?).is_ok() {
                region = writer.write(region)?;
                stream.write_all(region.bytes()?)?;
            }
        }
        Kind::ListU8 | Kind::Iceoryx2 | Kind::Iceoryx2Read => bail!("there is no other end of that kind here"),
    }
    Ok(())
}
