//! How the engine compiles a case: quickly for most, optimised, as users have it, for the rest.

use wasmtime::{Config, OptLevel, RegallocAlgorithm};

/// How well the engine compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Without optimisations, so that many cases fit into a second.
    Quick,
    /// With the engine's default optimisations. Alias analysis and dead-store elimination decide when code loads the
    /// base of a memory again, and whether a store before a map takes place.
    Optimised,
}

impl Code {
    /// Both.
    pub const ALL: [Code; 2] = [Code::Quick, Code::Optimised];

    /// The one for a case that is made of these bytes: one case in eight is optimised.
    ///
    /// The first byte alone decides, so that a case keeps its code while its other bytes are shrunk. Nothing is drawn
    /// from the bytes: what a seed stands for stays what it was.
    pub fn of(bytes: &[u8]) -> Self {
        match bytes.first() {
            Some(byte) if byte % 8 == 0 => Code::Optimised,
            _ => Code::Quick,
        }
    }

    /// Sets the engine up for it.
    pub fn set(self, config: &mut Config) {
        match self {
            Code::Quick => {
                config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
            }
            Code::Optimised => config.cranelift_opt_level(OptLevel::Speed),
        };
    }
}
