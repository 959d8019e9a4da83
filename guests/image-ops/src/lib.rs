//! What the stages do, as functions over slices: no regions, no components, tested natively.
//!
//! Each operation has a module. Most work in place, with a few rows of scratch memory at most. [`Geometry`] is the size
//! and format of a picture, [`Error`] says why there is no picture. The crate `stage-kit` knows who owns the bytes and
//! where they come from.

mod alpha;
pub mod arguments;
pub mod blur;
pub mod decode;
pub mod edges;
pub mod encode;
mod error;
mod geometry;
pub mod grayscale;
pub mod invert;
pub mod resize;
mod rows;
pub mod sharpen;

pub use error::Error;
pub use geometry::{Geometry, MAX_PIXELS, Pixels};
pub use rows::rows;
