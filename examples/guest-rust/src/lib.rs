//! A component that is handed a region, inverts its bytes where they lie, and hands it back.

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
    });

    use super::Invert;
    export!(Invert);
}

use bindings::Guest;
use mappable_guest::{Handle, Mappable};

struct Invert;

impl Guest for Invert {
    fn run(region: Handle) -> Handle {
        // A pointer update, at any size. `bytes` is an ordinary `[u8]` until it is unmapped.
        let mut bytes = Mappable::from(region).map().expect("room for a placement");
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        bytes.unmap().into()
    }
}
