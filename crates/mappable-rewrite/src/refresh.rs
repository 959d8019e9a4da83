//! The refresh: the trusted core module that stands between a lowered swapping function and its callers.

use std::sync::LazyLock;

use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
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
///     (call $lowered (local.get 0) (local.get 1) (local.get 2) (local.get 3))
///     (if (i32.eq (memory.grow (i32.const 0)) (i32.const -1))
///       (then unreachable))))
/// ```
///
/// The trap: `memory.grow 0` fails only when a store's limiter refuses it, and then the base was not taken in.
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
