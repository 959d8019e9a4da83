//! A server in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::resident;

/// A server that listens, and ends with this.
pub(super) struct Server {
    child: Child,
    pub(super) addr: SocketAddr,
}

impl Server {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let program = command.get_program().display().to_string();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.with_context(|| program.clone())?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let addr = first.strip_prefix("Serving HTTP on http://").and_then(|rest| rest.strip_suffix('/')?.parse().ok());
        let Some(addr) = addr else { bail!("{program}: it does not serve: {first}") };
        // What it says from here on are errors.
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Ok(Self { child, addr })
    }

    /// Has [`Server::most_bytes`] begin anew.
    pub(super) fn forget_most_bytes(&self) {
        resident::forget_most(self.child.id());
    }

    /// How much memory the process has had at the most.
    pub(super) fn most_bytes(&self) -> Result<u64> {
        resident::most(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
