//! Programs of WASI preview 1, which are core modules, as what compilers of C make: each becomes a component, by the adapter
//! that Wasmtime's authors publish.

mod adapter;

use anyhow::{Result, anyhow};
use wasi_preview1_component_adapter_provider as provider;
use wasmparser::{ExternalKind, Parser, Payload};
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
    let component = if begins(&module) { adapt(&module) } else { Err(anyhow!("it exports no function `_start`")) };
    component.map(Some).map_err(|error| fail(Exit::Load, format!("a core module, but no WASI program: {error:#}")))
}

/// Whether it has a function to begin with. What is wrong with it otherwise is found later.
fn begins(module: &[u8]) -> bool {
    let payloads = Parser::new(0).parse_all(module).map_while(Result::ok);
    let exports = payloads.filter_map(|payload| match payload {
        Payload::ExportSection(exports) => Some(exports),
        _ => None,
    });
    exports.flatten().flatten().any(|export| export.name == "_start" && export.kind == ExternalKind::Func)
}

fn adapt(module: &[u8]) -> Result<Vec<u8>> {
    let adapter = adapter::with_descriptors(provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?;
    ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .adapter(provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, &adapter)?
        .encode()
}
