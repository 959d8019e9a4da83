//! Canonical functions, as far as they matter here.

use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, CanonicalOption, ComponentValType};

use super::component::Component;
use crate::error::{RewriteError, broken};

/// A canonical function, as far as it matters here.
pub(super) enum Canon {
    /// A lower of the function at that index, and what of its options is not supported.
    Lower(u32, Option<&'static str>),
    /// A lift that makes the function at that index.
    Lift(u32, Option<&'static str>),
    /// `resource.drop` of the type at that index.
    Drop(u32),
    /// Another of that name, about these types.
    Builtin(&'static str, Vec<u32>),
}

impl Canon {
    /// `component` has the function of a lift already.
    pub(super) fn read(
        component: &Component<'_>,
        types: TypesRef<'_>,
        canon: &CanonicalFunction,
    ) -> Result<Canon, RewriteError> {
        use CanonicalFunction as C;
        Ok(match canon {
            C::Lower { func_index, options } => Canon::Lower(*func_index, unsupported(types, options)?),
            C::Lift { options, .. } => {
                Canon::Lift((component.funcs.len() as u32).saturating_sub(1), unsupported(types, options)?)
            }
            C::ResourceDrop { resource } => Canon::Drop(*resource),
            C::TaskReturn { result, .. } => {
                let ty = result.and_then(|ty| match ty {
                    ComponentValType::Type(index) => Some(index),
                    ComponentValType::Primitive(_) => None,
                });
                Canon::Builtin("task.return", ty.into_iter().collect())
            }
            C::StreamNew { ty }
            | C::StreamRead { ty, .. }
            | C::StreamWrite { ty, .. }
            | C::StreamCancelRead { ty, .. }
            | C::StreamCancelWrite { ty, .. }
            | C::StreamDropReadable { ty }
            | C::StreamDropWritable { ty } => Canon::Builtin("stream", vec![*ty]),
            C::FutureNew { ty }
            | C::FutureRead { ty, .. }
            | C::FutureWrite { ty, .. }
            | C::FutureCancelRead { ty, .. }
            | C::FutureCancelWrite { ty, .. }
            | C::FutureDropReadable { ty }
            | C::FutureDropWritable { ty } => Canon::Builtin("future", vec![*ty]),
            // The first two are of a component's own resources alone, and no other has a component's type.
            _ => Canon::Builtin("", Vec::new()),
        })
    }
}

fn unsupported(types: TypesRef<'_>, options: &[CanonicalOption]) -> Result<Option<&'static str>, RewriteError> {
    for option in options {
        let why = match *option {
            CanonicalOption::Memory(index) => {
                if index >= types.memory_count() {
                    return Err(broken!("a canonical function names a memory that does not exist"));
                }
                let ty = types.memory_at(index);
                match (ty.memory64, ty.shared, ty.page_size_log2) {
                    (true, _, _) => "is lifted or lowered with a 64-bit memory",
                    (_, true, _) => "is lifted or lowered with a shared memory",
                    (_, _, Some(_)) => "is lifted or lowered with a memory of a custom page size",
                    _ => continue,
                }
            }
            CanonicalOption::Realloc(_) | CanonicalOption::PostReturn(_) => continue,
            CanonicalOption::UTF8 | CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => continue,
            CanonicalOption::Async | CanonicalOption::Callback(_) => "is lifted or lowered async",
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => "is lifted or lowered to garbage-collected types",
        };
        return Ok(Some(why));
    }
    Ok(None)
}
