//! `mappable bus`: finds the command that does it, hands everything on, and ends as it does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use tempfile::tempdir;

fn bus(path: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mappable")).arg("bus").args(arguments).env("PATH", path).output().unwrap()
}

#[test]
fn without_the_command_it_says_how_to_install_it() {
    let empty = tempdir().unwrap();
    let output = bus(empty.path(), &["run", "node.wasm"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no command mappable-bus on the PATH"), "{text}");
    assert!(
        text.contains("from a checkout of the repository: cargo install --path integrations/mappable-zenoh"),
        "{text}"
    );
}

#[test]
fn without_the_command_its_help_is_ours() {
    let empty = tempdir().unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_mappable")).args(["help", "bus"]).output().unwrap();
    assert!(
        String::from_utf8(help.stdout.clone()).unwrap().contains("cargo install --path integrations/mappable-zenoh")
    );
    for asks in ["--help", "-h"] {
        let output = bus(empty.path(), &[asks]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, help.stdout);
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn arguments_and_exit_code_are_those_of_the_command() {
    let folder = tempdir().unwrap();
    let command = folder.path().join("mappable-bus");
    fs::write(&command, "#!/bin/sh\nprintf '<%s>' \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
    let output = bus(folder.path(), &["run", "--listen", "tcp/127.0.0.1:0", "a b", "--", "-n", "--help"]);
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "<run><--listen><tcp/127.0.0.1:0><a b><--><-n><--help>");
}
