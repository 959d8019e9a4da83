//! Regions of memory that a WebAssembly component owns, maps into its own memory and hands over.
//!
//! Components share nothing, so bytes that go from one to another are copied. A *region* is not copied: its owner hands
//! it over by an ordinary function call, and *maps* it into its own memory by a pointer update, at any size. This crate
//! is the guest's side, for components in Rust. It is `no_std` and needs `alloc`.
//!
//! | type | is | on drop |
//! | --- | --- | --- |
//! | [`Mappable`] | a region that this component owns and that is not mapped | frees the region |
//! | [`Mapped`] | a mapped region: a `[u8]` | takes the region out of the memory and frees it |
//! | [`Frozen`] | a reference to bytes that never change | drops the reference; the last one frees the bytes |
//! | [`MappedFrozen`] | a mapped reference: a `[u8]` that can't be changed | takes it out of the memory and drops it |
//! | [`MappedPrivate`] | a mapped reference: a `[u8]` whose changes are this mapping's own | the same, and what was written is lost |
//!
//! ```
//! use mappable_guest::Mappable;
//!
//! // A new region reads as zero. Its length goes with it; it occupies a multiple of 65,536 bytes.
//! let region = Mappable::allocate(100_000)?;
//! assert_eq!((region.len(), region.size()), (100_000, 131_072));
//!
//! // While it is mapped it is a slice: loads, stores, `copy_from_slice` and SIMD work on the region itself.
//! let mut bytes = region.map()?;
//! assert_eq!(bytes.len(), 100_000);
//! bytes[..5].copy_from_slice(b"hello");
//! bytes.as_pod_mut::<u32>()[2] = 7;
//!
//! // When it is unmapped it can be handed over. `into()` makes the handle that imports and exports take.
//! let region = bytes.unmap();
//! let handle: mappable_guest::Handle = region.into();
//! # let region: Mappable = handle.into();
//! # let bytes = region.map()?;
//! # assert_eq!(&bytes[..12], b"hello\0\0\0\x07\0\0\0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A *frozen* region can be read by many components at once. Whoever holds the last reference can *thaw* it. A region
//! can be *split* into parts that are handed over independently, and *joined* again. None of this copies.
//!
//! ```
//! use mappable_guest::Mappable;
//!
//! let region = Mappable::allocate(3 * 65_536)?;
//! region.write(65_536, b"hello")?;
//! let (head, body) = region.split(65_536)?;
//!
//! // `body` is read at two placements while `head` is written.
//! let body = body.freeze();
//! let (one, two) = (body.slice(0..65_536)?.map()?, body.try_clone()?.map()?);
//! let mut head = head.map()?;
//! head.fill(1);
//! assert_eq!((&one[..5], &two[..5]), (&b"hello"[..], &b"hello"[..]));
//!
//! // Thawing fails while there are three references, and succeeds with one.
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
//! One component owns a region, and a mapped region has no handle to give away. The types express this, so these
//! mistakes don't compile. Using a region after it was mapped:
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
//! Writing to frozen bytes:
//!
//! ```compile_fail,E0594
//! let mut bytes = mappable_guest::Mappable::allocate(65536).unwrap().freeze().map().unwrap();
//! bytes[0] = 1; // error: a `MappedFrozen` is only read
//! ```
//!
//! # Placements
//!
//! A region is mapped over a range of this component's own memory, its *placement*. This crate grows the memory to make
//! placements, so they never overlap the heap or the stack. It keeps them and uses them again, the lowest address
//! first. So a component that maps the same regions in the same order maps them at the same addresses, for which the
//! host needs no system call. Placements of 2 MiB or more begin at a multiple of 2 MiB, so that the host can use huge
//! pages. Placements are never given back: a component keeps about as much address space as it ever had mapped at once.
//! The pages under a placement are not touched and take no memory.
//!
//! # Hosts that can't map
//!
//! On a host that can't map regions into this memory, or has no mapping left, [`Mappable::map`] and those of [`Frozen`]
//! copy the region's bytes into the placement, and [`Mapped::unmap`] copies them back, in pieces of at most 1 MiB. Your
//! code stays the same; [`Mapped::is_by_copy`] tells whether bytes are copied. A host that can't map into this memory
//! at all is asked only once.
//!
//! A quota is different: the host has said how much this component may map, so exceeding it is an error.
//!
//! # Components
//!
//! [`bindings`] has the interface `mappable:memory/types` as `wit-bindgen` generates it. A component whose world uses
//! the interface needs a copy of `mappable.wit` in its own `wit/deps/mappable-memory/`; the file is in this package's
//! `wit/`. Its bindings use the types of this crate:
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
//! Put `generate!` in a module of its own, since for a world with `use mappable:memory/types.{mappable}` it defines a
//! name `Mappable` for the raw handle, beside this crate's [`Mappable`]. [`Handle`] and [`FrozenHandle`] are other
//! names for the raw handles; the crate `mappable`, the host's side, uses the same names.
//!
//! # Streams
//!
//! A [`Handle`] goes through streams and futures as through functions: `StreamReader<Handle>` is a `stream<mappable>`. With the
//! feature `async`, `Ring` has a few regions that go around between a component that produces and who reads what it makes.
//!
//! # Files
//!
//! With the feature `fs`, a program of WASI 0.2 maps files as with `memmap2`: `fs::map("/data/index")` is a `[u8]` of which
//! nothing was read. With `fs-p3`, so does one of WASI 0.3: `fs::p3::map("/data/index")`.
//!
//! # Native builds
//!
//! Off WebAssembly, [`bindings`] is a small implementation in plain memory that maps by copying. So code that uses this
//! crate can be tested natively, as the examples on this page are.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bindings;
mod error;
mod frozen;
#[cfg(all(any(feature = "fs", feature = "fs-p3"), target_family = "wasm"))]
pub mod fs;
mod handle;
mod held;
mod lock;
mod mapped;
mod placement;
mod pod;
mod pool;
mod region;
#[cfg(all(feature = "async", target_family = "wasm"))]
mod ring;
mod sys;

pub use error::{
    AllocateError, JoinFailed, MapFailed, MapReason, PartError, RangeError, SplitFailed, ThawFailed, UnmapFailed,
};
pub use frozen::Frozen;
pub use mapped::{Mapped, MappedFrozen, MappedPrivate};
pub use pod::PodError;
pub use region::Mappable;
#[cfg(all(feature = "async", target_family = "wasm"))]
pub use ring::Ring;

/// The granule in bytes, the size of a WebAssembly page. Sizes of regions are multiples of it.
pub const GRANULE: u64 = 65_536;

/// [`GRANULE`] as addresses are counted.
const GRANULE_BYTES: usize = GRANULE as usize;

/// A handle to a region, in imports and exports of a component: `own<mappable>`, or `borrow<mappable>` by reference.
pub type Handle = bindings::types::Mappable;

/// A handle to a frozen reference: `own<frozen>`, or `borrow<frozen>` by reference.
pub type FrozenHandle = bindings::types::Frozen;

/// The README of the package. Its examples are compiled as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
