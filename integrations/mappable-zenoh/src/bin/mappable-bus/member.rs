//! The options of every command: who the other members are.

use std::time::Duration;

use anyhow::Result;
use mappable::Runtime;
use mappable_zenoh::{Bus, Key, Options, Token};

/// How long a member that leaves waits for those that have not received yet.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Member {
    /// Where other members reach this one, such as tcp/0.0.0.0:7447. With port 0 the system chooses one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
    /// Where another member or a router of Zenoh's is. It need not be there yet
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) connect: Vec<String>,
    /// Find members on the local network by multicast
    #[arg(long)]
    pub(crate) discovery: bool,
    /// Send bytes to members of this host, too
    #[arg(long)]
    pub(crate) no_shared_memory: bool,
    /// Say that this member is there, under a key
    #[arg(long, value_name = "KEY")]
    pub(crate) alive: Option<Key>,
}

/// A member of the bus, which others may know to be there.
pub(crate) struct Joined {
    // Before the bus, to end first.
    _token: Option<Token>,
    pub(crate) bus: Bus,
}

impl Member {
    /// A member of the bus. Says where it listens.
    pub(crate) fn open(&self, runtime: &Runtime) -> Result<Joined> {
        let options = Options::new().discovery(self.discovery).shared_memory(!self.no_shared_memory);
        let options = self.listen.iter().fold(options, |options, address| options.listen(address));
        let options = self.connect.iter().fold(options, |options, address| options.connect(address));
        let bus = Bus::open(runtime, &options)?;
        if !self.listen.is_empty() {
            for address in bus.addresses() {
                eprintln!("listening at {address}");
            }
        }
        let token = self.alive.as_ref().map(|key| bus.token(key)).transpose()?;
        Ok(Joined { _token: token, bus })
    }
}

impl Joined {
    /// Leaves the bus, when what was published has been received or nobody will.
    pub(crate) fn leave(self) {
        if !self.bus.settle(PATIENCE) {
            eprintln!("not all that was published has been received");
        }
        self.bus.close();
    }
}
