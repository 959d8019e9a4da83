//! The name under which this process offers its functions, so that components that were not rewritten don't link to them.

use std::io;
use std::sync::OnceLock;

use mappable_rewrite::Gate;

/// The gate of this process. Its key is drawn at random, so that no component can know the name under which our
/// functions are offered.
pub(super) fn gate() -> io::Result<&'static Gate> {
    static GATE: OnceLock<Gate> = OnceLock::new();
    if let Some(gate) = GATE.get() {
        return Ok(gate);
    }
    let mut key = [0; 16];
    getrandom::fill(&mut key)?;
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    // Where a linker lacks the functions, the engine names the import that it misses: the name says what is missing.
    let gate = Gate::new(&format!("needs-add-to-linker-k{digits}")).map_err(io::Error::other)?;
    Ok(GATE.get_or_init(|| gate))
}
