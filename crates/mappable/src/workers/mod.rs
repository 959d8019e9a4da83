//! Work on more than one core: threads that each have a store and an instance, and that are handed regions.
//!
//! ```text
//!   Workers        threads, each with a worker that the embedder makes: a store and a function of the instance in it
//!    ├ map         items, each to one worker
//!    ├ map_parts   a region, cut into parts (`Parts`): each worker owns the parts that it works on
//!    └ map_slices  frozen bytes: all workers read them, each its own rows
//!   Pipeline       stages on threads, through which a few items go around, in order
//!   Cancel         ends either
//! ```
//!
//! No byte that can change is ever shared. A region that is cut is several regions, each with one owner; frozen bytes are read by
//! all. So guests need no atomic operations, no shared memories and no locks: each is the plain single-threaded component that it
//! would be on one core, and what it owns it may map.
//!
//! A worker that fails loses what it had, and nothing else. A guest that traps ends its store, by which what the store owned is
//! freed. The error says which item that was, and gives back all others. The worker is made anew when it is next needed.
//!
//! What is in a worker's store is charged to that store ([`Limits`](crate::Limits)), as always.
//!
//! `crates/mappable/examples/cores.rs` is a program that does all of it.

mod cancel;
mod error;
mod parts;
mod pipeline;
mod pool;
mod regions;

pub use cancel::Cancel;
pub use error::{
    AnotherRegion, MapError, MapFailed, PartsError, PartsFailed, PipelineError, PipelineFailed, WorkersError,
};
pub use parts::Parts;
pub use pipeline::Pipeline;
pub use pool::Workers;
pub use regions::{Part, Slice};
