//! The code section with anchors in it: the bytes of the one before, with theirs in between.

use std::ops::Range;

use wasm_encoder::{Encode, Instruction, MemArg};
use wasmparser::{BinaryReader, CodeSectionReader};

use super::{Anchor, ModuleAnchors};
use crate::error::RewriteError;
use crate::tree::binary::FEATURES;
use crate::tree::binary::get;

/// The most bytes that an anchor takes.
pub(super) const MAX_ANCHOR_BYTES: usize = 16;

/// Writes the content of a code section with anchors in it.
pub(crate) fn splice(content: &[u8], found: &ModuleAnchors) -> Result<Vec<u8>, RewriteError> {
    let reader = BinaryReader::new_features(content, 0, FEATURES);
    let bodies = CodeSectionReader::new(reader).map_err(RewriteError::Invalid)?;
    let mut written = Vec::with_capacity(content.len() + found.anchors.len() * MAX_ANCHOR_BYTES);
    let mut left = found.anchors.as_slice();
    let (mut copied, mut begins) = (0, bodies.original_position());
    for body in bodies {
        let body = body.map_err(RewriteError::Invalid)?.range();
        let (here, after) = left.split_at(left.partition_point(|anchor| anchor.before < body.end));
        if !here.is_empty() {
            written.extend_from_slice(get(content, &(copied..begins))?);
            with_anchors(content, &body, here, found)?.as_slice().encode(&mut written);
            copied = body.end;
        }
        (left, begins) = (after, body.end);
    }
    written.extend_from_slice(get(content, &(copied..content.len()))?);
    Ok(written)
}

/// A body with these anchors.
fn with_anchors(
    content: &[u8],
    body: &Range<usize>,
    here: &[Anchor],
    found: &ModuleAnchors,
) -> Result<Vec<u8>, RewriteError> {
    let mut written = Vec::with_capacity(body.len() + here.len() * MAX_ANCHOR_BYTES);
    let mut copied = body.start;
    for anchor in here {
        written.extend_from_slice(get(content, &(copied..anchor.before))?);
        copied = anchor.before;
        let address = found.addresses.get(&anchor.memory).copied().unwrap_or(0);
        Instruction::I32Const(address.cast_signed()).encode(&mut written);
        Instruction::I32Load8U(MemArg { offset: 0, align: 0, memory_index: anchor.memory }).encode(&mut written);
        Instruction::Drop.encode(&mut written);
    }
    written.extend_from_slice(get(content, &(copied..body.end))?);
    Ok(written)
}
