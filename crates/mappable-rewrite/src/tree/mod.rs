//! A tree of components: what is where in it, and how its bytes are read and written.
//!
//! [`read`] validates a component and notes the facts that all else is decided by. [`shape`] tells which functions are marked.
//! [`binary`] and [`encode`] are what every reader and writer of bytes shares.

pub(crate) mod binary;
pub(crate) mod encode;
pub(crate) mod read;
pub(crate) mod shape;
pub(crate) mod types;
