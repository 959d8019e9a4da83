//! A stage on regions: mapped while it runs.

use core::marker::PhantomData;

use mappable_guest::bindings::types;
use mappable_guest::{Mappable, Mapped};

use crate::bindings::exports::mappable::stage::step::{Guest, Header};
use crate::{Buffer, Pictured, Stage};

/// A [`Stage`] as the world `stage` has it.
pub struct Adapter<S>(PhantomData<S>);

impl Buffer for Mapped {
    fn allocate(size_bytes: u64) -> Result<Mapped, String> {
        let region = Mappable::allocate(size_bytes).map_err(|error| error.to_string())?;
        region.map().map_err(|error| error.to_string())
    }
}

impl<S: Stage> Guest for Adapter<S> {
    fn run(
        region: types::Mappable,
        header: Header,
        arguments: Vec<String>,
    ) -> Result<(types::Mappable, Header), String> {
        let mapped = Mappable::from(region).map().map_err(|error| error.to_string())?;
        let made = S::run(Pictured::new(mapped, &header)?, &arguments)?;
        let (mapped, header) = made.into_parts();
        Ok((mapped.unmap().into(), header))
    }
}
