//! `cabi_realloc` as the program has it, without what the linker puts around it.
//!
//! Where the start of a libc doesn't call constructors itself, as in Debian's wasi-libc, wasm-ld makes each export of a program one of its
//! own, which runs constructors, then the function, and then what `exit` does (`createCommandExportWrappers` in LLD's `wasm/Writer.cpp`).
//! The adapter calls `cabi_realloc` amid the first call of WASI: constructors would run within themselves, and stdio would end before the
//! first line is written.

use std::ops::Range;

use wasmparser::{
    BinaryReader, BinaryReaderError, CompositeInnerType, ExternalKind, FuncType, FunctionBody, Operator, Parser,
    Payload, TypeRef,
};

/// The names by which components' functions find it.
const NAMES: [&str; 3] = ["cabi_realloc", "cabi_import_realloc", "cabi_export_realloc"];

/// Exports the program's own functions by these names. No byte of the module moves. It must be valid.
pub(super) fn unwrap(module: &mut [u8]) -> Result<(), BinaryReaderError> {
    for (at, function) in wrapped(module)? {
        // The linker adds its functions behind the program's: a number that is less needs no more bytes.
        let mut rest = function;
        for byte in &mut module[at] {
            let goes_on = *byte & 0x80;
            *byte = goes_on | (rest & 0x7f) as u8;
            rest >>= 7;
        }
    }
    Ok(())
}

/// Where the number of each function stands that is exported by one of the names and calls another, and that other.
fn wrapped(module: &[u8]) -> Result<Vec<(Range<usize>, u32)>, BinaryReaderError> {
    let (mut found, mut functions) = (vec![], Functions::default());
    let mut exports = vec![];
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in
                    section.into_iter().flat_map(|group| group.map(|group| group.into_types()).into_iter().flatten())
                {
                    functions.types.push(match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    });
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                        functions.of.push(ty);
                    }
                }
                functions.imported = functions.of.len();
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.of.push(ty?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    if export.kind == ExternalKind::Func && NAMES.contains(&export.name) {
                        exports.push((number(module, offset)?, export.index));
                    }
                }
            }
            Payload::CodeSectionEntry(body) => functions.bodies.push(body),
            _ => {}
        }
    }
    for (at, export) in exports {
        if let Some(inner) = functions.wrapped(export)?.filter(|&inner| inner < export) {
            found.push((at, inner));
        }
    }
    Ok(found)
}

/// Where the number is in the export that begins at `offset`.
fn number(module: &[u8], offset: usize) -> Result<Range<usize>, BinaryReaderError> {
    let mut reader = BinaryReader::new(&module[offset..], offset);
    reader.read_string()?;
    reader.read_u8()?;
    let start = reader.original_position();
    reader.read_var_u32()?;
    Ok(start..reader.original_position())
}

#[derive(Default)]
struct Functions<'a> {
    types: Vec<Option<FuncType>>,
    /// The type of each, those that are imported first.
    of: Vec<u32>,
    imported: usize,
    bodies: Vec<FunctionBody<'a>>,
}

impl Functions<'_> {
    fn ty(&self, function: u32) -> Option<&FuncType> {
        self.types.get(*self.of.get(function as usize)? as usize)?.as_ref()
    }

    /// The function that this one calls, if it does nothing else but what the linker has around it.
    fn wrapped(&self, function: u32) -> Result<Option<u32>, BinaryReaderError> {
        let Some(body) = (function as usize).checked_sub(self.imported).and_then(|at| self.bodies.get(at)) else {
            return Ok(None);
        };
        let is_plain =
            |function: u32| self.ty(function).is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty());
        // Eight at the most, and one more of what is none.
        let operators = body.get_operators_reader()?.into_iter().take(9).collect::<Result<Vec<_>, _>>()?;
        let operators = match operators.as_slice() {
            [Operator::Call { function_index: constructors }, behind @ ..] if is_plain(*constructors) => behind,
            all => all,
        };
        let [
            Operator::LocalGet { local_index: 0 },
            Operator::LocalGet { local_index: 1 },
            Operator::LocalGet { local_index: 2 },
            Operator::LocalGet { local_index: 3 },
            Operator::Call { function_index: inner },
            behind @ ..,
        ] = operators
        else {
            return Ok(None);
        };
        let is_wrapper = match behind {
            [Operator::End] => true,
            [Operator::Call { function_index: exit }, Operator::End] => is_plain(*exit),
            _ => false,
        };
        Ok((is_wrapper && self.ty(*inner) == self.ty(function)).then_some(*inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `cabi_realloc` is in a program whose export of that name has this body. `$own` is function 3.
    fn exported(body: &str) -> u32 {
        let module = format!(
            r#"(module
                (import "env" "import" (func $import))
                (func $constructors) (func $exit)
                (func $own (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func $other (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func $start)
                (func $wrapper (param i32 i32 i32 i32) (result i32) {body})
                (export "_start" (func $start)) (export "cabi_realloc" (func $wrapper)))"#
        );
        let mut module = wat::parse_str(module).unwrap();
        unwrap(&mut module).unwrap();
        wasmparser::validate(&module).unwrap();
        let sections = Parser::new(0).parse_all(&module).map(Result::unwrap);
        let exports = sections.filter_map(|payload| match payload {
            Payload::ExportSection(section) => Some(section),
            _ => None,
        });
        let mut exports = exports.flatten().map(Result::unwrap);
        exports.find(|export| export.name == "cabi_realloc").unwrap().index
    }

    const GIVEN: &str = "local.get 0 local.get 1 local.get 2 local.get 3";

    #[test]
    fn what_the_linker_has_put_around_realloc_is_left_out() {
        for (before, behind) in [("", "call $exit"), ("call $constructors", "call $exit"), ("call $constructors", "")] {
            assert_eq!(exported(&format!("{before} {GIVEN} call $own {behind}")), 3, "{before} {behind}");
        }
    }

    #[test]
    fn a_realloc_that_does_anything_else_stays() {
        for body in [
            "i32.const 8",
            "local.get 1 local.get 0 local.get 2 local.get 3 call $own",
            "local.get 0 local.get 1 local.get 2 local.get 3 call $own i32.const 1 i32.add",
            "local.get 0 local.get 1 local.get 2 local.get 3 call $own call $exit call $exit",
            "call $exit call $exit local.get 0 local.get 1 local.get 2 local.get 3 call $own",
            "local.get 0 local.get 1 local.get 2 local.get 3 call $wrapper",
        ] {
            assert_eq!(exported(body), 6, "{body}");
        }
    }

    #[test]
    fn numbers_of_any_length_are_written_over() {
        // 300 functions before it: two bytes where one would do.
        let many = "(func)".repeat(300);
        let mut module = wat::parse_str(format!(
            r#"(module (func $own (param i32 i32 i32 i32) (result i32) (i32.const 0)) {many}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {GIVEN} call $own))"#
        ))
        .unwrap();
        let len = module.len();
        unwrap(&mut module).unwrap();
        wasmparser::validate(&module).unwrap();
        assert!(module.len() == len && wrapped(&module).unwrap().is_empty());
    }
}
