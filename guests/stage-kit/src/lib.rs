//! Makes a component of a stage.
//!
//! A [`Stage`] is written once, for any [`Buffer`]. [`stage!`] then exports it, in the world
//! `stage` with the feature `regions` (a buffer is a mapped region) or in the world `copying-stage` with the feature
//! `copying` (a buffer is a vector, copied in and out by the canonical ABI). Both run the same code on the same bytes.

mod in_place;
mod parallel;
mod picture;

pub use in_place::{InPlace, InPlaceStage};
pub use parallel::{Cut, Parallel};
pub use picture::{Buffer, Pictured, Stage};

/// The world's bindings.
///
/// # Safety
///
/// The unsafe code here is generated.
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub mod bindings {
    #[cfg(not(feature = "copying"))]
    wit_bindgen::generate!({
        path: ["../../wit", "../wit"],
        world: "mappable:stage/stage",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
        pub_export_macro: true,
        default_bindings_module: "stage_kit::bindings",
    });
    #[cfg(feature = "copying")]
    wit_bindgen::generate!({
        path: ["../../wit", "../wit"],
        world: "mappable:stage/copying-stage",
        pub_export_macro: true,
        default_bindings_module: "stage_kit::bindings",
    });
}

/// The bindings of what the world `parallel-stage` has besides the world `stage`.
///
/// # Safety
///
/// The unsafe code here is generated.
#[cfg(not(feature = "copying"))]
#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub mod parallel_bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../wit"],
        world: "mappable:stage/parallel-exports",
        with: {
            "mappable:memory/types@0.1.0": mappable_guest::bindings::types,
            "mappable:stage/format@0.1.0": crate::bindings::mappable::stage::format,
        },
        pub_export_macro: true,
        default_bindings_module: "stage_kit::parallel_bindings",
    });
}

#[cfg(not(feature = "copying"))]
mod regions;
#[cfg(not(feature = "copying"))]
pub use regions::Adapter;

#[cfg(feature = "copying")]
mod lists;
#[cfg(feature = "copying")]
pub use lists::Adapter;

/// Makes this component export a [`Stage`].
#[macro_export]
macro_rules! stage {
    ($stage:ty) => {
        type Exported = $crate::Adapter<$stage>;
        $crate::bindings::export!(Exported);
    };
}

/// Makes this component export a [`Parallel`] stage.
#[cfg(not(feature = "copying"))]
#[macro_export]
macro_rules! parallel_stage {
    ($stage:ty) => {
        $crate::stage!($stage);
        $crate::parallel_bindings::export!(Exported);
    };
}

/// Makes this component export a [`Parallel`] stage. Lists are not shared out.
#[cfg(feature = "copying")]
#[macro_export]
macro_rules! parallel_stage {
    ($stage:ty) => {
        $crate::stage!($stage);
    };
}

/// Makes this component export the [`Parallel`] stage that does work [`InPlace`].
#[macro_export]
macro_rules! in_place_stage {
    ($work:ty) => {
        $crate::parallel_stage!($crate::InPlaceStage<$work>);
    };
}
