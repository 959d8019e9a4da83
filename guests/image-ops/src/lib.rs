//! What the stages do, as functions over slices: no regions, no components, tested natively.
//!
//! Each operation has a module; most work in place, with a few rows of scratch memory at most. [`Geometry`] says what
//! the bytes of a picture are, [`Error`] why there is no picture. Who owns the bytes and where they come from is
//! `stage-kit`'s to know.

mod alpha;
pub mod arguments;
pub mod blur;
pub mod decode;
pub mod edges;
pub mod encode;
mod error;
mod geometry;
pub mod grayscale;
pub mod resize;
pub mod sharpen;

pub use error::Error;
pub use geometry::{Geometry, MAX_PIXELS, Pixels};
