//! The two components of `examples/` by the command: in two processes, and as if on two machines.

use crate::support::{COMMAND, Process, run};

pub(crate) const CAMERA: &str = "examples/camera.wat";
pub(crate) const VIEWER: &str = "examples/viewer.wat";
pub(crate) const SENT: &str = "all sent\n";
pub(crate) const RECEIVED: &str = "all received, and all as they were sent";

#[test]
fn a_component_feeds_another_in_a_second_process_by_either_way() {
    for (way, bytes) in [(&[][..], "1000000"), (&["--no-shared-memory"][..], "1000000"), (&[][..], "5000")] {
        let viewer = ["run", "--receive", "camera/*", VIEWER, "camera/*", "30", bytes];
        let viewer = Process::listening(&insert(&viewer, way));
        let camera = ["run", "--connect", &viewer.address, "--send", "camera/left", CAMERA, "camera/left", "30", bytes];
        assert_eq!(run(&insert(&camera, way)), SENT);
        assert_eq!(viewer.output(), RECEIVED);
    }
}

/// Options go behind the command's name.
fn insert<'a>(arguments: &[&'a str], options: &[&'a str]) -> Vec<&'a str> {
    [&arguments[..1], options, &arguments[1..]].concat()
}

#[test]
fn a_component_uses_no_key_that_it_is_not_granted() {
    let output = std::process::Command::new(COMMAND)
        .args(["run", "--send", "camera/right", "--receive", "**", CAMERA, "camera/left", "1", "1000"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "mappable-bus: the key is not granted, or is none\n");
}
