#![doc = include_str!("../README.md")]
//!
//! # The rooms
//!
//! | module | its one concern |
//! | --- | --- |
//! | `key` | what values are published under |
//! | `bus` | a session of Zenoh's, and its options |
//! | `publisher`, `subscriber`, `queue` | values to whoever subscribes |
//! | `query`, `answers`, `liveliness` | values by name, and who is there |
//! | `payload` | values as messages and back: what is copied, and where |
//! | [`host`] | the bus for components |
//! | `in_process`, `shared` | the ways that don't copy a received value |

mod answers;
mod bus;
pub mod host;
mod in_process;
mod key;
mod liveliness;
mod payload;
mod publisher;
mod query;
mod queue;
mod shared;
mod subscriber;

pub use bus::{Bus, OpenError, Options};
pub use key::{Key, KeyError, Pattern};
pub use liveliness::{Presence, Token, Watch, WatchError};
pub use payload::{Message, ReceiveError};
pub use publisher::{Congestion, PublishError, Publisher, SendFailed};
pub use query::{Offer, QueryError};
pub use queue::Overflow;
pub use subscriber::{Subscriber, Subscription};
