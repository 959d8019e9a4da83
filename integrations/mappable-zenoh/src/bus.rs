//! The bus: a session of Zenoh's, and what its messages are made from and become.

use std::sync::Arc;
use std::time::Duration;

use mappable::Runtime;
use zenoh::{Config, Session, Wait as _};

use crate::answers::Answers;
use crate::in_process::InProcess;
use crate::shared::SharedMemory;

/// Why no bus was opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Zenoh takes no such option.
    #[error("{option} can't be {value}: {reason}")]
    Option {
        /// Which one, as Zenoh's configuration names it.
        option: &'static str,
        /// What it was to be.
        value: String,
        /// What Zenoh says.
        reason: String,
    },
    /// Zenoh opens no session: nobody can listen at one of the addresses, for example.
    #[error("no session of Zenoh's: {0}")]
    Session(String),
}

/// How a bus is opened. Peers find each other by the addresses of [`Options::listen`] and [`Options::connect`], and through peers
/// that they have in common.
#[derive(Clone, Debug)]
pub struct Options {
    config: Config,
    listen: Vec<String>,
    connect: Vec<String>,
    is_discovered: bool,
    shares: bool,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) message_bytes: u64,
    pub(crate) shared_bytes: u64,
    pub(crate) shared_from: u64,
    pub(crate) alive_keys: usize,
}

/// From this length on, what peers of this host have is shared. A new file's pages, mappings and seals take longer than loopback
/// up to that, and less long at 1 MiB (`mappable-bus bench --shared-from 8`).
const SHARED_FROM: u64 = 256 << 10;

impl Default for Options {
    fn default() -> Self {
        let limits =
            Limits { message_bytes: 256 << 20, shared_bytes: 128 << 20, shared_from: SHARED_FROM, alive_keys: 4096 };
        Self { config: Config::default(), listen: vec![], connect: vec![], is_discovered: false, shares: true, limits }
    }
}

impl Options {
    /// No address, no discovery, shared memory: what a bus within one process needs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with a configuration of Zenoh's. Addresses, discovery and shared memory are as said here, all else as said there.
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Adds an address where other peers reach this one, such as `tcp/0.0.0.0:7447`. With port 0 the system chooses one
    /// ([`Bus::addresses`]).
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen.push(address.into());
        self
    }

    /// Adds the address of a peer or router. It need not be there yet, and is connected to again when it went away.
    pub fn connect(mut self, address: impl Into<String>) -> Self {
        self.connect.push(address.into());
        self
    }

    /// Whether peers of the local network are found by multicast. `false` unless said.
    pub fn discovery(self, is_discovered: bool) -> Self {
        Self { is_discovered, ..self }
    }

    /// Whether values are shared with peers of this host. `true` unless said.
    pub fn shared_memory(self, shares: bool) -> Self {
        Self { shares, ..self }
    }

    /// The longest message that is received, in bytes, and the most that one query gets, where each answer counts as whole granules
    /// ([`GRANULE`](mappable::GRANULE)), which its region takes. 256 MiB unless said: 4,096 short answers.
    pub fn message_bytes(mut self, bytes: u64) -> Self {
        self.limits.message_bytes = bytes;
        self
    }

    /// How many bytes are shared at once: those of messages on their way to peers of this host. 128 MiB unless said. What has come
    /// to a peer counts in the queues of its subscribers. A longer value is sent as bytes.
    pub fn shared_bytes(mut self, bytes: u64) -> Self {
        self.limits.shared_bytes = bytes;
        self
    }

    /// From how many bytes on a value is shared with peers of this host: 256 KiB unless said. Shorter ones are sent as bytes, which
    /// takes less time, and of a value that is sealed already ([`Frozen::seal`](mappable::Frozen::seal)) no memory besides.
    pub fn shared_from(mut self, bytes: u64) -> Self {
        self.limits.shared_from = bytes;
        self
    }

    /// How many keys [`Bus::alive`] returns at most, and how many that came or went a [`Watch`](crate::Watch) keeps until they are
    /// read. 4,096 unless said.
    pub fn alive_keys(mut self, keys: usize) -> Self {
        self.limits.alive_keys = keys;
        self
    }

    fn configured(&self) -> Result<Config, OpenError> {
        let mut config = self.config.clone();
        let list = |addresses: &[String]| {
            format!("[{}]", addresses.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>().join(","))
        };
        let options = [
            ("listen/endpoints", list(&self.listen)),
            ("connect/endpoints", list(&self.connect)),
            ("scouting/multicast/enabled", self.is_discovered.to_string()),
            ("transport/shared_memory/enabled", self.shares.to_string()),
            // What is shared is what we share: constant, and of one copy. Zenoh would copy other messages into memory that every
            // process of this user can change.
            ("transport/shared_memory/transport_optimization/enabled", "false".to_owned()),
            ("transport/link/rx/max_message_size", self.limits.message_bytes.saturating_add(64 << 10).to_string()),
        ];
        for (option, value) in options {
            let set = config.insert_json5(option, &value);
            set.map_err(|error| OpenError::Option { option, value, reason: error.to_string() })?;
        }
        Ok(config)
    }
}

/// A member of the bus: publishes frozen values and regions, subscribes to them, and asks for them by name. A clone is the same
/// member.
#[derive(Clone, Debug)]
pub struct Bus(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) runtime: Runtime,
    pub(crate) session: Session,
    pub(crate) shared: Option<SharedMemory>,
    pub(crate) in_process: Arc<InProcess>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) limits: Limits,
}

impl Bus {
    /// Opens a bus. What is received on it are values of the runtime.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(runtime: &Runtime, options: &Options) -> Result<Self, OpenError> {
        let limits = options.limits;
        let config = options.configured()?;
        let shared =
            options.shares.then(|| SharedMemory::new(runtime, limits.shared_bytes, limits.message_bytes)).flatten();
        let opening = zenoh::open(config);
        let opening = match &shared {
            Some(shared) => opening.with_shm_clients(shared.clients()),
            None => opening,
        };
        let session = opening.wait().map_err(|error| OpenError::Session(error.to_string()))?;
        let (in_process, answers) = (Arc::default(), Arc::default());
        Ok(Self(Arc::new(Inner { runtime: runtime.clone(), session, shared, in_process, answers, limits })))
    }

    /// Where other peers reach this one.
    pub fn addresses(&self) -> Vec<String> {
        self.0.session.info().locators().wait().iter().map(ToString::to_string).collect()
    }

    /// How many other members are connected to this one.
    pub fn peers(&self) -> usize {
        let info = self.0.session.info();
        info.peers_zid().wait().count() + info.routers_zid().wait().count()
    }

    /// How many bytes this member shares now: those of messages on their way to peers of this host. What has come to them is counted
    /// there.
    pub fn shared_bytes(&self) -> u64 {
        self.0.shared.as_ref().map_or(0, SharedMemory::bytes)
    }

    /// Waits until all that is shared with peers of this host has come to them. A member that leaves before takes it away: they open
    /// its files. Returns `false` if the time is up. An offer that was asked for is shared until it is dropped.
    pub fn settle(&self, timeout: Duration) -> bool {
        self.0.shared.as_ref().is_none_or(|shared| shared.settle(timeout))
    }

    /// Leaves. Publishers, subscribers and offers of this bus fail from here on. So does the last clone when it is dropped.
    pub fn close(&self) {
        if let Err(error) = self.0.session.close().wait() {
            tracing::warn!("the session was not closed in order: {error}");
        }
    }
}
