//! Finds lowers of swapping functions, and checks that a refresh behind each would be sound.

use wasmparser::types::TypesRef;
use wasmparser::{CanonicalOption, CompositeInnerType, MemoryType, ValType};

use crate::error::{LowerError, MemoryFault, RewriteError, Site, broken};
use crate::refresh;
use crate::tree::shape::{self, Marks};

/// The memory that a lower of `func` names, if `func` is marked.
///
/// `core_func` is what the lower defines, `site` says where it is.
pub(super) fn check(
    types: TypesRef<'_>,
    marks: &mut Marks,
    func: u32,
    core_func: u32,
    options: &[CanonicalOption],
    site: impl Fn() -> Site,
) -> Result<Option<(u32, MemoryType)>, RewriteError> {
    if func >= types.component_function_count() || core_func >= types.function_count() {
        return Err(broken!("a lower of or to a function that does not exist"));
    }
    let ty = types.get(types.component_function_at(func)).ok_or_else(|| broken!("a function without a type"))?;
    if !marks.is_marked(types, ty) {
        return Ok(None);
    }
    shape::check(types, ty).map_err(|fault| LowerError::WrongShape { site: site(), fault })?;
    let memory = check_options(options, &site)?;
    let memory_type = check_memory(types, memory, &site)?;
    check_core_type(types, core_func, &site)?;
    Ok(Some((memory, memory_type)))
}

/// The memory option, if there is nothing among the others that would let a guest run between the swap and the
/// refresh, or the call return before the swap.
fn check_options(options: &[CanonicalOption], site: &impl Fn() -> Site) -> Result<u32, RewriteError> {
    let mut memory = None;
    for option in options {
        let refused = match option {
            CanonicalOption::Memory(index) => {
                memory = Some(*index);
                continue;
            }
            // Never called: the results hold no list or string.
            CanonicalOption::Realloc(_) => continue,
            CanonicalOption::UTF8 | CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => {
                continue;
            }
            CanonicalOption::Async => "async",
            CanonicalOption::Callback(_) => "callback",
            CanonicalOption::PostReturn(_) => "post-return",
            CanonicalOption::CoreType(_) => "core-type",
            CanonicalOption::Gc => "gc",
        };
        return Err(LowerError::RefusedOption { site: site(), option: refused }.into());
    }
    memory.ok_or_else(|| LowerError::NoMemory { site: site() }.into())
}

fn check_memory(types: TypesRef<'_>, memory: u32, site: &impl Fn() -> Site) -> Result<MemoryType, RewriteError> {
    if memory >= types.memory_count() {
        return Err(broken!("a lower names a memory that does not exist"));
    }
    let ty = types.memory_at(memory);
    let fault = if ty.memory64 {
        MemoryFault::Memory64
    } else if ty.shared {
        MemoryFault::Shared
    } else if ty.page_size_log2.is_some() {
        MemoryFault::CustomPageSize
    } else {
        return Ok(ty);
    };
    Err(LowerError::RefusedMemory { site: site(), memory, fault }.into())
}

fn check_core_type(types: TypesRef<'_>, core_func: u32, site: &impl Fn() -> Site) -> Result<(), RewriteError> {
    let ty = types.get(types.core_function_at(core_func)).ok_or_else(|| broken!("a core function without a type"))?;
    match &ty.composite_type.inner {
        CompositeInnerType::Func(func)
            if !ty.composite_type.shared
                && func.params() == [ValType::I32; refresh::PARAMS]
                && func.results().is_empty() =>
        {
            Ok(())
        }
        _ => Err(LowerError::WrongCoreType { site: site(), found: ty.to_string() }.into()),
    }
}
