//! Processes that are killed while they hand regions over: at each step, and at any time. What the others have stays whole,
//! what the dead one had comes back or is freed, and nothing is left.
//!
//! No harness: children are forked from a process of one thread, so that thousands are made in a few seconds. Each makes a
//! runtime of its own, as two runtimes must not share the file of regions.

#![allow(unsafe_code)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping))))]
fn main() {}

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
fn main() {
    // As the harness does with a list of tests or a filter that leaves this out: nothing to do.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    for (name, test) in linux::TESTS {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            test();
            println!("test {name} ... ok");
        }
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod linux {
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::panic;
    use std::process;
    use std::time::Duration;

    use mappable::ipc::{Afterwards, Connection, ReceiveError, Received, Settings};
    use mappable::{Frozen, GRANULE, Mappable, Runtime, Trust};
    use mappable_testing::process::{had, wait_until_closed};

    // SAFETY: the children use the library, and write where they should.
    const PEER: Trust = unsafe { Trust::peer() };

    /// Each by its name.
    macro_rules! tests {
        ($($name:ident),* $(,)?) => { [$((stringify!($name), $name as fn())),*] };
    }

    pub(super) const TESTS: [(&str, fn()); 6] = tests![
        a_receiver_that_is_killed_at_any_step_gives_back_what_it_had,
        a_sender_that_is_killed_at_any_step_leaves_the_receiver_whole,
        a_chain_whose_middle_is_killed_at_any_step_has_one_owner,
        processes_that_are_killed_at_any_time_leave_nothing,
        readers_that_are_killed_leave_frozen_bytes_to_be_thawed,
        a_peer_that_is_not_trusted_may_be_killed_too,
    ];

    /// The steps at which a child may be told to die.
    const STEPS: u32 = 10;

    /// A child process, and its end of a socket.
    struct Child(libc::pid_t);

    /// The ends of a socket.
    fn pair() -> [OwnedFd; 2] {
        let mut ends = [0; 2];
        // SAFETY: there is room for two numbers.
        let made =
            unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) };
        assert_eq!(made, 0);
        // SAFETY: both were just made.
        ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) })
    }

    impl Child {
        /// Forks. The child runs `body` with a runtime of its own and its end of a connection, and never returns.
        fn new(here: &Runtime, settings: Settings, body: impl FnOnce(&Runtime, Connection)) -> (Self, Connection) {
            let [mine, its] = pair();
            // They are closed by threads where the other end was not trusted.
            wait_until_closed();
            // SAFETY: this process has one thread, so the child can go on as it could.
            match unsafe { libc::fork() } {
                0 => {
                    drop(mine);
                    let runtime = runtime();
                    let connection = Connection::over(&runtime, its, settings).unwrap();
                    let body = panic::AssertUnwindSafe(|| body(&runtime, connection));
                    process::exit(i32::from(panic::catch_unwind(body).is_err()));
                }
                child => {
                    assert!(child > 0);
                    drop(its);
                    (Self(child), Connection::over(here, mine, settings).unwrap())
                }
            }
        }

        fn kill(&self) {
            // SAFETY: a child of ours that was not waited for.
            unsafe { libc::kill(self.0, libc::SIGKILL) };
        }
    }

    impl Drop for Child {
        fn drop(&mut self) {
            self.kill();
            // SAFETY: the status is not asked for.
            unsafe { libc::waitpid(self.0, std::ptr::null_mut(), 0) };
        }
    }

    /// As small as can be, and without mappings of guests: children are many.
    fn runtime() -> Runtime {
        // By threads, a process would have more than one when it forks.
        let mut config = wasmtime::Config::new();
        config.parallel_compilation(false);
        Runtime::builder().config(config).idle_memories(0).idle_regions(0).build().unwrap()
    }

    /// Dies at once, as by `SIGKILL`, if that is the step.
    fn at(step: u32, dies_at: u32) {
        if step == dies_at {
            // SAFETY: this process is a child that is to die.
            unsafe { libc::kill(process::id() as libc::pid_t, libc::SIGKILL) };
        }
    }

    fn region(connection: &Connection) -> Option<Mappable> {
        match connection.receive() {
            Ok(Received::Region { region, .. }) => Some(region),
            _ => None,
        }
    }

    fn filled(runtime: &Runtime, byte: u8) -> Mappable {
        let mut region = runtime.allocate_exportable(2 * GRANULE).unwrap();
        region.bytes_mut().unwrap().fill(byte);
        region
    }

    fn is_all(bytes: &[u8], byte: u8) -> bool {
        bytes.iter().all(|&found| found == byte)
    }

    /// Checks that a test leaves as many descriptors, mappings and blocks as there were.
    fn leaves_nothing(test: impl FnOnce(&Runtime)) {
        let here = runtime();
        // Once, so that what is kept for good is there.
        let (child, connection) = Child::new(&here, Settings::new(PEER), |_, connection| drop(region(&connection)));
        connection.send(filled(&here, 1), 0, Afterwards::Free).unwrap();
        assert!(matches!(connection.receive(), Err(ReceiveError::Closed)));
        drop((child, connection));
        let before = had();
        test(&here);
        let after = had();
        assert_eq!(after, before);
    }

    // #[test]
    fn a_receiver_that_is_killed_at_any_step_gives_back_what_it_had() {
        leaves_nothing(|here| {
            for round in 0..400 {
                let dies_at = round % STEPS;
                let (_child, connection) = Child::new(here, Settings::new(PEER), |_, connection| {
                    at(0, dies_at);
                    let mut first = region(&connection).unwrap();
                    at(1, dies_at);
                    let second = region(&connection).unwrap();
                    at(2, dies_at);
                    first.bytes_mut().unwrap()[..1000].fill(7);
                    at(3, dies_at);
                    first.bytes_mut().unwrap().fill(7);
                    at(4, dies_at);
                    drop(second);
                    at(5, dies_at);
                    connection.send(first, 0, Afterwards::GiveBack).unwrap();
                    at(6, dies_at);
                    let frozen = match connection.receive() {
                        Ok(Received::Frozen { frozen, .. }) => frozen,
                        other => panic!("{other:?}"),
                    };
                    at(7, dies_at);
                    assert!(is_all(&frozen, 3));
                    drop(frozen);
                    at(8, dies_at);
                    drop(connection);
                    at(9, dies_at);
                });
                let bytes = filled(here, 3).freeze().unwrap();
                let given = (round / STEPS).is_multiple_of(2);
                let afterwards = if given { Afterwards::GiveBack } else { Afterwards::Free };
                // Any of these may find the child gone, and has its region back then.
                let mut back = 0;
                for (tag, byte) in [(1, 1), (2, 2)] {
                    back += connection.send(filled(here, byte), tag, afterwards).map_or(1, |()| 0);
                }
                let _ = connection.send_frozen(&bytes, 3);
                let mut seen = vec![];
                loop {
                    match connection.receive() {
                        Ok(Received::Returned { region, tag }) => {
                            let first = region.bytes().unwrap();
                            // As it was sent, or as far as the child has written.
                            let byte = tag as u8;
                            assert!(is_all(first, byte) || is_all(first, 7) || (first[0] == 7 && first[1000] == byte));
                            seen.push(tag);
                        }
                        Ok(Received::Region { region, .. }) => {
                            assert!(is_all(region.bytes().unwrap(), 7) && dies_at > 5);
                            seen.push(1);
                        }
                        Err(ReceiveError::Closed) => break,
                        other => panic!("{other:?}"),
                    }
                }
                seen.sort_unstable();
                let expected = if given { 2 } else { usize::from(dies_at > 5) };
                assert_eq!(seen.len() + if given { back } else { 0 }, expected, "dies at {dies_at}: {seen:?}");
                assert_eq!(connection.away(), 0);
                // Whatever the child had of the frozen bytes, they are this process's alone again.
                assert!(bytes.thaw().is_ok(), "dies at {dies_at}");
            }
        });
    }

    // #[test]
    fn a_sender_that_is_killed_at_any_step_leaves_the_receiver_whole() {
        leaves_nothing(|here| {
            for round in 0..400 {
                let dies_at = round % 6;
                let (_child, connection) = Child::new(here, Settings::new(PEER), |there, connection| {
                    at(0, dies_at);
                    let first = filled(there, 1);
                    at(1, dies_at);
                    connection.send(first, 0, Afterwards::GiveBack).unwrap();
                    at(2, dies_at);
                    let bytes = filled(there, 2).freeze().unwrap();
                    at(3, dies_at);
                    connection.send_frozen(&bytes, 0).unwrap();
                    at(4, dies_at);
                    connection.send(filled(there, 3), 0, Afterwards::Free).unwrap();
                    at(5, dies_at);
                });
                let (mut regions, mut frozen): (Vec<Mappable>, Vec<Frozen>) = (vec![], vec![]);
                loop {
                    match connection.receive() {
                        Ok(Received::Region { region, .. }) => regions.push(region),
                        Ok(Received::Frozen { frozen: bytes, .. }) => frozen.push(bytes),
                        Err(ReceiveError::Closed) => break,
                        other => panic!("{other:?}"),
                    }
                }
                let sent = [0, 0, 1, 1, 2, 3][dies_at as usize];
                assert_eq!(regions.len() + frozen.len(), sent, "dies at {dies_at}");
                for (region, byte) in regions.iter_mut().zip([1, 3]) {
                    assert!(is_all(region.bytes().unwrap(), byte));
                    region.bytes_mut().unwrap().fill(9);
                }
                assert!(frozen.iter().all(|bytes| is_all(bytes, 2)));
            }
        });
    }

    // #[test]
    fn a_chain_whose_middle_is_killed_at_any_step_has_one_owner() {
        leaves_nothing(|here| {
            for round in 0..300 {
                let dies_at = round % 5;
                let [mine, its] = pair();
                // This process is the first and the last.
                let (_child, first) = Child::new(here, Settings::new(PEER), move |there, first| {
                    let last = Connection::over(there, its, Settings::new(PEER)).unwrap();
                    at(0, dies_at);
                    let mut region = region(&first).unwrap();
                    at(1, dies_at);
                    region.bytes_mut().unwrap().fill(2);
                    at(2, dies_at);
                    last.send(region, 0, Afterwards::Free).unwrap();
                    at(3, dies_at);
                    drop(first);
                    at(4, dies_at);
                });
                let last = Connection::over(here, mine, Settings::new(PEER)).unwrap();
                // The child may be gone.
                let _ = first.send(filled(here, 1), 0, Afterwards::Free);
                let arrived = region(&last);
                assert_eq!(arrived.is_some(), dies_at > 2, "dies at {dies_at}");
                assert!(matches!(first.receive(), Err(ReceiveError::Closed)));
                assert_eq!(first.away(), 0);
                drop(first);
                // The first has freed it, or has left it to the last.
                if let Some(mut region) = arrived {
                    assert!(is_all(region.bytes().unwrap(), 2), "dies at {dies_at}");
                    region.bytes_mut().unwrap().fill(3);
                    assert!(is_all(region.bytes().unwrap(), 3));
                }
            }
        });
    }

    // #[test]
    fn processes_that_are_killed_at_any_time_leave_nothing() {
        leaves_nothing(|here| {
            for round in 0..300u64 {
                let (child, connection) = Child::new(here, Settings::new(PEER), |there, connection| {
                    connection.send(filled(there, 5), 99, Afterwards::Free).unwrap();
                    while let Some(mut region) = region(&connection) {
                        region.bytes_mut().unwrap()[0] += 1;
                        if connection.send(region, 1, Afterwards::Free).is_err() {
                            break;
                        }
                    }
                });
                let mut sent = filled(here, 1);
                sent.bytes_mut().unwrap()[0] = 0;
                let mut its = region(&connection).unwrap();
                assert!(is_all(its.bytes().unwrap(), 5));
                let mut hops = 0;
                let back = loop {
                    if hops == round % 40 {
                        child.kill();
                    }
                    match connection.send(sent, 1, Afterwards::GiveBack) {
                        Ok(()) => {}
                        Err(failed) => break failed.region,
                    }
                    match connection.receive() {
                        Ok(Received::Region { region, .. }) => sent = region,
                        Ok(Received::Returned { region, .. }) => break region,
                        other => panic!("{other:?}"),
                    }
                    hops += 1;
                };
                // Killed before or after it has counted.
                let counted = u64::from(back.bytes().unwrap()[0]);
                assert!(counted == hops || counted == hops + 1, "{counted}, {hops}");
                assert!(is_all(&back.bytes().unwrap()[1..], 1));
                its.bytes_mut().unwrap().fill(6);
                assert!(matches!(connection.receive(), Err(ReceiveError::Closed)));
            }
        });
    }

    // #[test]
    fn readers_that_are_killed_leave_frozen_bytes_to_be_thawed() {
        leaves_nothing(|here| {
            for round in 0..40u64 {
                let readers: Vec<_> = (0..8)
                    .map(|number| {
                        Child::new(here, Settings::new(PEER), move |_, connection| {
                            let mut held = vec![];
                            while let Ok(Received::Frozen { frozen, tag }) = connection.receive() {
                                assert!(is_all(&frozen, tag as u8));
                                held.push(frozen);
                                // Some keep all, some nothing.
                                held.truncate(number % 3);
                            }
                        })
                    })
                    .collect();
                let mut region = filled(here, 0);
                for tag in 1..6u8 {
                    region.bytes_mut().unwrap().fill(tag);
                    let bytes = region.freeze().unwrap();
                    for (number, (child, connection)) in readers.iter().enumerate() {
                        let _ = connection.send_frozen(&bytes, tag.into());
                        if (number as u64 + u64::from(tag) + round).is_multiple_of(8) {
                            child.kill();
                        }
                    }
                    region = filled(here, 0);
                    assert!(is_all(&bytes, tag));
                }
                for (child, connection) in readers {
                    child.kill();
                    let end = loop {
                        match connection.receive_within(Duration::from_secs(20)) {
                            Ok(_) => {}
                            Err(error) => break error,
                        }
                    };
                    assert!(matches!(end, ReceiveError::Closed), "{end}");
                    assert_eq!(connection.away(), 0);
                }
            }
        });
    }

    // #[test]
    fn a_peer_that_is_not_trusted_may_be_killed_too() {
        leaves_nothing(|here| {
            for round in 0..200 {
                let dies_at = round % 5;
                let (_child, connection) = Child::new(here, Settings::new(Trust::SEALS), |there, connection| {
                    at(0, dies_at);
                    let first = region(&connection).unwrap();
                    at(1, dies_at);
                    assert!(is_all(first.bytes().unwrap(), 1));
                    let bytes = filled(there, 2).freeze().unwrap().seal().unwrap();
                    at(2, dies_at);
                    connection.send_frozen(&bytes, 0).unwrap();
                    at(3, dies_at);
                    connection.send(first, 0, Afterwards::Free).unwrap();
                    at(4, dies_at);
                });
                let mut seen = match connection.send(filled(here, 1), 1, Afterwards::GiveBack) {
                    Ok(()) => vec![],
                    Err(failed) => vec![failed.region],
                };
                loop {
                    match connection.receive() {
                        Ok(Received::Returned { region, .. } | Received::Region { region, .. }) => seen.push(region),
                        Ok(Received::Frozen { frozen, .. }) => assert!(is_all(&frozen, 2) && dies_at > 2),
                        Err(ReceiveError::Closed) => break,
                        other => panic!("{other:?}"),
                    }
                }
                // Back as it was sent, or sent on by the child; or the child had its copy, and died with it.
                assert!(seen.len() <= 1 && seen.iter().all(|region| is_all(region.bytes().unwrap(), 1)));
                assert!(dies_at == 1 || dies_at == 2 || dies_at == 3 || seen.len() == 1, "dies at {dies_at}");
            }
        });
    }
}
