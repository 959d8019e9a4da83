//! iceoryx2's part of `mappable-bench ipc`. `ping` starts as many `pong`s as it is told. For each line with a number on its
//! standard input it hands bytes over that often, and prints how many nanoseconds each took: there and back to one, or to all of
//! many until all have read them.
//!
//! Each end waits by an event of iceoryx2's. A sample is written in place, in its first 64 bytes, and those are read and
//! compared at the other end.

use std::io::{BufRead as _, Write as _};
use std::mem::MaybeUninit;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

type Service = ipc::Service;

/// How many bytes are written and read of each sample.
const LINE: usize = 64;

fn main() -> Result<()> {
    set_log_level(LogLevel::Error);
    // Whoever ends the one that started this ends this, too. SAFETY: sets a number of this process.
    ensure!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } == 0, "no signal for the end of the parent");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| -> Result<usize> { Ok(arguments.get(at).context("an argument is missing")?.parse()?) };
    match arguments.first().map(String::as_str) {
        Some("ping") => ping(number(1)?, number(2)?),
        Some("pong") => pong(arguments.get(1).context("no name")?, number(2)?, number(3)?, number(4)?),
        _ => bail!("usage: ping BYTES PEERS, which starts pong NAME BYTES PEERS NUMBER"),
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
            self.listener.blocking_wait(|_| {})?;
        }
    }
}

/// The other ends, which end with this.
struct Pongs(Vec<Child>);

impl Drop for Pongs {
    fn drop(&mut self) {
        for pong in &mut self.0 {
            let _ = pong.kill();
            let _ = pong.wait();
        }
    }
}

fn ping(bytes: usize, peers: usize) -> Result<()> {
    let name = format!("mappable-bench/{}", std::process::id());
    let node = NodeBuilder::new().create::<Service>()?;
    let way = Way::new(&node, [&format!("{name}/there"), &format!("{name}/back")], bytes, peers, 0)?;
    let program = std::env::current_exe()?;
    let mut pongs = Pongs(vec![]);
    for number in 1..=peers {
        let mut command = Command::new(&program);
        command.args(["pong", &name, &bytes.to_string(), &peers.to_string(), &number.to_string()]);
        pongs.0.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
    }
    let mut word = 0;
    let all = |way: &Way, peers: usize| -> Result<()> {
        let mut left: u64 = ((1u64 << peers) - 1) << 1;
        while left != 0 {
            way.listener.blocking_wait(|event| left &= !(1 << event.id.as_value()))?;
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
            if peers == 1 {
                let answer = way.receive(bytes)?;
                ensure!(answer == word + 1, "{answer} came back for {word}");
                word = answer;
            } else {
                all(&way, peers)?;
            }
            text += &format!("{} ", start.elapsed().as_nanos());
        }
        println!("{text}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn pong(name: &str, bytes: usize, peers: usize, number: usize) -> Result<()> {
    let node = NodeBuilder::new().create::<Service>()?;
    let way = Way::new(&node, [&format!("{name}/back"), &format!("{name}/there")], bytes, peers, number)?;
    way.notifier.notify()?;
    let mut last = 0;
    loop {
        let word = way.receive(bytes)?;
        ensure!(word > last, "{word} after {last}");
        last = word;
        if peers == 1 {
            way.send(bytes, word + 1)?;
        } else {
            way.notifier.notify()?;
        }
    }
}
