//! Members, values, and processes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mappable::{Frozen, Runtime};
use mappable_zenoh::{Bus, Options, Pattern};

/// Longer than anything takes, also on a machine that does other things.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The command.
pub(crate) const COMMAND: &str = env!("CARGO_BIN_EXE_mappable-bus");

/// A length that is shared on one host, and no multiple of a granule.
pub(crate) const LARGE: usize = 300_001;

/// Bytes that differ from page to page.
pub(crate) fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at / 4096) as u8 ^ (at as u8).wrapping_mul(31) ^ seed).collect()
}

pub(crate) fn value(runtime: &Runtime, bytes: &[u8]) -> Frozen {
    runtime.allocate_from(bytes).unwrap().freeze().unwrap()
}

pub(crate) fn keys(text: &str) -> Pattern {
    text.parse().unwrap()
}

/// Two members that are connected by loopback: where the first listens is the system's choice.
pub(crate) fn two(runtime: &Runtime, options: &Options) -> (Bus, Bus) {
    let one = Bus::open(runtime, &options.clone().listen("tcp/127.0.0.1:0")).unwrap();
    let address = one.addresses().into_iter().next().unwrap();
    let other = Bus::open(runtime, &options.clone().connect(address)).unwrap();
    until("they are connected", || one.peers() == 1 && other.peers() == 1);
    (one, other)
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "it was not so in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A process of the command, killed when the test ends.
pub(crate) struct Process {
    child: Child,
    /// Where it listens, if it does.
    pub(crate) address: String,
}

impl Process {
    /// Starts one that listens at an address of this machine, and waits until it does.
    pub(crate) fn listening(arguments: &[&str]) -> Self {
        Self::listening_at("tcp/127.0.0.1:0", arguments)
    }

    pub(crate) fn listening_at(address: &str, arguments: &[&str]) -> Self {
        Self::start(Command::new(COMMAND).args([arguments[0], "--listen", address]).args(&arguments[1..]))
    }

    /// Starts a command that listens, and waits until it does.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.next().expect("it says where it listens").unwrap();
        let address = line.strip_prefix("listening at ").unwrap_or_else(|| panic!("{line}")).to_owned();
        // Whatever else it says is for who reads the test's output.
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Self { child, address }
    }

    /// Waits until it ends well, and returns what it has printed.
    pub(crate) fn output(mut self) -> String {
        let stdout = self.child.stdout.take().unwrap();
        let lines: Vec<String> = BufReader::new(stdout).lines().map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {lines:?}");
        lines.join("\n")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command to its end, which is to be good, and returns what it has printed.
pub(crate) fn run(arguments: &[&str]) -> String {
    output(Command::new(COMMAND).args(arguments))
}

/// The same for any command.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}: {}", output.status, text(output.stderr));
    text(output.stdout)
}
