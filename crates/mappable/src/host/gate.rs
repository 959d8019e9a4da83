//! The names under which this process offers its functions, so that components that were not rewritten don't link to them.

use std::io;
use std::sync::OnceLock;

use mappable_rewrite::{Gate, GateKeyError};

/// Where a linker lacks the functions, the engine names the import that it misses: the name says what is missing.
const LABEL: &str = "needs-add-to-linker-k";

/// How a gate's key is told from another's: 128 bits, in hexadecimal.
pub(super) type Digits = [u8; 2 * size_of::<u128>()];

/// A gate, and the digits by which its key differs from others.
pub(super) struct Keyed {
    pub(super) gate: Gate,
    digits: Digits,
}

impl Keyed {
    fn new(key: u128) -> Result<Self, GateKeyError> {
        let text = format!("{key:032x}");
        let mut digits = Digits::default();
        digits.copy_from_slice(text.as_bytes());
        Ok(Self { gate: Gate::new(&format!("{LABEL}{text}"))?, digits })
    }

    pub(super) fn digits(&self) -> &Digits {
        &self.digits
    }
}

/// The gate of this process. Its key is drawn at random, so that no component can know the name under which our
/// functions are offered.
pub(super) fn gate() -> io::Result<&'static Keyed> {
    static GATE: OnceLock<Keyed> = OnceLock::new();
    if let Some(gate) = GATE.get() {
        return Ok(gate);
    }
    let mut key = [0; 16];
    getrandom::fill(&mut key)?;
    let gate = Keyed::new(u128::from_le_bytes(key)).map_err(io::Error::other)?;
    Ok(GATE.get_or_init(|| gate))
}

/// The gate in code that is kept, until it is loaded: then the process's key takes the place of this one. It is no
/// secret. It is a digest of the component, which the component can't have in itself: where the digits are in the code,
/// the rewriter has put them.
pub(super) fn stand_in(component: &[u8]) -> Result<Keyed, GateKeyError> {
    let digest = blake3::derive_key("mappable 2026-11-29 the gate of a component that is kept compiled", component);
    let (key, _) = digest.split_at(size_of::<u128>());
    Keyed::new(key.iter().fold(0, |key, byte| key << 8 | u128::from(*byte)))
}
