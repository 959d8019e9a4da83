//! What a world begins with.

use crate::Limits;

/// How a memory is mapped into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// By showing its pages: a guest's store into a frozen mapping traps.
    Pages,
    /// By copying: a guest's store into a frozen mapping is private to it.
    Copies,
    /// Not at all.
    Never,
}

/// An instance to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// The store that it is in.
    pub store: usize,
    /// The size of its memory, in granules.
    pub granules: usize,
    /// The size that its memory can grow to.
    pub most: usize,
    /// How its memory is mapped into.
    pub way: Way,
}

/// A world to begin with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The stores' limits.
    pub stores: Vec<Limits>,
    /// The instances.
    pub instances: Vec<Instance>,
    /// How many bytes `read` gives a guest at once.
    pub longest_list: u64,
}
