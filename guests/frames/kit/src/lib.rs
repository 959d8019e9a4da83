//! Makes a component of a frame stage.
//!
//! A stage is a function over a frame's bytes. [`stage!`] exports it in the world `region-stage`, `list-stage` or
//! `stream-stage`, by the features `regions`, `copying` and `streams`. All three run the same code on the same bytes, and
//! push what they have to the next stage.

use frame_ops::Size;

/// The world's bindings.
///
/// # Safety
///
/// The unsafe code here is generated.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub mod bindings {
    #[cfg(feature = "streams")]
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "mappable:frames/stream-stage",
        pub_export_macro: true,
        default_bindings_module: "frame_kit::bindings",
    });
    #[cfg(all(feature = "copying", not(feature = "streams")))]
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "mappable:frames/list-stage",
        pub_export_macro: true,
        default_bindings_module: "frame_kit::bindings",
    });
    #[cfg(not(any(feature = "copying", feature = "streams")))]
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "mappable:frames/region-stage",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
        pub_export_macro: true,
        default_bindings_module: "frame_kit::bindings",
    });
}

#[cfg(feature = "streams")]
#[path = "streams.rs"]
mod adapter;
#[cfg(all(feature = "copying", not(feature = "streams")))]
#[path = "lists.rs"]
mod adapter;
#[cfg(not(any(feature = "copying", feature = "streams")))]
#[path = "regions.rs"]
mod adapter;

pub use adapter::Adapter;
use bindings::mappable::frames::format::Shape;

/// A step of the pipeline.
pub trait Stage: 'static {
    /// Works on a frame in place.
    fn work(frame: &mut [u8], size: Size);
}

impl Shape {
    fn size(self) -> Size {
        Size { width: self.width as usize, height: self.height as usize }
    }
}

/// Works on a frame, if that is wanted. A buffer may be longer than the frame.
fn work<S: Stage>(buffer: &mut [u8], shape: Shape) {
    if shape.work {
        let size = shape.size();
        S::work(&mut buffer[..size.bytes()], size);
    }
}

/// Makes this component export a stage.
#[macro_export]
macro_rules! stage {
    ($work:path) => {
        struct Worker;

        impl $crate::Stage for Worker {
            fn work(frame: &mut [u8], size: frame_ops::Size) {
                $work(frame, size);
            }
        }

        type Exported = $crate::Adapter<Worker>;
        $crate::bindings::export!(Exported);
    };
}
