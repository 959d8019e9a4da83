//! Publishing: frozen values to many, and regions with their ownership.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mappable::{FreezeFailed, Frozen, Mappable};
use zenoh::Wait as _;
use zenoh::pubsub::Publisher as ZenohPublisher;
use zenoh::qos::CongestionControl;

use crate::bus::{Bus, Inner};
use crate::key::Key;

/// What a publisher does when a message can't go out at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Congestion {
    /// Waits. A peer that takes nothing for five seconds is given up by Zenoh, and connected to again.
    #[default]
    Block,
    /// Drops the message for the peers that are behind. [`PublishError::Congested`] says so if no memory can be shared; what Zenoh
    /// drops between hosts it drops in silence.
    Drop,
}

/// Why a value was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Nobody subscribes to the key.
    #[error("nobody subscribes to {0}")]
    NoSubscriber(Key),
    /// The bytes on their way to receivers have reached the limit ([`Options::shared_bytes`](crate::Options::shared_bytes)), and the
    /// publisher doesn't wait.
    #[error("receivers are behind: as much is shared as may be (Options::shared_bytes)")]
    Congested,
    /// The region can't be frozen.
    #[error("the region can't be frozen: {0}")]
    Freeze(#[source] std::io::Error),
    /// Zenoh's: the bus was closed, for example.
    #[error("not published: {0}")]
    Bus(String),
}

/// A region was not sent. Its sender has it still.
#[derive(Debug)]
#[non_exhaustive]
pub struct SendFailed {
    /// The region, as it was.
    pub region: Mappable,
    /// Why.
    pub error: PublishError,
}

impl fmt::Display for SendFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SendFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Publishes values under one key.
///
/// A value that has been published is on its way: that a subscriber goes away before it receives it is not told, and the memory that
/// was shared for it is freed (within a second). What a subscriber has received is its own, whatever becomes of the publisher.
#[derive(Debug)]
pub struct Publisher {
    // Before the bus, to end first.
    publisher: ZenohPublisher<'static>,
    inner: Arc<Inner>,
    key: Key,
    congestion: Congestion,
}

impl Bus {
    /// Declares that values will be published under a key.
    ///
    /// # Errors
    ///
    /// [`PublishError::Bus`].
    pub fn publisher(&self, key: &Key, congestion: Congestion) -> Result<Publisher, PublishError> {
        let control = match congestion {
            Congestion::Block => CongestionControl::Block,
            Congestion::Drop => CongestionControl::Drop,
        };
        let declared = self.0.session.declare_publisher(key.expression()).congestion_control(control);
        let publisher = declared.wait().map_err(|error| PublishError::Bus(error.to_string()))?;
        Ok(Publisher { publisher, inner: Arc::clone(&self.0), key: key.clone(), congestion })
    }
}

impl Publisher {
    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Publishes a frozen value to whoever subscribes to the key now: to nobody, if nobody does.
    ///
    /// Subscribers of this bus in this process get the value itself. Peers of this host share memory into which its bytes are copied
    /// once, or the value's own if it is sealed ([`Frozen::seal`]) or was received. To other hosts the bytes are sent by Zenoh, from
    /// where they are.
    ///
    /// # Errors
    ///
    /// [`PublishError::Congested`] and [`PublishError::Bus`].
    pub fn publish(&self, value: &Frozen) -> Result<(), PublishError> {
        let waits = self.congestion == Congestion::Block;
        let outgoing = self.inner.outgoing(value, waits).map_err(|_| PublishError::Congested)?;
        let put = self.publisher.put(outgoing.bytes);
        let put = match outgoing.attachment {
            Some(attachment) => put.attachment(attachment),
            None => put,
        };
        put.wait().map_err(|error| PublishError::Bus(error.to_string()))
    }

    /// Hands a region over to whoever subscribes to the key. If nobody does, or it can't be sent, its sender has it back.
    ///
    /// # Errors
    ///
    /// [`SendFailed`], with the region.
    #[allow(clippy::result_large_err, reason = "the region comes back, without an allocation that could fail")]
    pub fn send(&self, region: Mappable) -> Result<(), SendFailed> {
        if !self.has_subscriber() {
            return Err(SendFailed { region, error: PublishError::NoSubscriber(self.key.clone()) });
        }
        let value = match region.freeze() {
            Ok(value) => value,
            Err(FreezeFailed { region, source, .. }) => {
                return Err(SendFailed { region, error: PublishError::Freeze(source) });
            }
        };
        let Err(error) = self.publish(&value) else { return Ok(()) };
        match value.thaw() {
            Ok(region) => Err(SendFailed { region, error }),
            // Somebody has received it.
            Err(_) => Ok(()),
        }
    }

    /// Whether anybody subscribes to the key, as far as this member has heard.
    pub fn has_subscriber(&self) -> bool {
        self.publisher.matching_status().wait().is_ok_and(|status| status.matching())
    }

    /// Waits until somebody subscribes to the key. Returns whether somebody does.
    pub fn wait_for_subscriber(&self, timeout: Duration) -> bool {
        let begun = Instant::now();
        loop {
            if self.has_subscriber() {
                return true;
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(Duration::from_millis(10)));
        }
    }
}
