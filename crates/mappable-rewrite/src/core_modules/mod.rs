//! Changes inside core modules, the same for both tiers.
//!
//! [`bound`] finds the memories that get a maximum, [`preload`] the loops that find the base of their memory loaded, and
//! [`patch`] writes both.

pub(crate) mod bound;
pub(crate) mod patch;
pub(crate) mod preload;
