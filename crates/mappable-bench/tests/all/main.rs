//! The benchmarks as a user has them: the built binary. No test asserts a time.

mod bench;
mod report;
mod support;
