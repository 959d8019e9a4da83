//! Pictures that go from one `mappable pipe` to another: a region through a Unix socket.
//!
//! # Safety
//!
//! The two ends trust each other: both are this command, of a user who can reach the socket.

#![allow(unsafe_code)]

use std::path::{Path, PathBuf};

use anyhow::Result;
use mappable::{Mappable, Runtime};

use crate::stage::Header;

/// Where a picture is waited for.
pub(crate) struct Peer {
    path: PathBuf,
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    listener: mappable::ipc::Listener,
}

impl Peer {
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux {
    use std::io::ErrorKind;
    use std::thread;
    use std::time::{Duration, Instant};

    use anyhow::{Context, bail};
    use mappable::Trust;
    use mappable::ipc::{Afterwards, Connection, Listener, Received, Settings};

    use super::*;

    /// How long another process may take until it listens.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn settings(max: u64) -> Settings {
        // SAFETY: the other end is this command, run by a user who may write to the socket's folder. Its components are in a sandbox.
        Settings::new(unsafe { Trust::peer() }).max(max)
    }

    impl Peer {
        pub(crate) fn listen(path: &Path) -> Result<Self> {
            let listener = Listener::bind(path).with_context(|| path.display().to_string())?;
            Ok(Self { path: path.to_owned(), listener })
        }

        /// Waits for a picture.
        pub(crate) fn receive(self, runtime: &Runtime, max: u64) -> Result<(Mappable, Header)> {
            let connection = self.listener.accept(runtime, settings(max))?;
            let Received::Region { region, tag } = connection.receive()? else {
                bail!("the other process has sent no picture")
            };
            let header =
                Header::of_tag(tag, region.len()).context("the other process has sent another kind of picture")?;
            header.check(region.len())?;
            Ok((region, header))
        }
    }

    /// Hands a picture over, to a process that listens, or will soon.
    pub(crate) fn send(runtime: &Runtime, path: &Path, mut region: Mappable, header: Header) -> Result<()> {
        let begin = Instant::now();
        let connection = loop {
            match Connection::connect(runtime, path, settings(region.size())) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                        && begin.elapsed() < PATIENCE =>
                {
                    thread::sleep(Duration::from_millis(50));
                }
                connected => break connected?,
            }
        };
        // The other end takes the length for the header's size, which a stage may have left larger.
        region.set_len(header.size)?;
        let tag = header.tag().context("the picture is too large to be handed over")?;
        let (bytes, is_free) = (region.len(), region.is_exportable());
        connection.send(region, tag, Afterwards::Free)?;
        let how = if is_free { "without a copy" } else { "after one copy, into a file of its own" };
        eprintln!("Handed {bytes} bytes over, {how}");
        Ok(())
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) use linux::send;

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
impl Peer {
    pub(crate) fn listen(_: &Path) -> Result<Self> {
        anyhow::bail!("--from needs 64-bit Linux")
    }

    pub(crate) fn receive(self, _: &Runtime, _: u64) -> Result<(Mappable, Header)> {
        anyhow::bail!("--from needs 64-bit Linux")
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) fn send(_: &Runtime, _: &Path, _: Mappable, _: Header) -> Result<()> {
    anyhow::bail!("--to needs 64-bit Linux")
}
