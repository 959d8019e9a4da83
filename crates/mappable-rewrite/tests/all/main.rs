//! The rewriter's tests, one module a topic.

mod bounded;
mod closed;
mod crossing;
mod functions;
mod golden;
mod identity;
mod joined;
mod ledger;
mod limits;
mod many;
mod mark;
mod mutated;
mod obstacles;
mod preloads;
mod random;
mod report;
mod support;
mod tampered;
mod toolchain;
mod trees;
