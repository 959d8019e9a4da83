//! Two machines: namespaces of the network, joined by a cable of virtual Ethernet, and of processes, so that the members of one
//! don't see those of the other. The two components are those that feed one another in one process
//! (`guests::the_same_two_components_in_one_process`) and between two (`nodes`), by the same command.
//!
//! Needs root, and iproute2's `ip`: `.ci/bus` runs it.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::guide::commands;
use crate::nodes::{CAMERA, RECEIVED, SENT, VIEWER};
use crate::support::{COMMAND, Process, bytes, output};

const VALUES: usize = 30;
const BYTES: usize = 1_000_000;

/// Two hosts, and the cable between them.
struct Machines([String; 2]);

/// As the guide has them: addresses that are for examples.
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status();
    let done = done.expect("`ip` of iproute2 is there");
    assert!(done.success(), "ip {arguments}: {done}: it takes root, and a system that has namespaces");
}

impl Machines {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let pair = NEXT.fetch_add(1, Ordering::Relaxed);
        // Made one by one, so that those that were made go if another can't be.
        let mut machines = Self([String::new(), String::new()]);
        for (name, end) in machines.0.iter_mut().zip(["a", "b"]) {
            let new = format!("mappable-{}-{pair}{end}", std::process::id());
            ip(&format!("netns add {new}"));
            *name = new;
        }
        let [one, other] = &machines.0;
        ip(&format!("-n {one} link add eth0 type veth peer name eth0 netns {other}"));
        for (name, address) in machines.0.iter().zip(ADDRESSES) {
            // Tentative addresses of IPv6 would be announced on the cable for seconds.
            ip(&format!("-n {name} address add {address}/24 dev eth0"));
            ip(&format!("-n {name} link set lo up"));
            ip(&format!("-n {name} link set eth0 up"));
        }
        machines
    }

    /// The bus's command on one of the two, which has processes of its own.
    fn command(&self, machine: usize) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0[machine]]);
        command.args(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", COMMAND]);
        command
    }

    /// How many bytes a machine has sent by the cable.
    fn sent(&self, machine: usize) -> usize {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0[machine], "cat", "/sys/class/net/eth0/statistics/tx_bytes"]);
        output(&mut command).trim().parse().unwrap()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in self.0.iter().filter(|name| !name.is_empty()) {
            let _ = Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status();
        }
    }
}

#[test]
#[ignore = "needs root: .ci/bus runs it"]
fn the_same_two_components_feed_one_another_between_machines() {
    let machines = Machines::new();
    let (values, bytes) = (VALUES.to_string(), BYTES.to_string());
    let mut viewer = machines.command(0);
    viewer.args(["run", "--listen", &format!("tcp/{}:0", ADDRESSES[0]), "--receive", "camera/*"]);
    let viewer = Process::start(viewer.args([VIEWER, "camera/*", &values, &bytes]));

    let before = machines.sent(1);
    let mut camera = machines.command(1);
    camera.args(["run", "--connect", &viewer.address, "--send", "camera/left"]);
    assert_eq!(output(camera.args([CAMERA, "camera/left", &values, &bytes])), SENT);
    assert_eq!(viewer.output(), RECEIVED);
    // All of it has gone by the cable, though nobody was told not to share memory.
    let sent = machines.sent(1) - before;
    assert!(sent >= VALUES * BYTES, "{sent} bytes");
}

#[test]
#[ignore = "needs root: .ci/bus runs it"]
fn the_file_of_the_guide_is_sent_between_machines() {
    let machines = Machines::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("result.bin"), bytes(3_000_001, 1)).unwrap();
    let there = folder.path().join("there");
    fs::create_dir(&there).unwrap();
    let ([receive], [send]) = (&commands("receive")[..], &commands("send")[..]) else {
        panic!("the page has one of each")
    };
    // The one that connects may be there first, and finds nobody yet.
    let sender = machines.command(1).args(send).current_dir(folder.path()).spawn().unwrap();
    let mut receiver = machines.command(0);
    assert_eq!(Process::start(receiver.args(receive).current_dir(&there)).output(), "results: 3000001 bytes");
    assert!(sender.wait_with_output().unwrap().status.success());
    assert!(fs::read(there.join("result.bin")).unwrap() == bytes(3_000_001, 1));
}
