//! The semantics of `mappable:memory` as a small state machine. It knows nothing of an engine, of pages or of views,
//! and is read as a specification, explored exhaustively in small, and compared with the library in large.
//!
//! A [`World`] has stores, instances with a memory each, a host, and what they hold. [`World::apply`] does one [`Op`]
//! and returns the [`Outcome`] that the caller sees. There is no other way to change a world.
//!
//! # What is held
//!
//! - An *allocation* is a row of granules. A granule has one abstract byte (it stands for the first of its 65,536), or
//!   is freed.
//! - A *value* is an extent of an allocation, and either a region, which can be written, or a reference to a frozen
//!   *block*, an extent that was frozen as one. It has a *length* in bytes, which goes with it.
//! - Each value is in exactly one place: behind a handle, in a memory that shows it, retired in a memory, or with the
//!   host. A handle that is mapped holds no value: it names the placement.
//!
//! # The rules
//!
//! - **I1.** A granule of a region is reached by one place, and if that place is a memory, by no other memory and no
//!   handle. A granule that can be written is reached by nobody else to read.
//! - **I2.** The bytes of a frozen block never change while a reference to it lives.
//! - **I3.** A region that comes from `allocate` reads as zero.
//! - **Conservation.** A granule that is not freed has exactly one owner: a region, or a block with references. A freed
//!   one has none.
//! - **Placements.** What is shown in a memory is inside it and does not overlap.
//! - **Quotas.** What a store is charged is what it holds.
//! - **Lengths.** The length of a value is at most its size.
//! - **Isolation.** What one instance's memory shows is changed by nobody but this instance.
//! - **Nothing half done.** What fails has changed nothing (a trap has ended its store, and nothing else).
//!
//! # Dropped mappings
//!
//! A mapping that is dropped *lingers*: its bytes are shown (and can be written, if they could) until the next map or
//! unmap that succeeds in that memory. Its placement is free at once. A frozen reference is then gone; a region is
//! *retired*, and freed at the change after. Both count as regions until they are freed; a lingering one counts as a
//! mapping too, except towards a map in its own memory, which would end it.
//!
//! # Frozen mappings
//!
//! A guest's store there traps where the host maps by pages ([`Way::Pages`]), and is private to the mapping where it
//! copies ([`Way::Copies`]). What the host is told to write there ([`Op::Deliver`]) is private either way; by pages,
//! the guest's stores to that mapping are then private too. Private bytes are gone with the mapping; by pages, with any
//! map or unmap in the memory, from when on stores trap again.
//!
//! # Streams and futures
//!
//! A stream has two ends, each in an instance of one store. A write that waits has taken nothing: the writer can use what
//! it names. When a read and a write meet, elements go from the writer's table into the reader's, all or none, and nobody
//! has to be told first. A write or a read that is over tells how many it moved, and whether the other end is closed.
//!
//! Where the host writes, its end holds what it has not handed over; that is freed when its stream is closed. Where it reads, it
//! pipes the stream into a *channel* for so many elements: a write hands over what there is room for, and waits where there
//! is none. What is in a channel is the host's, whatever becomes of the writer.
//!
//! - **Hand-over.** Nothing but a meeting moves an element, and there it arrives as it was, in order.
//!
//! # Traps
//!
//! A trap ends the whole store, as the engine has it: it refuses entry from then on. What it held is kept, charged and
//! counted for `thaw`, until the store is dropped.
//!
//! # Not modelled
//!
//! Limits of the operating system (`mappings-exhausted`, `regions-exhausted`), the quota of views (it is never seen),
//! `borrow`ed handles, and tasks: an async call in flight, and its cancellation. A write to the host of which an element can't be
//! handed over traps, and moves nothing here; in the library those before it may have arrived. A handle's number is the
//! model's own: the lowest that is free in its table. A handle that comes back with an error keeps its number here.

#![forbid(unsafe_code)]

mod channels;
mod check;
#[cfg(test)]
mod exploration;
mod handles;
mod memory;
mod op;
mod pick;
mod pick_streams;
mod quota;
#[cfg(test)]
mod rules;
mod setup;
mod slots;
mod stream;
#[cfg(test)]
mod stream_rules;
mod streams;
mod values;
mod world;

pub use check::{Rule, step};
pub use op::{AccessError, AllocateError, End, Ended, Holder, MapError, Op, Outcome, PartError};
pub use quota::{Limits, Usage};
pub use setup::{Instance, Setup, Way};
pub use world::World;

/// The size of a granule in bytes.
pub const GRANULE: u64 = 65_536;
