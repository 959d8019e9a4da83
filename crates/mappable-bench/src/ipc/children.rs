//! The other processes of a method. None of them can have the benchmark wait for ever.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Kind;
use crate::driver;

/// How long the others may take for a sample, or to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ends them when it is dropped, after what they had to hear.
#[derive(Default)]
pub(super) struct Children(Mutex<Vec<Child>>);

impl Children {
    /// Starts the other end of a method so many times.
    pub(super) fn start(&self, kind: Kind, size: u64, socket: &Path, count: u32) -> Result<()> {
        for _ in 0..count {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["ipc-peer", &driver::name(kind), &size.to_string()]).arg(socket);
            self.add(command.stdin(Stdio::null()).spawn()?);
        }
        Ok(())
    }

    pub(super) fn add(&self, child: Child) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    }

    /// Does what waits for them. If that is not done in time they are ended, so that what waits for them fails, and an error says so.
    pub(super) fn answer_in_time<T>(&self, wait: impl FnOnce() -> Result<T>) -> Result<T> {
        self.answer_within(PATIENCE, wait)
    }

    fn answer_within<T>(&self, patience: Duration, wait: impl FnOnce() -> Result<T>) -> Result<T> {
        let (done, is_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let stands_still = is_done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
                if stands_still {
                    self.end();
                }
                stands_still
            });
            let waited = wait();
            drop(done);
            let stands_still = watch.join().map_err(|_| anyhow!("the watch has panicked"))?;
            ensure!(
                !stands_still,
                "the other process has not answered for {} s, and was ended",
                patience.as_secs_f32()
            );
            waited
        })
    }

    fn end(&self) {
        for child in &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // They have heard of the end, and tidy up.
        let begun = Instant::now();
        let have_ended = || {
            let children = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            children.iter_mut().all(|child| !matches!(child.try_wait(), Ok(None)))
        };
        while !have_ended() && begun.elapsed() < Duration::from_secs(2) {
            thread::sleep(Duration::from_millis(1));
        }
        self.end();
    }
}

/// Waits until another process has connected.
pub(super) fn somebody_connects(listener: &impl AsFd) -> Result<()> {
    let within = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&within))?;
    ensure!(ready == 1, "the other process has not connected within {} s", PATIENCE.as_secs());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    fn a_process_that_does_not_answer_is_ended_and_that_is_an_error() {
        let children = Children::default();
        let mut child = Command::new("sleep").arg("1000").stdout(Stdio::piped()).spawn().unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap());
        children.add(child);
        let error =
            children.answer_within(Duration::from_millis(10), || Ok(from.read_line(&mut String::new())?)).unwrap_err();
        assert_eq!(error.to_string(), "the other process has not answered for 0.01 s, and was ended");
    }
}
