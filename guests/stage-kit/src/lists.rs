//! A stage on lists: copied in and out by the canonical ABI.

use core::marker::PhantomData;

use crate::bindings::exports::mappable::stage::copying_step::{Guest, Header};
use crate::{Buffer, Pictured, Stage};

/// A [`Stage`] as the world `copying-stage` has it.
pub struct Adapter<S>(PhantomData<S>);

impl Buffer for Vec<u8> {
    fn allocate(size_bytes: u64) -> Result<Vec<u8>, String> {
        let no_room = || format!("the component's memory has no room for {size_bytes} bytes");
        let size = usize::try_from(size_bytes).map_err(|_| no_room())?;
        // Memory that is zero already is not written.
        let bytes = bytemuck::try_zeroed_slice_box(size).map_err(|()| no_room())?;
        Ok(bytes.into_vec())
    }
}

impl<S: Stage> Guest for Adapter<S> {
    fn run(bytes: Vec<u8>, header: Header, arguments: Vec<String>) -> Result<(Vec<u8>, Header), String> {
        let made = S::run(Pictured::new(bytes, &header)?, &arguments)?;
        let (mut bytes, header) = made.into_parts();
        bytes.truncate(header.size as usize);
        Ok((bytes, header))
    }
}
