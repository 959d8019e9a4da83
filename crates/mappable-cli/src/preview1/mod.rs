//! Programs of WASI preview 1, which are core modules, as what compilers of C make: each becomes a component, by the adapter
//! that Wasmtime's authors publish.

mod adapter;

use anyhow::{Result, ensure};
use wasi_preview1_component_adapter_provider as provider;
use wasmparser::{ExternalKind, Parser, Payload, Validator};
use wit_component::ComponentEncoder;

use crate::failure::{Exit, fail};

/// The component that a core module becomes. What is a component is as it is, and so is what is neither, for others to refuse.
pub(crate) fn component(bytes: Vec<u8>) -> Result<Vec<u8>> {
    Ok(encode(&bytes)?.unwrap_or(bytes))
}

/// The component that a core module becomes, in binary or text; `None` for all else.
pub(crate) fn encode(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let Ok(module) = wat::parse_bytes(bytes) else { return Ok(None) };
    if !Parser::is_core_wasm(&module) {
        return Ok(None);
    }
    adapt(&module).map(Some).map_err(|error| fail(Exit::Load, format!("a core module, but no WASI program: {error:#}")))
}

/// Whether it has a function to begin with.
fn begins(module: &[u8]) -> bool {
    let payloads = Parser::new(0).parse_all(module).map_while(Result::ok);
    let exports = payloads.filter_map(|payload| match payload {
        Payload::ExportSection(exports) => Some(exports),
        _ => None,
    });
    exports.flatten().flatten().any(|export| export.name == "_start" && export.kind == ExternalKind::Func)
}

fn adapt(module: &[u8]) -> Result<Vec<u8>> {
    // What makes the component takes that for granted.
    Validator::new().validate_all(module)?;
    ensure!(begins(module), "it exports no function `_start`");
    let adapter = adapter::with_descriptors(provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?;
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
