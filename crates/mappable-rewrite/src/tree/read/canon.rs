//! Canonical functions: which core functions they use, and which of them leave the component.

use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, CanonicalOption, CompositeInnerType, FuncType};

use super::facts::{ComponentFacts, FuncUser, Lift};
use crate::error::{RewriteError, broken};

/// Notes the core functions that a canonical function names.
pub(super) fn note_used(
    types: TypesRef<'_>,
    facts: &mut ComponentFacts<'_>,
    canon: &CanonicalFunction,
) -> Result<(), RewriteError> {
    for option in options(canon) {
        if let CanonicalOption::Realloc(func) | CanonicalOption::PostReturn(func) = *option {
            let ty = core_func_type(types, func)?;
            facts.called_back.entry(func).or_insert_with(|| ty.clone());
        }
        match *option {
            CanonicalOption::Realloc(func) | CanonicalOption::PostReturn(func) | CanonicalOption::Callback(func) => {
                facts.use_func(func, FuncUser::Option);
            }
            CanonicalOption::UTF8
            | CanonicalOption::UTF16
            | CanonicalOption::CompactUTF16
            | CanonicalOption::Memory(_)
            | CanonicalOption::Async
            | CanonicalOption::CoreType(_)
            | CanonicalOption::Gc => {}
        }
    }
    if let CanonicalFunction::Lift { core_func_index, .. } = *canon {
        facts.use_func(core_func_index, FuncUser::Lift);
    }
    Ok(())
}

/// A lift, which is that canonical function.
pub(super) fn lift(canon: u32, func: u32, options: &[CanonicalOption]) -> Lift {
    let mut lift = Lift { canon, func, memory: None, realloc: None };
    for option in options {
        match *option {
            CanonicalOption::Memory(memory) => lift.memory = Some(memory),
            CanonicalOption::Realloc(func) => lift.realloc = Some(func),
            _ => {}
        }
    }
    lift
}

/// Notes what the core function does that a canonical function defines.
pub(super) fn note_defined(
    types: TypesRef<'_>,
    facts: &mut ComponentFacts<'_>,
    canon: &CanonicalFunction,
    core_func: u32,
) -> Result<(), RewriteError> {
    if let CanonicalFunction::ContextGet { slot, .. } | CanonicalFunction::ContextSet { slot, .. } = *canon {
        facts.slots.insert(slot);
    }
    if leaves(canon) {
        facts.leaving.insert(core_func, core_func_type(types, core_func)?.clone());
    }
    Ok(())
}

/// Whether a canonical function that makes a core function leaves the component: all do but those that the canonical
/// ABI, and the engine, allow where leaving is forbidden. What is not known here leaves.
fn leaves(canon: &CanonicalFunction) -> bool {
    use CanonicalFunction as C;
    !matches!(
        canon,
        C::ContextGet { .. } | C::ContextSet { .. } | C::ResourceRep { .. } | C::BackpressureInc | C::BackpressureDec
    )
}

/// The type of a core function.
fn core_func_type(types: TypesRef<'_>, func: u32) -> Result<&FuncType, RewriteError> {
    if func >= types.function_count() {
        return Err(broken!("a core function is named that does not exist"));
    }
    match types.get(types.core_function_at(func)).map(|ty| &ty.composite_type.inner) {
        Some(CompositeInnerType::Func(ty)) => Ok(ty),
        _ => Err(broken!("a core function without a type")),
    }
}

/// The canonical options of any canonical function.
pub(crate) fn options(canon: &CanonicalFunction) -> &[CanonicalOption] {
    use CanonicalFunction as Canon;
    match canon {
        Canon::Lift { options, .. }
        | Canon::Lower { options, .. }
        | Canon::TaskReturn { options, .. }
        | Canon::StreamRead { options, .. }
        | Canon::StreamWrite { options, .. }
        | Canon::FutureRead { options, .. }
        | Canon::FutureWrite { options, .. }
        | Canon::ErrorContextNew { options }
        | Canon::ErrorContextDebugMessage { options } => options,
        // Listed, so that a kind that is new to wasmparser doesn't compile until it has been thought of. None of
        // these names a core function.
        Canon::ResourceNew { .. }
        | Canon::ResourceDrop { .. }
        | Canon::ResourceRep { .. }
        | Canon::ThreadSpawnRef { .. }
        | Canon::ThreadSpawnIndirect { .. }
        | Canon::ThreadAvailableParallelism
        | Canon::BackpressureInc
        | Canon::BackpressureDec
        | Canon::TaskCancel
        | Canon::ContextGet { .. }
        | Canon::ContextSet { .. }
        | Canon::ThreadYield { .. }
        | Canon::SubtaskDrop
        | Canon::SubtaskCancel { .. }
        | Canon::StreamNew { .. }
        | Canon::StreamCancelRead { .. }
        | Canon::StreamCancelWrite { .. }
        | Canon::StreamDropReadable { .. }
        | Canon::StreamDropWritable { .. }
        | Canon::FutureNew { .. }
        | Canon::FutureCancelRead { .. }
        | Canon::FutureCancelWrite { .. }
        | Canon::FutureDropReadable { .. }
        | Canon::FutureDropWritable { .. }
        | Canon::ErrorContextDrop
        | Canon::WaitableSetNew
        | Canon::WaitableSetWait { .. }
        | Canon::WaitableSetPoll { .. }
        | Canon::WaitableSetDrop
        | Canon::WaitableJoin
        | Canon::ThreadIndex
        | Canon::ThreadNewIndirect { .. }
        | Canon::ThreadResumeLater
        | Canon::ThreadSuspend { .. }
        | Canon::ThreadSuspendThenResume { .. }
        | Canon::ThreadYieldThenResume { .. }
        | Canon::ThreadSuspendThenPromote { .. }
        | Canon::ThreadYieldThenPromote { .. } => &[],
    }
}
