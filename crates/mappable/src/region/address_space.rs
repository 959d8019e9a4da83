//! What a 32-bit linear memory takes of the address space: facts of the engine, which views and the ledger rest on.

/// The address space of a 32-bit memory in bytes.
pub(crate) const SPAN: u64 = 1 << 32;

/// What the engine is told to reserve for a memory: a granule short of [`SPAN`], so that a 32-bit memory of no
/// declared maximum may outgrow it. The engine then lets its base move, and compiled code reloads it.
///
/// Source: `Memory::memory_may_move` in `wasmtime-environ`, `src/types.rs`.
pub(crate) const RESERVATION: u64 = SPAN - super::GRANULE;

/// The inaccessible bytes after [`RESERVATION`]: with them, a 32-bit address and a static offset of up to 32 MiB
/// need no bounds check (4 GiB in all, and the engine's own default of 32 MiB).
pub(crate) const GUARD: u64 = super::GRANULE + (32 << 20);
