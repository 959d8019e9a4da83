//! The command as a user has it: the built binary on real files.

mod bench;
mod demo;
mod errors;
mod inspect;
mod pipe;
mod report;
mod run;
mod support;
