//! A stage on lists: a frame is copied in by the canonical ABI, and again into the next stage.

use core::marker::PhantomData;

use crate::bindings::exports::mappable::frames::list_step::{Guest, Shape};
use crate::bindings::mappable::frames::list_next;
use crate::{Stage, work};

/// A [`Stage`] as the world `list-stage` has it.
pub struct Adapter<S>(PhantomData<S>);

impl<S: Stage> Guest for Adapter<S> {
    fn push(mut frame: Vec<u8>, shape: Shape) {
        work::<S>(&mut frame, shape);
        list_next::push(&frame, shape);
    }
}
