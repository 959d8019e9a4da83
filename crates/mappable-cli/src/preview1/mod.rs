//! Core modules, as compilers of C make them, as components: programs of WASI preview 1 and libraries, which may use it, by the
//! adapters that Wasmtime's authors publish.

mod adapter;
mod realloc;

use anyhow::{Result, ensure};
use wasi_preview1_component_adapter_provider as provider;
use wasmparser::{ExternalKind, Parser, Payload, Validator};
use wit_component::ComponentEncoder;

use crate::failure::{Exit, fail};
use crate::world;

/// The component that a core module becomes. What is a component is as it is, and so is what is neither, for others to refuse.
pub(crate) fn component(bytes: Vec<u8>) -> Result<Vec<u8>> {
    core_module(&bytes).map_or(Ok(bytes), program)
}

/// A core module, in binary or text; `None` for all else.
pub(crate) fn core_module(bytes: &[u8]) -> Option<Vec<u8>> {
    let module = wat::parse_bytes(bytes).ok()?;
    Parser::is_core_wasm(&module).then(|| module.into_owned())
}

/// What to do with a library, which has no `main`.
const LIBRARY: &str = "for a library name its world, by `mappable component --world` (and --wit)";

/// Refuses what is no WebAssembly and no text.
pub(crate) fn binary_or_text(bytes: &[u8]) -> Result<()> {
    let is_either = bytes.starts_with(b"\0asm") || std::str::from_utf8(bytes).is_ok();
    if is_either { Ok(()) } else { Err(fail(Exit::Load, "not a component: neither binary nor text")) }
}

/// The component that a program becomes.
pub(crate) fn program(mut module: Vec<u8>) -> Result<Vec<u8>> {
    let mut make = || {
        // What reads it takes that for granted.
        Validator::new().validate_all(&module)?;
        ensure!(begins(&module), "it exports no function `_start`; {LIBRARY}");
        realloc::unwrap(&mut module)?;
        world::write_if_missing(&mut module)?;
        adapt(&module, provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)
    };
    make().map_err(|error| fail(Exit::Load, format!("a core module, but no WASI program: {error:#}")))
}

/// The component that a library becomes, which says what world it is of.
pub(crate) fn library(module: &[u8]) -> Result<Vec<u8>> {
    let made = Validator::new().validate_all(module).map_err(anyhow::Error::from);
    made.and_then(|_| adapt(module, provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER))
        .map_err(|error| fail(Exit::Load, format!("a core module, but not of that world: {error:#}")))
}

/// Whether it has a function to begin with.
pub(crate) fn begins(module: &[u8]) -> bool {
    let payloads = Parser::new(0).parse_all(module).map_while(Result::ok);
    let exports = payloads.filter_map(|payload| match payload {
        Payload::ExportSection(exports) => Some(exports),
        _ => None,
    });
    exports.flatten().flatten().any(|export| export.name == "_start" && export.kind == ExternalKind::Func)
}

/// The adapter is left out where nothing of it is imported.
fn adapt(module: &[u8], adapter: &[u8]) -> Result<Vec<u8>> {
    let adapter = adapter::with_descriptors(adapter)?;
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .adapter(provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, &adapter)?
        .encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "mappable-descriptor" (func $descriptor (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          (drop (call $stat (i32.const 1) (i32.const 0)))
          (drop (call $descriptor))))"#;

    /// What becomes of a module, in binary or text; `None` if it is none.
    fn encode(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        core_module(bytes).map(program).transpose()
    }

    #[test]
    fn what_becomes_of_a_module_is_valid() {
        let component = encode(PROGRAM.as_bytes()).unwrap().unwrap();
        Validator::new().validate_all(&component).unwrap();
        assert!(encode(&component).unwrap().is_none());
        assert!(encode(b"(component)").unwrap().is_none());
        assert!(encode(b"neither").unwrap().is_none());
    }

    #[test]
    fn each_adapter_that_asks_for_flags_has_the_function() {
        for adapter in
            [provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER]
        {
            Validator::new().validate_all(&adapter::with_descriptors(adapter).unwrap()).unwrap();
        }
        // It has no files.
        let refused = adapter::with_descriptors(provider::WASI_SNAPSHOT_PREVIEW1_PROXY_ADAPTER).unwrap_err();
        assert!(refused.to_string().contains("descriptor.get-flags"), "{refused}");
    }

    #[test]
    fn a_damaged_module_is_refused_or_makes_a_valid_component() {
        let module = wat::parse_str(PROGRAM).unwrap();
        let mut refused = 0;
        for at in 0..module.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut damaged = module.clone();
                damaged[at] ^= bits;
                match encode(&damaged) {
                    Ok(Some(component)) => {
                        Validator::new().validate_all(&component).unwrap();
                    }
                    Ok(None) => {}
                    Err(_) => refused += 1,
                }
            }
            let _ = encode(&module[..at]);
        }
        assert!(refused > module.len(), "{refused} of {}", module.len());
    }
}
