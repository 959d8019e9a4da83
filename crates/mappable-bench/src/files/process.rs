//! The process of a lane: what its instances say, and what the operating system says of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::resident;

/// What an instance has said, in nanoseconds.
pub(super) struct Said {
    /// From before its store was made to when it could be called.
    pub(super) start: f64,
    /// From the program's first instruction to its first answer.
    pub(super) first: f64,
    /// To its last.
    pub(super) all: f64,
    pub(super) sum: u64,
}

/// What was seen of a process.
pub(super) struct Seen {
    pub(super) said: Vec<Said>,
    /// Page faults while its instances ran.
    pub(super) faults: u64,
    /// Nanoseconds that its threads ran meanwhile: what waits for others is not in it.
    pub(super) cpu: u64,
    /// What it has when the last instance is done and all are there, each page counted once.
    pub(super) resident: u64,
    pub(super) page_tables: u64,
}

/// Runs a process to its end.
pub(super) fn measure(mut command: Command) -> Result<Seen> {
    let program = command.get_program().display().to_string();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().with_context(|| program.clone())?;
    let (mut input, output) = (child.stdin.take().context("no stdin")?, child.stdout.take().context("no stdout")?);
    let id = child.id().to_string();
    let mut lines = BufReader::new(output).lines();
    let watched = (|| {
        ensure!(lines.next().transpose()?.as_deref() == Some("ready"), "{program}: it does not begin");
        let before = (faults(&id)?, ran(&id)?);
        input.write_all(b"\n")?;
        let mut said = vec![];
        loop {
            let line = lines.next().transpose()?.with_context(|| format!("{program}: it ended too soon"))?;
            if line == "done" {
                break;
            }
            said.push(read(&line).with_context(|| line.clone())?);
        }
        let (resident, page_tables) = resident::whole(&id)?;
        let (faults, cpu) = (faults(&id)?.saturating_sub(before.0), ran(&id)?.saturating_sub(before.1));
        Ok(Seen { said, faults, cpu, resident, page_tables })
    })();
    drop(input);
    let status = if watched.is_ok() { child.wait()? } else { child.kill().and_then(|()| child.wait())? };
    let seen = watched?;
    ensure!(status.success(), "{program}: {status}");
    Ok(seen)
}

fn read(line: &str) -> Result<Said> {
    let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[start, first, all, sum] = &numbers[..] else { anyhow::bail!("not four numbers") };
    Ok(Said { start: start as f64, first: first as f64, all: all as f64, sum })
}

/// How many page faults a process has had, those without reading included.
fn faults(process: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, which may have anything in it, ends with the last bracket. The tenth and the twelfth field are two behind it.
    let fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect::<Vec<_>>();
    let field =
        |at: usize| Ok::<u64, anyhow::Error>(fields.get(at).context("the system tells no page faults")?.parse()?);
    Ok(field(7)? + field(9)?)
}

/// How long the threads of a process have run, in nanoseconds.
fn ran(process: &str) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that has just ended is not counted.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        sum += text.split(' ').next().unwrap_or_default().parse::<u64>().context("the system tells no time")?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_are_touched_are_faults() {
        let process = std::process::id().to_string();
        let before = faults(&process).unwrap();
        let mut bytes = vec![0_u8; 8 << 20];
        bytes.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        // Fewer where pages are huge.
        assert!(faults(&process).unwrap() >= before + 4, "{}", std::hint::black_box(bytes).len());
    }
}
