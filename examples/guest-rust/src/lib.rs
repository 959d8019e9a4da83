//! A component that is handed a region, inverts its bytes in place, and hands it back.

/// In a module of its own, since `generate!` defines a name `Mappable` for the raw handle.
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
    fn invert(region: Handle) -> Handle {
        // A pointer update, at any size. `bytes` is an ordinary `[u8]` until it is unmapped.
        let mut bytes = Mappable::from(region).map().expect("the memory has room for a placement");
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        bytes.unmap().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_inverted() {
        let region = Mappable::allocate_from(b"hello").unwrap();
        let region = Mappable::from(Invert::invert(region.into()));
        assert_eq!(region.map().unwrap()[..6], [!b'h', !b'e', !b'l', !b'l', !b'o', !0]);
    }
}
