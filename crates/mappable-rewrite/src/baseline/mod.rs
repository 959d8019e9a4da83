//! The baseline tier: the engine's own handles, and a refresh behind each marked lower.
//!
//! [`plan`] says where refreshes go, [`emit`] writes them, and [`verify`] tells from the bytes alone whether each marked lower
//! has one.

pub(crate) mod emit;
pub(crate) mod plan;
pub(crate) mod verify;
