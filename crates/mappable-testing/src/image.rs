//! What a stage is told of the picture in a region, as `guests/wit` has it.

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum Pixels {
    #[component(name = "encoded")]
    Encoded,
    #[component(name = "gray8")]
    Gray8,
    #[component(name = "rgba8")]
    Rgba8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Header {
    pub pixels: Pixels,
    pub width: u32,
    pub height: u32,
    pub size: u64,
}
