//! What two components hand to one another when the host has no part in it: handles in every position of a type, lists,
//! and trees of every shape. Each rule is shown on both tiers: the baseline is the oracle of the ledger.

mod alone;
mod builtins;
mod crossing;
mod embedder;
mod exceptions;
mod handles;
mod inlined;
mod leaving;
mod lists;
mod many;
mod others;
mod positions;
mod realloc;
mod shapes;
mod spilled;
mod tiers;
pub(crate) mod trees;
mod tripwires;
mod variants;
mod within;

use wasmtime::component::{ComponentNamedList, Lift, Lower};

use crate::support::{Guest, World};

/// A party of a composition: an instance that the root exports, driven by functions of numbers.
struct Party(Guest);

impl Party {
    /// All parties of a composition, by name.
    fn all<const N: usize>(world: &mut World, text: &str, names: [&str; N]) -> [Self; N] {
        let component = world.fixture.compile_as_is(text);
        let instance = world.instantiate(&component);
        names.map(|name| {
            let index = instance.get_export_index(&mut world.store, None, name);
            Self(Guest::new(instance, &mut world.store, Some(index.unwrap())))
        })
    }

    fn call<P, R>(&self, world: &mut World, name: &'static str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.0.call(&mut world.store, name, params)
    }
}
