//! Why nothing was sent or received.

use std::io;

use crate::region::{ImportError, Mappable};

/// A region was not sent.
#[derive(Debug, thiserror::Error)]
#[error("a region of {} bytes was not sent: {reason}", region.size())]
#[non_exhaustive]
pub struct SendFailed {
    /// The region, as it was, or a copy in a file of its own.
    pub region: Mappable,
    /// Why.
    #[source]
    pub reason: SendError,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The other end is closed, or its process is gone.
    #[error("the other end of the connection is closed")]
    Closed,
    /// What was sent earlier has not been received yet.
    #[error("the other end has not received what was sent before")]
    Full,
    /// The other end has as many blocks as the settings allow, and has given none back.
    #[error("the other end has {0} blocks, and may have no more at once (ipc::Settings::blocks)")]
    Blocks(u32),
    /// The operating system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why nothing was received. After any but [`ReceiveError::Empty`] nothing will be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Nothing is there, or was within that time.
    #[error("nothing was received")]
    Empty,
    /// The other end is closed, or its process is gone. What it had to give back has been returned before.
    #[error("the other end of the connection is closed")]
    Closed,
    /// The other end does not keep to the protocol. The connection is closed, and what was sent on it is not given back.
    #[error("the other end of the connection does not keep to the protocol: {0}")]
    Protocol(&'static str),
    /// What the other end has sent was refused. The connection is closed, and what was sent on it is not given back.
    #[error("the other end of the connection has sent what is refused: {0}")]
    Import(#[from] ImportError),
    /// This process has as many descriptors as it may have, or a security module refuses it this one, so it lost what the other end has
    /// sent. The connection is closed, as for what is refused; the other end has its own back when nothing of it is held here.
    #[error(
        "this process can't have the descriptor of what the other end has sent, so the connection is closed: it has as many as it may have (see ulimit -n), or a security module refuses it"
    )]
    Descriptors,
    /// The operating system's.
    #[error(transparent)]
    Io(#[from] io::Error),
}
