//! Pictures that go from one `mappable pipe` to another: a region through a Unix socket.
//!
//! # Safety
//!
//! The two ends trust each other: both are this command, and of one user, by the kernel's word. With `--any-user` they are of users who
//! can reach the socket.

#![allow(unsafe_code)]

use std::path::{Path, PathBuf};

use anyhow::Result;
use mappable::{Mappable, Runtime};

use crate::progress::Progress;
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
    use std::io::{self, ErrorKind};
    use std::thread;
    use std::time::{Duration, Instant};

    use anyhow::{Context, bail};
    use mappable::Trust;
    use mappable::ipc::{Afterwards, Connection, Listener, Received, Settings};
    use rustix::process::geteuid;

    use super::*;
    use crate::failure::{Exit, fail};

    /// How long another process may take until it listens.
    const PATIENCE: Duration = Duration::from_secs(60);

    const TAKEN: &str =
        "a file is there already: another mappable pipe waits there, or it is no socket of one: take another path";

    fn settings(max: u64) -> Settings {
        // SAFETY: the other end is this command, run by this user, or by one whom this user trusts. Its components are in a sandbox.
        Settings::new(unsafe { Trust::peer() }).max(max)
    }

    impl Peer {
        pub(crate) fn listen(path: &Path) -> Result<Self> {
            let listener = Listener::bind(path).map_err(|error| match error.kind() {
                ErrorKind::AddrInUse => fail(Exit::Work, TAKEN),
                _ => error.into(),
            });
            let listener = listener.with_context(|| path.display().to_string())?;
            Ok(Self { path: path.to_owned(), listener })
        }

        /// Waits for a picture.
        pub(crate) fn receive(self, runtime: &Runtime, max: u64, any_user: bool) -> Result<(Mappable, Header)> {
            let connection = self.listener.accept(runtime, settings(max))?;
            check_user(&connection, any_user)?;
            let Received::Region { region, tag } = connection.receive()? else {
                bail!("the other process has sent no picture")
            };
            let header =
                Header::of_tag(tag, region.len()).context("the other process has sent another kind of picture")?;
            header.check(region.len())?;
            Ok((region, header))
        }
    }

    /// An error if the process at the other end is another user's. Nothing was sent to it or received from it before.
    fn check_user(connection: &Connection, any_user: bool) -> Result<()> {
        let (own, other) = (geteuid().as_raw(), connection.peer()?.uid);
        if any_user || other == own {
            return Ok(());
        }
        bail!(
            "the other process is user {other}'s, and this one user {own}'s: give both --any-user if they trust each other"
        )
    }

    /// Hands a picture over, to a process that listens, or will soon.
    pub(crate) fn send(
        runtime: &Runtime,
        path: &Path,
        region: Mappable,
        header: Header,
        any_user: bool,
        progress: &Progress,
    ) -> Result<()> {
        let title = || path.display().to_string();
        let connection = match connect(runtime, path, region.size()).with_context(title)? {
            Some(connection) => connection,
            None => {
                progress.notes(&format!("waiting for mappable pipe --from {}", path.display()));
                wait(runtime, path, region.size(), Instant::now() + PATIENCE)?
            }
        };
        check_user(&connection, any_user).with_context(title)?;
        hand_over(&connection, region, header, progress).with_context(title)
    }

    /// Connects, unless nobody listens.
    fn connect(runtime: &Runtime, path: &Path, size: u64) -> io::Result<Option<Connection>> {
        match Connection::connect(runtime, path, settings(size)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            connected => connected.map(Some),
        }
    }

    /// Connects as soon as somebody listens.
    fn wait(runtime: &Runtime, path: &Path, size: u64, until: Instant) -> Result<Connection> {
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
            if let Some(connection) = connect(runtime, path, size).with_context(|| path.display().to_string())? {
                return Ok(connection);
            }
        }
        bail!("no mappable pipe --from waits at {}: waited a minute", path.display())
    }

    fn hand_over(connection: &Connection, mut region: Mappable, header: Header, progress: &Progress) -> Result<()> {
        // The other end takes the length for the header's size, which a stage may have left larger.
        region.set_len(header.size)?;
        let tag = header.tag().context("the picture is too large to be handed over")?;
        let (bytes, is_free) = (region.len(), region.is_exportable());
        connection.send(region, tag, Afterwards::Free)?;
        let how = if is_free { "without a copy" } else { "after one copy, into a file of its own" };
        progress.notes(&format!("Handed {bytes} bytes over, {how}"));
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn who_waits_in_vain_is_told_for_whom() {
            let folder = tempfile::tempdir().unwrap();
            let (runtime, path) = (Runtime::new().unwrap(), folder.path().join("picture.sock"));
            let error = wait(&runtime, &path, 1, Instant::now()).unwrap_err();
            let text = format!("no mappable pipe --from waits at {}: waited a minute", path.display());
            assert_eq!(format!("{error:#}"), text);
        }
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) use linux::send;

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
impl Peer {
    pub(crate) fn listen(_: &Path) -> Result<Self> {
        anyhow::bail!("--from needs 64-bit Linux")
    }

    pub(crate) fn receive(self, _: &Runtime, _: u64, _: bool) -> Result<(Mappable, Header)> {
        anyhow::bail!("--from needs 64-bit Linux")
    }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) fn send(_: &Runtime, _: &Path, _: Mappable, _: Header, _: bool, _: &Progress) -> Result<()> {
    anyhow::bail!("--to needs 64-bit Linux")
}
