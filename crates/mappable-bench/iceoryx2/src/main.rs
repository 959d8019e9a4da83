//! iceoryx2's part of `mappable-bench ipc`. `ping` starts as many `pong`s as it is told. For each line with a number on its
//! standard input it hands bytes over that often, and prints how many nanoseconds each took: there and back to one (`answered`), or
//! until all have read them and said so (`read`).
//!
//! Each end waits by an event of iceoryx2's. A sample is written in place, in its first 64 bytes, and those are read and
//! compared at the other end.
//!
//! An event of iceoryx2 0.10 may be lost for good. A listener that was woken says that it is idle and then empties its socket. If a
//! notifier sends in between, and has not yet noted that it did when the listener blocks again, then it notes it afterwards: the socket is empty, and
//! no notifier sends any more. So each wait here ends after [`AGAIN`], which sets that right, and after [`PATIENCE`] all ends with an error.

use std::io::{BufRead as _, Write as _};
use std::mem::MaybeUninit;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

type Service = ipc::Service;

/// How many bytes are written and read of each sample.
const LINE: usize = 64;

/// After which a listener looks whether an event was lost.
const AGAIN: Duration = Duration::from_millis(100);

/// After which nothing will come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The word that says that no sample follows.
const END: u64 = u64::MAX;

/// What a round is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// A sample there, and another back.
    Answered,
    /// A sample there, and the word that it was read.
    Read,
}

impl FromStr for Round {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "answered" => Ok(Self::Answered),
            "read" => Ok(Self::Read),
            _ => bail!("{text} is no round: answered or read"),
        }
    }
}

fn main() -> Result<()> {
    set_log_level(LogLevel::Error);
    // Whoever ends the one that started this ends this, too. SAFETY: sets a number of this process.
    ensure!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } == 0, "no signal for the end of the parent");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |at: usize| arguments.get(at).map(String::as_str).context("an argument is missing");
    let number = |at: usize| -> Result<usize> { Ok(text(at)?.parse()?) };
    match text(0)? {
        "ping" => ping(text(1)?, number(2)?, number(3)?),
        "pong" => pong(text(1)?.parse()?, number(2)?, number(3)?, text(4)?, number(5)?),
        _ => bail!("usage: ping ROUND BYTES PEERS, which starts pong ROUND BYTES PEERS NAME NUMBER"),
    }
}

/// The ports of one direction.
struct Way {
    publisher: Publisher<Service, [u8], ()>,
    subscriber: Subscriber<Service, [u8], ()>,
    notifier: Notifier<Service>,
    listener: Listener<Service>,
}

fn samples(
    node: &Node<Service>,
    name: &str,
    peers: usize,
) -> Result<iceoryx2::service::port_factory::publish_subscribe::PortFactory<Service, [u8], ()>> {
    let service = node.service_builder(&name.try_into()?).publish_subscribe::<[u8]>();
    Ok(service.max_subscribers(peers + 1).max_publishers(peers + 1).max_nodes(peers + 2).open_or_create()?)
}

fn events(
    node: &Node<Service>,
    name: &str,
    peers: usize,
) -> Result<iceoryx2::service::port_factory::event::PortFactory<Service>> {
    let service = node.service_builder(&name.try_into()?).event();
    Ok(service
        .max_listeners(peers + 1)
        .max_notifiers(peers + 1)
        .max_nodes(peers + 2)
        .event_id_max_value(64)
        .open_or_create()?)
}

impl Way {
    /// What is sent goes by `to`, and what is received comes by `from`.
    fn new(node: &Node<Service>, [to, from]: [&str; 2], bytes: usize, peers: usize, number: usize) -> Result<Self> {
        let there = samples(node, to, peers)?;
        let back = samples(node, from, peers)?;
        let publisher = there.publisher_builder().initial_max_slice_len(bytes).create()?;
        let subscriber = back.subscriber_builder().create()?;
        let id = EventId::new(number);
        let notifier = events(node, &format!("{to}/event"), peers)?.notifier_builder().default_event_id(id).create()?;
        let listener = events(node, &format!("{from}/event"), peers)?.listener_builder().create()?;
        Ok(Self { publisher, subscriber, notifier, listener })
    }

