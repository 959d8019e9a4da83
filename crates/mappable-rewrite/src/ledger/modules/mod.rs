//! The trusted core modules: the ledger's memory, the handle table, and what stands in front of each lower and lift.
//!
//! ```text
//!   guest ── lower ═══ adapter ═══ lift ── guest      a call: handles go by flight, plain lists by window or bounce
//!              └── table       table ──┘              whose handles they are
//!   guest ── builtin ═══ host                         what the package's own functions become
//!   guest ── crossing ═══ adapter                     a call the engine's way, with handles of the engine's
//! ```

/// A module that does not depend on a signature: what its text comes to, which a test compares.
macro_rules! assembled {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/ledger/modules/assembled/", $name, ".wasm")).as_slice()
    };
}

mod bounce;
mod bundle;
mod code;
mod crossing;
mod guard;
mod lists;
mod opaque;
mod walk;
mod wrapper;

#[cfg(test)]
mod tests;

use std::rc::Rc;

use wasm_encoder::{ConstExpr, DataSection, ExportKind, ExportSection, MemorySection, MemoryType, NameSection};

pub(crate) use self::bundle::{Bundle, Bundler, Import, Item};
pub(crate) use self::crossing::Crossing;
use super::interface::{self, Builtin};
use super::layout;
use super::signature::{Kind, Signature, name_of_each};

/// What an instance of a trusted module is given. All fields are imported from the module name `""`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Need {
    /// The function that the wrapper calls: the lowered one, or the guest's.
    Callee,
    /// The memory that the lower or lift names.
    GuestMemory,
    /// The `realloc` that the lower or lift names.
    Realloc,
    /// The ledger's memory: what the memory module exports as `memory`.
    Ledger,
    /// The window: what the window's memory module exports as `memory`.
    Window,
    /// A function or global that the component's table instance exports by this name.
    Table(&'static str),
    /// `context.get` and `context.set` of the thread's slot of that number.
    ContextGet(u32),
    ContextSet(u32),
    /// A lowered helper of the host interface; `join` is lowered with the ledger's memory, `window` with the window,
    /// `memory-number` with the guest's.
    Helper(&'static str),
    /// `resource.drop` of the package's type of that kind, of the engine's.
    Discard(Kind),
    /// In front of a builtin, the lower of the package's own function with the same options.
    Engine,
}

/// A trusted module, and what to give its instances: import field by import field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) bytes: Rc<[u8]>,
    pub(crate) needs: Vec<(&'static str, Need)>,
}

/// What every wrapper exports: the function that takes the place of its callee.
pub(crate) const CALL: &str = "call";
/// What the memory modules export.
pub(crate) const MEMORY: &str = "memory";
/// No longer name of a component instance is kept, in bytes.
const MAX_NAME: usize = 256;

/// The module whose memory becomes the ledger: exports [`MEMORY`], with `name` in it for `join`.
pub(crate) fn ledger_memory(name: &str) -> Module {
    let name = &name[..name.floor_char_boundary(MAX_NAME)];
    let mut data = DataSection::new();
    let len = (name.len() as u32).to_le_bytes();
    data.active(0, &ConstExpr::i32_const(layout::NAME_LEN as i32), len);
    data.active(0, &ConstExpr::i32_const(layout::NAME as i32), name.bytes());
    memory("mappable-ledger-memory", Some(&data))
}

/// The module whose memory becomes the window: exports [`MEMORY`].
pub(crate) fn window_memory() -> Module {
    memory("mappable-window-memory", None)
}

fn memory(name: &str, data: Option<&DataSection>) -> Module {
    let mut module = wasm_encoder::Module::new();
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, ..code::ANY_MEMORY });
    module.section(&memories);
    let mut exports = ExportSection::new();
    exports.export(MEMORY, ExportKind::Memory, 0);
    module.section(&exports);
    if let Some(data) = data {
        module.section(data);
    }
    let mut names = NameSection::new();
    names.module(name);
    module.section(&names);
    Module { bytes: module.finish().into(), needs: Vec::new() }
}

