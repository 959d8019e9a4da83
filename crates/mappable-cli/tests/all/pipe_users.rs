//! Two users' processes at the two ends of a socket. Only root's tests can be two users.
//!
//! # Safety
//!
//! The raw call changes a number of this thread's alone.

#![allow(unsafe_code)]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use mappable::ipc::{Connection, Listener, ReceiveError, Received, Settings};
use mappable::{Runtime, Trust};
use rustix::process::geteuid;

use crate::support::*;

const OTHER: libc::uid_t = 65_534;
// The library's call changes a process.
const UNCHANGED: libc::uid_t = libc::uid_t::MAX;

/// Does something as another user. None if this one may not.
fn as_other<T: Send>(act: impl FnOnce() -> T + Send) -> Option<T> {
    if !geteuid().is_root() {
        return None;
    }
    let act = || {
        // SAFETY: numbers alone.
        let set = unsafe { libc::syscall(libc::SYS_setresuid, UNCHANGED, OTHER, UNCHANGED) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        act()
    };
    Some(thread::scope(|scope| scope.spawn(act).join().unwrap()))
}

/// A folder that any user may use.
fn open_place() -> Place {
    let place = Place::new();
    fs::set_permissions(place.path(""), Permissions::from_mode(0o777)).unwrap();
    place
}

/// Lets any user connect to a socket, once it is there.
fn open_socket(path: &Path) {
    while fs::set_permissions(path, Permissions::from_mode(0o777)).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
}

fn settings() -> Settings {
    // SAFETY: the other end is the command that is tested.
    Settings::new(unsafe { Trust::peer() })
}

#[test]
fn a_picture_is_not_taken_from_another_users_process_unless_told() {
    for (option, is_let_in) in [(None, false), (Some("--any-user"), true)] {
        let place = open_place();
        let path = place.path("socket");
        let args = ["pipe", "--from", "socket", "-o", "out.png", "grayscale"];
        let waits = place.begin(args.into_iter().chain(option));
        open_socket(&path);
        let runtime = Runtime::new().unwrap();
        let connect = || Connection::connect(&runtime, &path, settings()).unwrap();
        // Sends nothing, so that the end comes in either case.
        drop(as_other(connect).unwrap_or_else(connect));
        let ended = Done(waits.wait_with_output().unwrap());
        if geteuid().is_root() && !is_let_in {
            ended.fails(1, &["socket: the other process is user 65534's, and this one user 0's: give both --any-user"]);
        } else {
            ended.fails(1, &["socket: the other end of the connection is closed"]);
        }
        assert_eq!(place.names(), Vec::<String>::new());
    }
}

#[test]
fn a_picture_is_not_handed_to_another_users_process_unless_told() {
    for (option, is_let_in) in [(None, false), (Some("--any-user"), true)] {
        let place = open_place();
        let path = place.path("socket");
        let photo = photo("camera.png");
        let args = ["pipe", "-i", photo.to_str().unwrap(), "--to", "socket", "grayscale"];
        let bind = || Listener::bind(&path).unwrap();
        let listener = as_other(bind).unwrap_or_else(bind);
        let sends = place.begin(args.into_iter().chain(option));
        let connection = listener.accept(&Runtime::new().unwrap(), settings()).unwrap();
        let received = connection.receive();
        let ended = Done(sends.wait_with_output().unwrap());
        if geteuid().is_root() && !is_let_in {
            assert!(matches!(received, Err(ReceiveError::Closed)), "{received:?}");
            ended.fails(1, &["socket: the other process is user 65534's, and this one user 0's: give both --any-user"]);
        } else {
            assert!(matches!(received, Ok(Received::Region { .. })), "{received:?}");
            assert_eq!(ended.code(), 0, "{}", ended.stderr());
        }
    }
}
