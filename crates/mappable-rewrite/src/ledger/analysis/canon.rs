//! Canonical functions, as far as they matter here.

use wasmparser::component_types::{
    ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentValType as ValType,
};
use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, CanonicalOption, ComponentValType};

use super::component::Component;
use crate::error::{RewriteError, broken};

/// A canonical function, as far as it matters here.
pub(super) enum Canon {
    /// A lower of the function at that index.
    Lower(u32, Options),
    /// A lift that makes the function at that index.
    Lift(u32, Options),
    /// `resource.drop` of the type at that index.
    Drop(u32),
    /// One that gives a value of a type to the engine: for `task.return` that at the index, for the others what a stream or
    /// future of that type carries.
    Give(Give, u32, Options),
    /// Another one, that is about the type at that index.
    About(u32),
    Other,
}

/// What gives values to the engine by itself.
#[derive(Clone, Copy)]
pub(super) enum Give {
    TaskReturn,
    StreamWrite,
    FutureWrite,
}

/// The options of a canonical function.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Options {
    pub(super) is_async: bool,
    /// What of them no wrapper is for, other than that.
    pub(super) unsupported: Option<&'static str>,
}

impl Options {
    /// Why a function that is lifted or lowered with them is not closed.
    pub(super) fn opening(self) -> Option<&'static str> {
        self.unsupported.or(self.is_async.then_some("is lifted or lowered async"))
    }
}

impl Canon {
    /// The type that it is about, if it is one of values, and that of what it gives to the engine, if there may be handles
    /// in that.
    pub(super) fn values(
        &self,
        component: &Component<'_>,
        types: TypesRef<'_>,
    ) -> (Option<ComponentDefinedTypeId>, Option<ComponentDefinedTypeId>) {
        let (give, ty) = match *self {
            Canon::Give(give, ty, _) => (Some(give), ty),
            Canon::About(ty) => (None, ty),
            _ => return (None, None),
        };
        let about = component.defined(ty);
        let given = match (give, about.and_then(|id| types.get(id))) {
            (None, _) => None,
            (Some(Give::StreamWrite), Some(Defined::Stream { ty, .. }))
            | (Some(Give::FutureWrite), Some(Defined::Future { ty, .. })) => match ty {
                Some(ValType::Type(id)) => Some(*id),
                _ => None,
            },
            (Some(_), _) => about,
        };
        (about, given)
    }

    /// `component` has the function of a lift already.
    pub(super) fn read(
        component: &Component<'_>,
        types: TypesRef<'_>,
        canon: &CanonicalFunction,
    ) -> Result<Canon, RewriteError> {
        use CanonicalFunction as C;
        Ok(match canon {
            C::Lower { func_index, options } => Canon::Lower(*func_index, options_of(types, options)?),
            C::Lift { options, .. } => {
                Canon::Lift((component.funcs.len() as u32).saturating_sub(1), options_of(types, options)?)
            }
            C::ResourceDrop { resource } => Canon::Drop(*resource),
            C::TaskReturn { result: Some(ComponentValType::Type(ty)), options } => {
                Canon::Give(Give::TaskReturn, *ty, options_of(types, options)?)
            }
            C::StreamWrite { ty, options } => Canon::Give(Give::StreamWrite, *ty, options_of(types, options)?),
            C::FutureWrite { ty, options } => Canon::Give(Give::FutureWrite, *ty, options_of(types, options)?),
            C::StreamNew { ty }
            | C::StreamRead { ty, .. }
            | C::StreamCancelRead { ty, .. }
            | C::StreamCancelWrite { ty, .. }
            | C::StreamDropReadable { ty }
            | C::StreamDropWritable { ty }
            | C::FutureNew { ty }
            | C::FutureRead { ty, .. }
            | C::FutureCancelRead { ty, .. }
            | C::FutureCancelWrite { ty, .. }
            | C::FutureDropReadable { ty }
            | C::FutureDropWritable { ty } => Canon::About(*ty),
            // The first two are of a component's own resources alone, and no other has a component's type.
            _ => Canon::Other,
        })
    }
}

fn options_of(types: TypesRef<'_>, options: &[CanonicalOption]) -> Result<Options, RewriteError> {
    let mut read = Options::default();
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
            CanonicalOption::Async | CanonicalOption::Callback(_) => {
                read.is_async = true;
                continue;
            }
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => "is lifted or lowered to garbage-collected types",
        };
        read.unsupported.get_or_insert(why);
    }
    Ok(read)
}