/// The module that has the window shown: a start function, no exports.
pub(crate) fn window_start() -> Module {
    let needs = vec![("window", Need::Window), ("show", Need::Helper("window")), ("number", Need::Table("number"))];
    Module { bytes: assembled!("window-start").into(), needs }
}

/// The handle table of a component instance. Exports what [`Need::Table`] names, and a function for each
/// `resource.drop`, named by [`drop_name`]. With `crossing` it is of a component into which handles of the engine's come.
pub(crate) fn table(crossing: bool) -> Module {
    let mut needs = vec![("ledger", Need::Ledger)];
    needs.extend(["join", "more", "drop", "fail"].map(|name| (name, Need::Helper(name))));
    if !crossing {
        return Module { bytes: assembled!("table").into(), needs };
    }
    for kind in Kind::ALL {
        needs.push((interface::leave(kind), Need::Helper(interface::leave(kind))));
        needs.push((discard_name(kind), Need::Discard(kind)));
    }
    Module { bytes: assembled!("crossing-table").into(), needs }
}

fn discard_name(kind: Kind) -> &'static str {
    name_of_each!("discard-", kind)
}

/// The table's export that takes the place of `resource.drop` of a kind.
pub(crate) fn drop_name(kind: Kind) -> &'static str {
    name_of_each!("drop-", kind)
}

/// The context slots that a thread has.
pub(crate) const SLOTS: [u32; 2] = [0, 1];

/// Around a `realloc` or `post-return`: nothing may be called meanwhile. These context slots of its thread are 0 when it
/// begins, and afterwards what they were: so the engine's adapters do it around a `realloc`. With a `barrier`, an exception
/// of a `realloc` is a trap, which takes an engine that has exceptions.
pub(crate) fn guard(
    params: &[wasm_encoder::ValType],
    results: &[wasm_encoder::ValType],
    slots: &[u32],
    barrier: bool,
) -> Module {
    guard::guard(params, results, slots, barrier)
}

/// In front of a lower or built-in that leaves the component and is none of ours, where wrappers call `realloc`: the
/// engine does not know then that nothing may be called.
pub(crate) fn may_leave(params: &[wasm_encoder::ValType], results: &[wasm_encoder::ValType]) -> Module {
    guard::may_leave(params, results)
}

/// In front of the lower of a builtin. Its lists go the engine's way. It is named after the builtin: functions of the same
/// type would have the same module, and a trusted module is for one of them alone. With `crossing` it is of a component into
/// which handles of the engine's come: where it borrows one it goes to the engine's function.
pub(crate) fn builtin(builtin: Builtin, signature: &Signature, crossing: bool) -> Module {
    let bytes = match builtin {
        Builtin::MappableMap => assembled!("map"),
        Builtin::MappingUnmap => assembled!("unmap"),
        Builtin::FrozenMap => assembled!("frozen-map"),
        Builtin::FrozenMapPrivate => assembled!("frozen-map-private"),
        Builtin::FrozenMappingUnmap => assembled!("frozen-unmap"),
        _ => return wrapper::lower(builtin.package_name(), signature, false, crossing && builtin.borrows()),
    };
    let mut needs = vec![("callee", Need::Callee), ("memory", Need::GuestMemory), ("ledger", Need::Ledger)];
    needs.extend(["record", "forbidden", "take", "adopt", "claim", "fail"].map(|name| (name, Need::Table(name))));
    Module { bytes: bytes.into(), needs }
}

/// In front of what goes the engine's way and gives it handles of ours.
pub(crate) fn crossing(crossing: &Crossing) -> Module {
    crossing::crossing(crossing)
}

/// In front of the lower of a closed function. With `lists`, lists of plain data go by window.
pub(crate) fn lower(signature: &Signature, lists: bool) -> Module {
    wrapper::lower("mappable-lower", signature, lists, false)
}

/// In front of the lift of a closed function: [`Need::Callee`] is the guest's core function.
pub(crate) fn lift(signature: &Signature, lists: bool) -> Module {
    wrapper::lift("mappable-lift", signature, lists)
}
