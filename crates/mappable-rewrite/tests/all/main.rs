//! The rewriter's tests, one module a topic.

mod golden;
mod identity;
mod mark;
mod mutated;
mod random;
mod report;
mod support;
mod tampered;
mod toolchain;
mod trees;
