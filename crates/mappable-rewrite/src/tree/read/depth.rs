//! Limits how deep types are nested, without recursion.
//!
//! The engine's parser reads a type within a type by calling itself, before anything limits how deep that goes: a
//! component of a few kilobytes exhausts the stack, and with it the process. So type sections are walked here first.
//! No valid component is refused for it: the validator's own limit is as low, but checked too late.

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentImport, ComponentType, ComponentTypeRef,
    ComponentTypeSectionReader, CoreType, InstanceTypeDeclaration,
};

use super::MAX_DEPTH;
use crate::error::{ReadError, RewriteError};
use crate::tree::binary::FEATURES;

/// The leading byte of a component's type, which holds declarations.
const COMPONENT_TYPE: u8 = 0x41;
/// The leading byte of an instance's type, which holds declarations too.
const INSTANCE_TYPE: u8 = 0x42;

/// Refuses a type section of `file` with types that are nested too deeply.
pub(super) fn check(file: &[u8], section: &ComponentTypeSectionReader<'_>) -> Result<(), RewriteError> {
    let range = section.range();
    let offset = range.start;
    // A section that reaches behind the file is none: the parser has looked.
    let Some(data) = file.get(range) else {
        return Ok(());
    };
    let mut reader = BinaryReader::new_features(data, offset, FEATURES);
    walk(&mut reader)?
}

fn walk(reader: &mut BinaryReader<'_>) -> wasmparser::Result<Result<(), RewriteError>> {
    // How many declarations are still to come, on each level. On the outermost level they are bare types.
    let mut levels = vec![reader.read_var_u32()?];
    while let Some(left) = levels.last_mut() {
        if *left == 0 {
            levels.pop();
            continue;
        }
        *left -= 1;
        if levels.len() > 1 && !declares_type(reader)? {
            continue;
        }
        match first_byte(reader) {
            Some(COMPONENT_TYPE | INSTANCE_TYPE) => {
                if levels.len() > MAX_DEPTH {
                    return Ok(Err(ReadError::TooDeep { limit: MAX_DEPTH }.into()));
                }
                reader.read_u8()?;
                levels.push(reader.read_var_u32()?);
            }
            // All others hold types by index alone.
            _ => {
                reader.read::<ComponentType<'_>>()?;
            }
        }
    }
    Ok(Ok(()))
}

/// Reads a declaration up to the type that it declares, or all of it if it declares none.
fn declares_type(reader: &mut BinaryReader<'_>) -> wasmparser::Result<bool> {
    match first_byte(reader) {
        Some(0x00) => {
            reader.read_u8()?;
            reader.read::<CoreType<'_>>()?;
        }
        Some(0x01) => {
            reader.read_u8()?;
            return Ok(true);
        }
        Some(0x02) => {
            reader.read_u8()?;
            reader.read::<ComponentAlias<'_>>()?;
        }
        Some(0x03) => {
            reader.read_u8()?;
            reader.read::<ComponentImport<'_>>()?;
        }
        Some(0x04) => {
            reader.read_u8()?;
            reader.read::<ComponentExternName<'_>>()?;
            reader.read::<ComponentTypeRef>()?;
        }
        // No declaration, and the parser says so: it goes no deeper by this byte.
        _ => {
            reader.read::<InstanceTypeDeclaration<'_>>()?;
        }
    }
    Ok(false)
}

fn first_byte(reader: &BinaryReader<'_>) -> Option<u8> {
    reader.clone().read_u8().ok()
}
