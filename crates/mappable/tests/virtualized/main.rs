//! The portable guest, `guests/built/portable.wasm`: it implements `mappable:memory/types` in plain WebAssembly, so
//! that components which import regions run on a stock engine, without this project's runtime. Nothing of `mappable` is
//! used here: an engine, a store and an empty linker, all as Wasmtime has them.

/// A component that is built, by its name.
macro_rules! built {
    ($($name:literal)*) => {
        include_bytes!(concat!("../../../../guests/built/", $($name,)* ".wasm"))
    };
}

mod composition;
mod regions;
mod stages;
mod stock;

use mappable_testing::image;

const PORTABLE: &[u8] = built!("portable");

const TYPES: &str = "mappable:memory/types@0.1.0";
const STEP: &str = "mappable:stage/step@0.1.0";

const GRANULE: u64 = 65_536;
