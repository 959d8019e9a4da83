//! What counts: steps through instructions ([`crate::sys`]), and the tools `perf` and `strace`, run over the
//! command as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::sys::Steps;
use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Instructions in user mode.
    Instructions,
    /// System calls, of all threads.
    SystemCalls,
    /// Page faults, minor ones included.
    PageFaults,
}

impl Event {
    #[cfg(test)]
    const ALL: [Self; 3] = [Self::Instructions, Self::SystemCalls, Self::PageFaults];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::SystemCalls => "system_calls",
            Self::PageFaults => "page_faults",
        }
    }

    /// What counts it, best first.
    fn tools(self) -> &'static [Tool] {
        match self {
            // The processor's counters also see what is done before the rounds, which differs a little each time; in
            // most virtual machines they can't be had at all. But they take no time.
            Self::Instructions => &[Tool::Steps, Tool::Perf],
            Self::SystemCalls => &[Tool::Strace],
            Self::PageFaults => &[Tool::Perf],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Steps,
    Perf,
    Strace,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Perf => "perf",
            Self::Strace => "strace",
        }
    }

    /// What comes before the command, for the tool to write what it counts to a file.
    fn arguments(self, event: Event, file: &Path) -> impl Iterator<Item = OsString> {
        let arguments = match self {
            Self::Perf if event == Event::PageFaults => "stat -x, -e page-faults -o FILE --",
            Self::Perf => "stat -x, -e instructions:u -o FILE --",
            Self::Steps => "",
            Self::Strace => "-f -c -U name,calls -o FILE --",
        };
        arguments.split(' ').map(move |word| {
            let (before, after) = word.split_once("FILE").unwrap_or((word, ""));
            let file = if word.contains("FILE") { file.as_os_str() } else { OsStr::new("") };
            [OsStr::new(before), file, OsStr::new(after)].into_iter().collect()
        })
    }

    /// What the tool has written, as a number.
    fn read(self, text: &str) -> Result<u64> {
        let field = match self {
            Self::Perf => text
                .lines()
                .find(|line| !line.is_empty() && !line.starts_with('#'))
                .and_then(|line| line.split(',').next()),
            Self::Steps => None,
            Self::Strace => text.lines().find_map(|line| line.strip_prefix("total")),
        };
        let field = field.with_context(|| format!("no count in what it wrote: {text:?}"))?.trim();
        // Where `perf` can't count it says so in the place of the number.
        field.parse().with_context(|| format!("it says {field:?}"))
    }
}

/// Rounds that are stepped through: they are all the same.
const STEPPED: u32 = 4;

/// A program and what is asked of it.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

impl Work {
    fn count(&self, tool: Tool, event: Event, at_most: u64) -> Result<u64> {
        if tool == Tool::Steps { self.steps(at_most) } else { self.under(tool, event) }
    }

    /// Runs the command by a tool.
    fn under(&self, tool: Tool, event: Event) -> Result<u64> {
        let file = NamedTempFile::new()?;
        let mut command = Command::new(tool.name());
        command.args(tool.arguments(event, file.path())).arg(&self.program).args(&self.arguments);
        // One thread compiles, so that what is done before the rounds is the same each time.
        let done = command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::null()).output()?;
        check(&done)?;
        tool.read(&fs::read_to_string(file.path())?)
    }

    fn steps(&self, at_most: u64) -> Result<u64> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("--marked");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let steps = Steps::between_marks(&mut child, at_most);
        let done = child.wait_with_output()?;
        match steps? {
            Steps::Counted(count) => check(&done).map(|()| count),
            Steps::TooMany => bail!("more than {at_most}"),
        }
    }
}

fn check(done: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{}: {}", done.status, said.trim().replace('\n', " "));
    Ok(())
}

/// What counts on this machine, as far as has been found.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// By event: what has counted it.
    by: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// By event: why something has not.
    why: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Counters {
    /// How often something happens in a round: by how much two commands differ, one of which does so many `rounds` more
    /// (or, where each instruction takes its time, a few more). `None` where nothing counts it.
    pub(crate) fn each(&mut self, event: Event, work: &dyn Fn(u32) -> Work, rounds: u32, at_most: u64) -> Option<f64> {
        for &tool in event.tools() {
            let more = if tool == Tool::Steps { STEPPED } else { rounds };
            let count = |rounds: u32| work(rounds).count(tool, event, at_most);
            // Where the many are too many, no time is spent on the few.
            match count(1 + more).and_then(|many| Ok((count(1)?, many))) {
                Ok((few, many)) => {
                    self.by.entry(event.name()).or_default().insert(tool.name());
                    return Some((many as f64 - few as f64) / f64::from(more));
                }
                Err(error) => {
                    self.why.entry(event.name()).or_default().insert(format!("{}: {error:#}", tool.name()));
                }
            }
        }
        None
    }

    /// What has counted an event, by event.
    pub(crate) fn counted_by(&self) -> BTreeMap<&'static str, String> {
        self.by.iter().map(|(event, tools)| (*event, tools.iter().copied().collect::<Vec<_>>().join(", "))).collect()
    }

    /// Why something has not counted it, by event.
    pub(crate) fn not_counted(&self) -> BTreeMap<&'static str, String> {
        self.why.iter().map(|(event, why)| (*event, why.iter().cloned().collect::<Vec<_>>().join("; "))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tools_count_is_found_in_what_it_writes() {
        let perf = "# started on Thu Nov 26 20:26:45 2026\n\n102,,page-faults,899613,100.00,,\n";
        let strace =
            "syscall              calls\n---------------- ---------\nrseq 1\n---------------- ---------\ntotal  144\n";
        assert_eq!(Tool::Perf.read(perf).unwrap(), 102);
        assert_eq!(Tool::Strace.read(strace).unwrap(), 144);
    }

    #[test]
    fn no_count_is_made_up() {
        let unsupported = "\n<not supported>,,instructions:u,0,100.00,,\n";
        let error = format!("{:#}", Tool::Perf.read(unsupported).unwrap_err());
        assert!(error.contains("<not supported>"), "{error}");
        for tool in [Tool::Perf, Tool::Strace] {
            assert!(tool.read("").is_err(), "{tool:?}");
        }
    }

    #[test]
    fn what_fails_is_not_counted_and_the_reason_is_told() {
        let work = |_: u32| Work { program: "/nonexistent".into(), arguments: vec![] };
        let mut counters = Counters::default();
        for event in Event::ALL {
            assert_eq!(counters.each(event, &work, 1, 1), None, "{event:?}");
            assert!(!counters.not_counted()[event.name()].is_empty(), "{event:?}");
        }
        assert!(counters.counted_by().is_empty());
    }
}
