//! The refresh: the trusted core module that stands between a lowered swapping function and its callers.

use std::sync::LazyLock;

use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, MemArg,
    MemoryType, Module, NameMap, NameSection, TypeSection, ValType,
};

/// The one module that the refresh's imports are of.
pub(crate) const ARGUMENT: &str = "";
/// Its import: the lowered function.
pub(crate) const LOWERED: &str = "lowered";
/// Its import: the memory that the lower names.
pub(crate) const MEMORY: &str = "memory";
/// Its only export: the function to call instead of the lowered one.
pub(crate) const REFRESHED: &str = "refreshed";

/// The core parameters of every lowered swapping function; it has no results.
pub(crate) const PARAMS: usize = 4;
/// The parameter that is the return area's address: the last one.
const RETURN_AREA: u32 = PARAMS as u32 - 1;
/// The return area of `result<own<s>, tuple<own<r>, map-error>>`: the discriminant, a handle and the reason, four bytes
/// each (the last one padded), aligned to four.
const RETURN_AREA_BYTES: u64 = 12;
const RETURN_AREA_ALIGN: i32 = 4;

/// The module, the same bytes in every component.
pub(crate) fn module() -> &'static [u8] {
    static MODULE: LazyLock<Vec<u8>> = LazyLock::new(build);
    &MODULE
}

/// ```wat
/// (module $mappable-refresh
///   (import "" "lowered" (func $lowered (param i32 i32 i32 i32)))
///   (import "" "memory" (memory 0))
///   (func (export "refreshed") (param i32 i32 i32 i32)
///     (if (i32.and (local.get 3) (i32.const 3)) (then unreachable))
///     (drop (i32.load8_u offset=11 (local.get 3)))
///     (call $lowered (local.get 0) (local.get 1) (local.get 2) (local.get 3))
///     (if (i32.eq (memory.grow (i32.const 0)) (i32.const -1))
///       (then unreachable))))
/// ```
///
/// The first two lines: the engine checks the return area after the lowered function has run, and traps then, with the
/// base not taken in. The host is refused such an instance from then on, but not another component of its store that is
/// on the stack already. So an area that is misaligned or out of bounds traps here, before anything has changed.
///
/// The last trap: were `memory.grow 0` to fail, the base would not have been taken in. In Wasmtime 48 it does not, nor
/// is a store's limiter asked about it.
fn build() -> Vec<u8> {
    let mut module = Module::new();

    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; PARAMS], []);
    module.section(&types);

    let mut imports = ImportSection::new();
    imports.import(ARGUMENT, LOWERED, EntityType::Function(0));
    imports.import(
        ARGUMENT,
        MEMORY,
        MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None },
    );
    module.section(&imports);

    let mut functions = FunctionSection::new();
    functions.function(0);
    module.section(&functions);

    let mut exports = ExportSection::new();
    exports.export(REFRESHED, ExportKind::Func, 1);
    module.section(&exports);

    let mut body = Function::new([]);
    let mut code = body.instructions();
    code.local_get(RETURN_AREA).i32_const(RETURN_AREA_ALIGN - 1).i32_and().if_(BlockType::Empty).unreachable().end();
    let last_byte = MemArg { offset: RETURN_AREA_BYTES - 1, align: 0, memory_index: 0 };
    code.local_get(RETURN_AREA).i32_load8_u(last_byte).drop();
    for param in 0..PARAMS as u32 {
        code.local_get(param);
    }
    code.call(0).i32_const(0).memory_grow(0).i32_const(-1).i32_eq().if_(BlockType::Empty).unreachable().end().end();
    let mut codes = CodeSection::new();
    codes.function(&body);
    module.section(&codes);

    // For backtraces.
    let mut functions = NameMap::new();
    functions.append(0, LOWERED);
    functions.append(1, REFRESHED);
    let mut names = NameSection::new();
    names.module("mappable-refresh");
    names.functions(&functions);
    module.section(&names);

    module.finish()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_a_valid_module() {
        wasmparser::Validator::new().validate_all(super::module()).unwrap();
    }
}