    fn send(&self, bytes: usize, word: u64) -> Result<()> {
        let mut sample = self.publisher.loan_slice_uninit(bytes)?;
        for at in (0..LINE).step_by(8) {
            let to = &mut sample.payload_mut()[at..at + 8];
            to.copy_from_slice(&word.to_le_bytes().map(MaybeUninit::new));
        }
        // SAFETY: bytes of shared memory, which are zero or what was written there before; any are `u8`s.
        let sample = unsafe { sample.assume_init() };
        sample.send()?;
        self.notifier.notify()?;
        Ok(())
    }

    /// Waits for a sample, and reads its word.
    fn receive(&self, bytes: usize) -> Result<u64> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                ensure!(sample.payload().len() == bytes, "a sample of {} bytes", sample.payload().len());
                let mut words = sample.payload()[..LINE]
                    .chunks_exact(8)
                    .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
                let word = words.next().context("no word")?;
                ensure!(words.all(|other| other == word), "the words of a line differ");
                return Ok(word);
            }
            wait(&self.listener, |_| {})?;
        }
    }
}

/// Waits for events.
fn wait(listener: &Listener<Service>, mut each: impl FnMut(EventId)) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mut is_there = false;
        listener.timed_wait(
            |event| {
                is_there = true;
                each(event.id);
            },
            AGAIN,
        )?;
        if is_there {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "nothing has come for {} s", PATIENCE.as_secs());
    }
}

/// The other ends, which end with this.
struct Pongs(Vec<Child>);

impl Pongs {
    /// Waits for a while until they have ended.
    fn end(&mut self) -> Result<()> {
        let begun = Instant::now();
        for pong in &mut self.0 {
            while pong.try_wait()?.is_none() && begun.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }
}

impl Drop for Pongs {
    fn drop(&mut self) {
        for pong in &mut self.0 {
            let _ = pong.kill();
            let _ = pong.wait();
        }
    }
}

fn ping(kind: &str, bytes: usize, peers: usize) -> Result<()> {
    let round: Round = kind.parse()?;
    ensure!(round == Round::Read || peers == 1, "one answers, and no more");
    let name = format!("mappable-bench/{}", std::process::id());
    let node = NodeBuilder::new().create::<Service>()?;
    let way = Way::new(&node, [&format!("{name}/there"), &format!("{name}/back")], bytes, peers, 0)?;
    let program = std::env::current_exe()?;
    let mut pongs = Pongs(vec![]);
    for number in 1..=peers {
        let mut command = Command::new(&program);
        command.args(["pong", kind, &bytes.to_string(), &peers.to_string(), &name, &number.to_string()]);
        pongs.0.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
    }
    let mut word = 0;
    let all = |way: &Way, peers: usize| -> Result<()> {
        let mut left: u64 = ((1u64 << peers) - 1) << 1;
        while left != 0 {
            wait(&way.listener, |id| left &= !(1 << id.as_value()))?;
        }
        Ok(())
    };
    // Each says that it is there.
    all(&way, peers)?;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let rounds: u32 = line?.trim().parse()?;
        let mut text = String::new();
        for _ in 0..rounds {
            let start = Instant::now();
            word += 1;
            way.send(bytes, word)?;
            match round {
                Round::Answered => {
                    let answer = way.receive(bytes)?;
                    ensure!(answer == word + 1, "{answer} came back for {word}");
                    word = answer;
                }
                Round::Read => all(&way, peers)?,
            }
            text += &format!("{} ", start.elapsed().as_nanos());
        }
        println!("{text}");
        std::io::stdout().flush()?;
    }
    // So that no shared memory of theirs is left.
    way.send(bytes, END)?;
    pongs.end()
}

fn pong(round: Round, bytes: usize, peers: usize, name: &str, number: usize) -> Result<()> {
    let node = NodeBuilder::new().create::<Service>()?;
    let way = Way::new(&node, [&format!("{name}/back"), &format!("{name}/there")], bytes, peers, number)?;
    way.notifier.notify()?;
    let mut last = 0;
    loop {
        let word = way.receive(bytes)?;
        ensure!(word > last, "{word} after {last}");
        if word == END {
            return Ok(());
        }
        last = word;
        match round {
            Round::Answered => way.send(bytes, word + 1)?,
            Round::Read => drop(way.notifier.notify()?),
        }
    }
}
