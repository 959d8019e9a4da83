//! The ledger tier: a closed tree's handles in tables of our own, warm maps without the host, lists by window.
//!
//! ```text
//!   facts ── analysis   what joins which; which functions are closed; what stands in the way
//!             ├ convert     the validator's types as signatures
//!             ├ signature   a closed function's type, as the canonical ABI lays it out
//!             ├ nameless    which lists go by window, and types without names
//!             ├ modules     the trusted core modules that such functions need
//!             │ emit        the tree with `u32` for each handle, and trusted modules at each boundary
//!             ▼
//!   bytes ── check      nobody but trusted instances reaches trusted functions, memories and the host interface
//! ```
//!
//! [`layout`] and [`interface`] are the contract with the host.

pub(crate) mod analysis;
pub(crate) mod check;
mod convert;
pub(crate) mod emit;
pub(crate) mod function;
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub, reason = "the host alone uses some of it"))]
pub mod interface;
mod kind;
#[cfg_attr(not(feature = "internals"), allow(dead_code, unreachable_pub, reason = "the host alone uses some of it"))]
pub mod layout;
pub(crate) mod modules;
mod nameless;
pub(crate) mod obstacle;
pub(crate) mod signature;
pub(crate) mod unsound;

#[cfg(feature = "internals")]
pub use signature::Kind;
