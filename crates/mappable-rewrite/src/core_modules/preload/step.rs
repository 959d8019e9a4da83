//! Classifies operators for the walk while they are decoded. Most of them mean nothing to it.

use wasmparser::{BrTable, TryTable, VisitOperator, VisitSimdOperator};

/// What an operator does.
pub(super) enum Step<'a> {
    /// Nothing that matters.
    Other,
    /// Loads from that memory, or stores to it, which has its base known.
    Access(u32),
    /// Calls, or may be a call of the engine's own, or orders accesses as those of threads do.
    Fence,
    Block,
    If,
    Loop,
    Try(TryTable),
    Else,
    End,
    /// A branch that may be taken.
    MayBranch(u32),
    /// A branch that is.
    Branch(u32),
    BranchTable(BrTable<'a>),
    /// A branch that may be taken, and a fence.
    BranchByCall(u32),
    Unreachable,
    /// Leaves the function, or throws.
    Leave,
}

/// Tells the step of each operator.
pub(super) struct Steps;

/// By an operator's proposal, and whether a memory is among its immediates.
macro_rules! step {
    (mvp Unreachable) => { Step::Unreachable };
    (mvp Block $ty:ident) => { Step::Block };
    (mvp Loop $ty:ident) => { Step::Loop };
    (mvp If $ty:ident) => { Step::If };
    (mvp Else) => { Step::Else };
    (mvp End) => { Step::End };
    (mvp Br $depth:ident) => { Step::Branch($depth) };
    (mvp BrIf $depth:ident) => { Step::MayBranch($depth) };
    (mvp BrTable $targets:ident) => { Step::BranchTable($targets) };
    (mvp Return) => { Step::Leave };
    (mvp Call $($immediate:ident)*) => { Step::Fence };
    (mvp CallIndirect $($immediate:ident)*) => { Step::Fence };
    (mvp MemoryGrow $($immediate:ident)*) => { Step::Fence };
    (exceptions TryTable $table:ident) => { Step::Try($table) };
    (exceptions Throw $tag:ident) => { Step::Leave };
    (exceptions ThrowRef) => { Step::Leave };
    (tail_call $operator:ident $($immediate:ident)*) => { Step::Leave };
    (function_references ReturnCallRef $ty:ident) => { Step::Leave };
    (function_references BrOnNull $depth:ident) => { Step::MayBranch($depth) };
    (function_references BrOnNonNull $depth:ident) => { Step::MayBranch($depth) };
    (gc BrOnCast $depth:ident $($immediate:ident)*) => { Step::BranchByCall($depth) };
    (gc BrOnCastFail $depth:ident $($immediate:ident)*) => { Step::BranchByCall($depth) };
    (mvp $operator:ident $($immediate:ident)*) => { step!(@by [$($immediate)*] $($immediate)*) };
    (simd $operator:ident $($immediate:ident)*) => { step!(@by [$($immediate)*] $($immediate)*) };
    (relaxed_simd $operator:ident $($immediate:ident)*) => { Step::Other };
    (sign_extension $operator:ident $($immediate:ident)*) => { Step::Other };
    (saturating_float_to_int $operator:ident $($immediate:ident)*) => { Step::Other };
    (wide_arithmetic $operator:ident $($immediate:ident)*) => { Step::Other };
    ($others:ident $operator:ident $($immediate:ident)*) => { Step::Fence };
    (@by [memarg $($more:ident)*] $memarg:ident $($rest:ident)*) => { Step::Access($memarg.memory) };
    (@by $($rest:tt)*) => { Step::Other };
}

macro_rules! visit {
    ($(
        @$proposal:ident $operator:ident $({ $($field:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*)
    )*) => { $(
        fn $visit(&mut self $($(, $field: $ty)*)?) -> Step<'a> {
            step!($proposal $operator $($($field)*)?)
        }
    )* };
}

#[allow(unused_variables, reason = "most immediates are not looked at")]
impl<'a> VisitOperator<'a> for Steps {
    type Output = Step<'a>;

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = Step<'a>>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(visit);
}

#[allow(unused_variables, reason = "most immediates are not looked at")]
impl<'a> VisitSimdOperator<'a> for Steps {
    wasmparser::for_each_visit_simd_operator!(visit);
}
