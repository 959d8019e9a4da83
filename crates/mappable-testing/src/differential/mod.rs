//! Programs of operations, run on the library and on the model of its semantics (`mappable-model`).
//!
//! [`run`] plays a program on both and compares them after each operation; [`guest`] and [`host`] are the library's two
//! sides, and `streams` what guests do together. Which programs are run is left to the tests: at random in `differential`, by coverage in `fuzz`.

mod channels;
mod compare;
pub mod guest;
pub mod host;
pub mod run;
mod streams;
