//! The binary format: the features that are accepted, and the sections of a module or component.

use std::ops::Range;

use wasm_encoder::{Encode, Module};
use wasmparser::{BinaryReader, Parser, WasmFeatures};

use crate::error::{RewriteError, broken};

/// All that some configuration of Wasmtime 48 takes (`features_known_to_wasmtime` in its `config.rs`): what is not
/// valid with these, no engine of ours runs.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM3
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::COMPONENT_MODEL)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_MAP)
    .union(WasmFeatures::CM64)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
    .union(WasmFeatures::CM_IMPLEMENTS);

/// A parser of what is valid with [`FEATURES`].
pub(crate) fn parser() -> Parser {
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    parser
}

/// A section of a module or component. Ranges are of the bytes that it lies in.
pub(crate) struct Found {
    pub(crate) id: u8,
    /// With its header.
    pub(crate) whole: Range<usize>,
    pub(crate) content: Range<usize>,
}

/// The sections behind the header.
pub(crate) fn sections(bytes: &[u8]) -> Result<Vec<Found>, RewriteError> {
    let mut reader = BinaryReader::new_features(bytes, 0, FEATURES);
    reader.read_bytes(Module::HEADER.len())?;
    let mut found = vec![];
    while !reader.eof() {
        let start = reader.current_position();
        let id = reader.read_u8()?;
        let len = reader.read_var_u32()?;
        let content = reader.current_position();
        reader.read_bytes(len as usize)?;
        let end = reader.current_position();
        found.push(Found { id, whole: start..end, content: content..end });
    }
    Ok(found)
}

pub(crate) fn get<'a>(bytes: &'a [u8], range: &Range<usize>) -> Result<&'a [u8], RewriteError> {
    bytes.get(range.clone()).ok_or_else(|| broken!("a section that is behind the end"))
}

/// A section with this id and content.
pub(crate) fn with_header(id: u8, content: &[u8]) -> Vec<u8> {
    let mut section = vec![id];
    content.encode(&mut section);
    section
}
