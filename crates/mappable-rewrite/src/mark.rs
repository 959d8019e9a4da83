//! The type by which a swapping function is known.

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
