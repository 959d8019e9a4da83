//! Reads a tree of components into facts, and has what all readers and writers of bytes share.
//!
//! [`read`] validates a component and notes facts, by which all else is decided. [`shape`] finds marked functions.
//! [`binary`] and [`encode`] are what every reader and writer of bytes shares.

pub(crate) mod binary;
pub(crate) mod encode;
pub(crate) mod read;
pub(crate) mod shape;
pub(crate) mod types;
