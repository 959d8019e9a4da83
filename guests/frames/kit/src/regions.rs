//! A stage on regions: a frame is mapped while the stage works on it, and handed on.

use core::marker::PhantomData;

use mappable_guest::Mappable;
use mappable_guest::bindings::types;

use crate::bindings::exports::mappable::frames::region_step::{Guest, Shape};
use crate::bindings::mappable::frames::region_next;
use crate::{Stage, work};

/// A [`Stage`] as the world `region-stage` has it.
pub struct Adapter<S>(PhantomData<S>);

impl<S: Stage> Guest for Adapter<S> {
    fn push(frame: types::Mappable, shape: Shape) {
        let mut mapped = Mappable::from(frame).map().unwrap();
        work::<S>(&mut mapped, shape);
        region_next::push(mapped.unmap().into(), shape);
    }
}
