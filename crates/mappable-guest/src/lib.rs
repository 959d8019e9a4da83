//! Regions of memory that a WebAssembly component owns, maps into its own memory and hands over.
//!
//! Components share nothing: what goes from one to another is copied. A *region* is not: its owner hands it over by
//! an ordinary function call, and *maps* it, at any size, by a pointer update. This crate is the guest's side, for
//! components in Rust; `no_std` with `alloc`.
//!
//! | type | is | on drop |
//! | --- | --- | --- |
//! | [`Mappable`] | a region that this component owns and that is mapped nowhere | frees the region |
//! | [`Mapped`] | a region that is mapped: a `[u8]` | takes the region out of the memory and frees it |
//! | [`Frozen`] | a reference to a region that is only read | drops the reference; the last one frees the region |
//! | [`MappedFrozen`] | one that is mapped: a `[u8]` that can't be changed | takes it out of the memory and drops it |
//!
//! ```
//! use mappable_guest::Mappable;
//!
//! // Sizes are whole granules of 65,536 bytes. A new region reads as zero.
//! let region = Mappable::allocate_at_least(100_000)?;
//! assert_eq!(region.size(), 131_072);
//!
//! // Mapped, it is a slice: loads, stores, `copy_from_slice`, SIMD, all work where the bytes lie.
//! let mut bytes = region.map()?;
//! bytes[..5].copy_from_slice(b"hello");
//! bytes.as_pod_mut::<u32>()[2] = 7;
//!
//! // Unmapped, it can be handed over: `into()` gives what an import or an export of a component takes.
//! let region = bytes.unmap();
//! let handle: mappable_guest::Handle = region.into();
//! # let region: Mappable = handle.into();
//! # let bytes = region.map()?;
//! # assert_eq!(&bytes[..12], b"hello\0\0\0\x07\0\0\0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A region is *frozen* to be read by many at once, and *thawed* by whoever has the last reference; it is *split* into
//! parts that go their own ways, and *joined* again. None of this copies.
//!
//! ```
//! use mappable_guest::Mappable;
//!
//! let region = Mappable::allocate(3 * 65_536)?;
//! region.write(65_536, b"hello")?;
//! let (head, body) = region.split(65_536)?;
//!
//! // `body` is read at two placements, while `head` is written.
//! let body = body.freeze();
//! let (one, two) = (body.slice(0..65_536)?.map()?, body.try_clone()?.map()?);
//! let mut head = head.map()?;
//! head.fill(1);
//! assert_eq!((&one[..5], &two[..5]), (&b"hello"[..], &b"hello"[..]));
//!
//! // There are three references, so it is not thawed; and then one.
//! let body = body.thaw().unwrap_err().frozen;
//! drop((one, two));
//! let body = body.thaw().unwrap();
//! let region = head.unmap().join(body)?;
//! # assert_eq!(region.size(), 3 * 65_536);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What can't go wrong
//!
//! A region is owned by one component, and while it is mapped there is no handle to give away. The types say so,
//! and what breaks the rule does not compile. Using a region after it was mapped:
//!
//! ```compile_fail,E0382
//! let region = mappable_guest::Mappable::allocate(65536).unwrap();
//! let bytes = region.map().unwrap();
//! region.size(); // error: `region` was moved into `map`
//! ```
//!
//! Using it after it was handed over:
//!
//! ```compile_fail,E0382
//! fn hand_over(_: mappable_guest::Handle) {}
//! let region = mappable_guest::Mappable::allocate(65536).unwrap();
//! hand_over(region.into());
//! let bytes = region.map(); // error: `region` was moved into `into`
//! ```
//!
//! Handing it over while it is mapped:
//!
//! ```compile_fail,E0277
//! fn hand_over(_: mappable_guest::Handle) {}
//! let bytes = mappable_guest::Mappable::allocate(65536).unwrap().map().unwrap();
//! hand_over(bytes.into()); // error: a `Mapped` is not a `Mappable`
//! ```
//!
//! Keeping a slice of it across `unmap`:
//!
//! ```compile_fail,E0505
//! let bytes = mappable_guest::Mappable::allocate(65536).unwrap().map().unwrap();
//! let first = &bytes[..16];
//! let region = bytes.unmap(); // error: `bytes` is still borrowed
//! assert_eq!(first[0], 0);
//! ```
//!
//! Owning it twice:
//!
//! ```compile_fail,E0599
//! let region = mappable_guest::Mappable::allocate(65536).unwrap();
//! let other = region.clone(); // error: there is no `clone`
//! ```
//!
//! Writing to what is frozen:
//!
//! ```compile_fail,E0594
//! let mut bytes = mappable_guest::Mappable::allocate(65536).unwrap().freeze().map().unwrap();
//! bytes[0] = 1; // error: a `MappedFrozen` is only read
//! ```
//!
//! # Placements
//!
//! A region is mapped over a range of this component's own memory, its *placement*. Placements come from growing the
//! memory, so they never overlap the heap or the stack; they are kept and used again, first fit from the lowest
//! address, so that a component that maps the same regions in the same order finds them at the same addresses (which
//! the host answers without a system call). From 2 MiB on they begin at a multiple of that, so that regions which lie
//! in huge pages are seen by them. They are never given back: a component keeps about as much address space as it ever
//! had mapped at once. The pages under a placement are not touched and take no memory.
//!
//! # Hosts that can't map
//!
//! On a host that can't map regions into this memory, or has no mapping to spare, [`Mappable::map`] and
//! [`Frozen::map`] work all the same: they copy the region's bytes into the placement, and [`Mapped::unmap`] copies
//! them back. [`Mapped::is_by_copy`] tells. It costs a copy of the whole region each way, in pieces of at most 1 MiB.
//! A host that has said that it can't map into this memory at all is not asked again.
//!
//! A quota is no such case: the host has said how much this component may map, so going over it is an error.
//!
//! # Components
//!
//! [`bindings`] has the interface `mappable:memory/types` as `wit-bindgen` makes it. A component whose world uses it
//! has a copy of `mappable.wit` (it is in this package's `wit/`) in its own `wit/deps/mappable-memory/`, and says where
//! it makes its bindings that the types are these:
//!
//! ```text
//! mod bindings {
//!     wit_bindgen::generate!({
//!         path: "wit",
//!         with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
//!     });
//! }
//! ```
//!
//! The module keeps two names apart: for a world that says `use mappable:memory/types.{mappable}`, `generate!` calls
//! the raw handle `Mappable`, as this crate calls the region. [`Handle`] and [`FrozenHandle`] are other names for the raw
//! handles, the ones that the host's crate has for them, too.
//!
//! # Native builds
//!
//! Off WebAssembly, [`bindings`] is a small implementation in plain memory, so that code that uses this crate can
//! be unit-tested where it is written (the examples on this page are). It maps by copying.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bindings;
mod error;
mod frozen;
mod handle;
mod held;
mod lock;
mod mapped;
mod placement;
mod pool;
mod region;
mod sys;

pub use error::{
    AllocateError, JoinFailed, MapFailed, MapReason, PartError, RangeError, SplitFailed, ThawFailed, UnmapFailed,
};
pub use frozen::Frozen;
pub use mapped::{Mapped, MappedFrozen};
pub use region::Mappable;

/// The size of a granule in bytes, one page of WebAssembly: sizes of regions are multiples of it.
pub const GRANULE: u64 = 65_536;

/// [`GRANULE`] as addresses are counted.
const GRANULE_BYTES: usize = GRANULE as usize;

/// A handle to a region, as components are passed it and give it: `own<mappable>`, or `borrow<mappable>`.
pub type Handle = bindings::types::Mappable;

/// A handle to a reference to a frozen region: `own<frozen>`, or `borrow<frozen>`.
pub type FrozenHandle = bindings::types::Frozen;

/// The page of the package, whose examples are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
