//! What a function of the package is called with: the list that names a placement, and the kind of region behind a handle.

/// A list that a guest passed, as addresses of the host. Its bytes are not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) address: usize,
    /// In bytes.
    pub(super) len: u64,
}

/// Which of the two kinds of region a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegionKind {
    Mappable,
    Frozen,
}

impl RegionKind {
    /// The resource of a region of this kind that is not mapped.
    pub(super) fn unmapped(self) -> &'static str {
        match self {
            Self::Mappable => "mappable",
            Self::Frozen => "frozen",
        }
    }

    /// The resource of a region of this kind that is mapped.
    pub(super) fn mapped(self) -> &'static str {
        match self {
            Self::Mappable => "mapping",
            Self::Frozen => "frozen-mapping",
        }
    }
}
