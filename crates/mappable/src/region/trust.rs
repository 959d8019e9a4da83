//! What a process takes on trust when it is given memory by another.
//!
//! # Safety
//!
//! Nothing here is unsafe by itself. [`Trust::peer`] is the word of its caller, on which slices of memory rest that another
//! process could write to.

#![allow(unsafe_code)]

/// Whether bytes that come from another process are as they should be by the kernel's seals, or by that process's word.
///
/// Whoever has a descriptor of memory can map it, and keep the mapping. So a process that gives a region away could
/// write to it afterwards, and one that is given frozen bytes could, too. Two things prevent that:
///
/// | | `Trust::SEALS` | `Trust::peer()` |
/// | --- | --- | --- |
/// | frozen bytes | are in a file that is sealed (`F_SEAL_WRITE`): nobody can write to it | are those that the peer leaves alone |
/// | to send them | costs one copy, if the file was mapped for writing | never costs a copy, if the region has a file to itself |
/// | a region | is sent sealed, and copied once where it arrives | is used where it lies |
/// | invariants I1 and I2 | hold whatever the peer does | hold if the peer keeps to them |
///
/// ```
/// use mappable::{Frozen, Runtime, Trust};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = (Runtime::new()?, Runtime::new()?);
/// let words = here.allocate_from(b"read by many processes")?.freeze()?;
/// // Through a Unix socket, say.
/// let exported = words.export(Trust::SEALS)?;
/// let words = Frozen::import(&there, exported, Trust::SEALS, 1 << 20)?;
/// assert_eq!(words[..], *b"read by many processes");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    pub(crate) is_peer: bool,
}

impl Trust {
    /// Nothing but the kernel's word.
    pub const SEALS: Self = Self { is_peer: false };

    /// "I trust this peer."
    ///
    /// ```
    /// use mappable::{Mappable, Runtime, Trust};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (here, there) = (Runtime::new()?, Runtime::new()?);
    /// // SAFETY: both processes are this program, which keeps to what is asked.
    /// let trust = unsafe { Trust::peer() };
    /// let exported = here.allocate_exportable(100_000)?.export(trust)?;
    /// # if here.frozen_stores_trap() {
    /// assert!(!exported.was_copied);
    /// # }
    /// let region = Mappable::import(&there, exported, trust, 1 << 20)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Safety
    ///
    /// The other process, and whoever gets the descriptor from it, writes to no region that it has given away and to no frozen
    /// bytes while there are references to them. (A process that uses this library, and loads no code that gets around it,
    /// keeps to that. Components are no such code.) It makes no two regions of one file. What it writes all the same changes
    /// bytes that Rust code takes for constant.
    pub const unsafe fn peer() -> Self {
        Self { is_peer: true }
    }
}
