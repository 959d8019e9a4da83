//! What a stage is told of the picture in a region, as `guests/wit` has it.

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "named for their order")]
pub(crate) enum Pixels {
    #[component(name = "encoded")]
    Encoded,
    #[component(name = "gray8")]
    Gray8,
    #[component(name = "rgba8")]
    Rgba8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Header {
    pub(crate) pixels: Pixels,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) size: u64,
}
