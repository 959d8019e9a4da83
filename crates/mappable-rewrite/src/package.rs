//! What the rewriter knows of the WIT package: its version, and the type by which a swapping function is known.

/// The version of the package that the host offers.
pub(crate) const VERSION: &str = "0.1.0";

/// The cases of the WIT enum `map-error`, in order: the mark of a swapping function.
pub const MARK: &[&str] = &[
    "placement-misaligned",
    "placement-too-small",
    "placement-overlaps",
    "placement-mismatch",
    "placement-unmappable",
    "mapping-over-quota",
    "mappings-exhausted",
];
