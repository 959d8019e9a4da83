//! The adapter, with one function more: which descriptor of WASI 0.2 it has just asked for its flags.
//!
//! A program of preview 1 knows a file by a number of its own, and the adapter has the descriptor. To map the file, the program
//! must name the descriptor to the host. Both are in one component, so a handle of the adapter's is one of the program's: what it
//! lacks is the number. It calls `fd_fdstat_get` of the file, for which the adapter calls `descriptor.get-flags`, and then the
//! new function, which returns the handle of that call. It is 0 where there was none, as for a standard stream.
//!
//! What is added knows nothing of the adapter's inside, so a newer one will do:
//!
//! ```wat
//! (global $asked (mut i32) (i32.const 0))
//! (func $get-flags (param $descriptor i32) (param $answer i32)    ;; called in place of the import
//!   (global.set $asked (local.get $descriptor))
//!   (call $imported-get-flags (local.get $descriptor) (local.get $answer)))
//! (func (export "mappable-descriptor") (result i32)
//!   (global.get $asked)
//!   (global.set $asked (i32.const 0)))
//! ```

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, Module,
    TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, ExportSectionReader, FunctionSectionReader, GlobalSectionReader, Parser, Payload, TypeRef,
    TypeSectionReader,
};

/// The name by which programs import the new function, from the adapter.
const EXPORT: &str = "mappable-descriptor";

/// The function of `wasi:filesystem/types` that the adapter imports.
const GET_FLAGS: &str = "[method]descriptor.get-flags";

/// The adapter with the function.
pub(super) fn with_descriptors(adapter: &[u8]) -> Result<Vec<u8>> {
    let mut module = Module::new();
    let mut addition = Addition::find(adapter)?;
    addition.parse_core_module(&mut module, Parser::new(0), adapter)?;
    Ok(module.finish())
}

/// What is added, by what the adapter has already.
struct Addition {
    /// The import of `get-flags`, and its type.
    get_flags: u32,
    get_flags_type: u32,
    /// How many there are: the indices of what comes next.
    types: u32,
    functions: u32,
    globals: u32,
}

impl Addition {
    fn find(adapter: &[u8]) -> Result<Self> {
        let (mut get_flags, mut types, mut functions, mut globals) = (None, 0, 0, 0);
        for payload in Parser::new(0).parse_all(adapter) {
            match payload? {
                Payload::TypeSection(section) => types = section.count(),
                Payload::FunctionSection(section) => functions += section.count(),
                Payload::GlobalSection(section) => globals += section.count(),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Func(ty) => {
                                if import.name == GET_FLAGS {
                                    get_flags = Some((functions, ty));
                                }
                                functions += 1;
                            }
                            TypeRef::Global(_) => globals += 1,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let (get_flags, get_flags_type) = get_flags.with_context(|| format!("the adapter imports no `{GET_FLAGS}`"))?;
        if functions == 0 || globals == 0 {
            bail!("the adapter has no function or no global of its own");
        }
        Ok(Self { get_flags, get_flags_type, types, functions, globals })
    }
}

type Done = Result<(), Error>;

impl Reencode for Addition {
    type Error = std::convert::Infallible;

    /// Calls of the import go to the function that is put in its place.
    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(if function == self.get_flags { self.functions } else { function })
    }

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Done {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(&mut self, functions: &mut FunctionSection, section: FunctionSectionReader<'_>) -> Done {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.get_flags_type).function(self.types);
        Ok(())
    }

    fn parse_global_section(&mut self, globals: &mut GlobalSection, section: GlobalSectionReader<'_>) -> Done {
        utils::parse_global_section(self, globals, section)?;
        let asked = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(asked, &ConstExpr::i32_const(0));
        Ok(())
    }

    fn parse_export_section(&mut self, exports: &mut ExportSection, section: ExportSectionReader<'_>) -> Done {
        utils::parse_export_section(self, exports, section)?;
        exports.export(EXPORT, ExportKind::Func, self.functions + 1);
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Done {
        utils::parse_code_section(self, code, section)?;
        let mut ask = Function::new([]);
        ask.instructions().local_get(0).global_set(self.globals).local_get(0).local_get(1).call(self.get_flags).end();
        let mut asked = Function::new([]);
        asked.instructions().global_get(self.globals).i32_const(0).global_set(self.globals).end();
        code.function(&ask).function(&asked);
        Ok(())
    }
}
