//! Nothing: what is used of the crates is their C.
