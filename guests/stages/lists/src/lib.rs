//! A step on regions, offered with lists. A composition of stages, of regions in plain WebAssembly and of this has no
//! resource in its interface, so any host of components can call it.
//!
//! The bytes are copied into a region and out of another. They are not mapped: where this is of use nothing can be.

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../../wit"],
        world: "mappable:stage/lists",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
    });

    use super::Lists;
    export!(Lists);
}

use bindings::exports::mappable::stage::copying_step::{Guest, Header};
use bindings::mappable::stage::step;
use mappable_guest::Mappable;

struct Lists;

impl Guest for Lists {
    fn run(bytes: Vec<u8>, header: Header, arguments: Vec<String>) -> Result<(Vec<u8>, Header), String> {
        let region = Mappable::allocate_from(&bytes).map_err(|error| error.to_string())?;
        // Two of a picture are enough.
        drop(bytes);
        let (region, header) = step::run(region.into(), header, &arguments)?;
        let region = Mappable::from(region);
        let made = usize::try_from(header.size).ok().filter(|_| header.size <= region.size());
        let mut bytes = vec![0; made.ok_or("the stage says that it made more bytes than there are")?];
        region.read(0, &mut bytes).map_err(|error| error.to_string())?;
        Ok((bytes, header))
    }
}
