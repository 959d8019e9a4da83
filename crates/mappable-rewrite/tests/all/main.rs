//! The rewriter's tests, one module a topic.

mod anchors;
mod bridges;
mod closed;
mod fixed;
mod golden;
mod identity;
mod joined;
mod ledger;
mod mark;
mod mutated;
mod obstacles;
mod random;
mod report;
mod support;
mod tampered;
mod toolchain;
mod trees;
