//! Writes a code section with preloads between the bytes that were there.

use std::ops::Range;

use wasm_encoder::{Encode, Instruction, MemArg};
use wasmparser::{BinaryReader, CodeSectionReader};

use super::{ModulePreloads, Preload};
use crate::error::RewriteError;
use crate::tree::binary::{FEATURES, get};

/// The most bytes that a preload takes.
pub(super) const MAX_PRELOAD_BYTES: usize = 16;

/// Writes the content of a code section with preloads in it.
pub(crate) fn splice(content: &[u8], found: &ModulePreloads) -> Result<Vec<u8>, RewriteError> {
    let reader = BinaryReader::new_features(content, 0, FEATURES);
    let bodies = CodeSectionReader::new(reader)?;
    let mut written = Vec::with_capacity(content.len() + found.preloads.len() * MAX_PRELOAD_BYTES);
    let mut left = found.preloads.as_slice();
    let (mut copied, mut begins) = (0, bodies.original_position());
    for body in bodies {
        let body = body?.range();
        let (here, after) = left.split_at(left.partition_point(|preload| preload.before < body.end));
        if !here.is_empty() {
            written.extend_from_slice(get(content, &(copied..begins))?);
            with_preloads(content, &body, here, found)?.as_slice().encode(&mut written);
            copied = body.end;
        }
        (left, begins) = (after, body.end);
    }
    written.extend_from_slice(get(content, &(copied..content.len()))?);
    Ok(written)
}

/// A body with these preloads.
fn with_preloads(
    content: &[u8],
    body: &Range<usize>,
    here: &[Preload],
    found: &ModulePreloads,
) -> Result<Vec<u8>, RewriteError> {
    let mut written = Vec::with_capacity(body.len() + here.len() * MAX_PRELOAD_BYTES);
    let mut copied = body.start;
    for preload in here {
        written.extend_from_slice(get(content, &(copied..preload.before))?);
        copied = preload.before;
        let address = found.addresses.get(&preload.memory).copied().unwrap_or(0);
        Instruction::I32Const(address.cast_signed()).encode(&mut written);
        Instruction::I32Load8U(MemArg { offset: 0, align: 0, memory_index: preload.memory }).encode(&mut written);
        Instruction::Drop.encode(&mut written);
    }
    written.extend_from_slice(get(content, &(copied..body.end))?);
    Ok(written)
}
