//! Says to the benchmarks what they were built with: the compiler, the profile, and the commit.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=../mappable/src");
    // Each commit and each checkout adds a line to it.
    if let Some(log) = said("git", &["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
    let compiler = env::var("RUSTC").ok().and_then(|rustc| said(&rustc, &["--version"]));
    let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]);
    for (name, value) in [("COMPILER", compiler), ("PROFILE", profile()), ("COMMIT", commit)] {
        println!("cargo::rustc-env=MAPPABLE_{name}={}", value.as_deref().unwrap_or("unknown"));
    }
}

/// The first line that a command says, if it succeeds.
fn said(command: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(command).args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// The profile's own name, which the folder has; Cargo's variable only says `debug` or `release`.
fn profile() -> Option<String> {
    let out = env::var_os("OUT_DIR")?;
    let folder = Path::new(&out).ancestors().nth(3).and_then(Path::file_name).and_then(OsStr::to_str);
    folder.map(str::to_owned).or_else(|| env::var("PROFILE").ok())
}
