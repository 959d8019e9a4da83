//! What makes a function a module of tests, one for each [`Setup`](super::Setup).

/// The tests of a rule, one for each of [`Setup::BASELINE`](super::Setup::BASELINE).
#[macro_export]
macro_rules! baseline_tests {
    ($rule:ident) => {
        #[test]
        fn swap() {
            $rule(Setup::Swap)
        }
        #[test]
        fn swap_concurrent() {
            $rule(Setup::SwapConcurrent)
        }
        #[test]
        fn remap() {
            $rule(Setup::Remap)
        }
        #[test]
        fn remap_concurrent() {
            $rule(Setup::RemapConcurrent)
        }
        #[test]
        fn fixed_memory() {
            $rule(Setup::Fixed)
        }
        #[test]
        fn no_views() {
            $rule(Setup::NoViews)
        }
        #[test]
        fn few_views() {
            $rule(Setup::FewViews)
        }
        #[test]
        fn copy() {
            $rule(Setup::Copy)
        }
    };
}
pub use crate::baseline_tests;

/// The tests of a rule, one for each setup in which the host passes regions itself.
#[macro_export]
macro_rules! crossing_tests {
    ($rule:ident) => {
        #[test]
        fn ledger_crossing() {
            $rule(Setup::LedgerCrossing)
        }
        #[test]
        fn ledger_crossing_remap() {
            $rule(Setup::LedgerCrossingRemap)
        }
    };
}
pub use crate::crossing_tests;

/// The tests of a rule, one for each of [`Setup::LEDGER`](super::Setup::LEDGER).
#[macro_export]
macro_rules! ledger_tests {
    ($rule:ident) => {
        #[test]
        fn ledger_swap() {
            $rule(Setup::LedgerSwap)
        }
        #[test]
        fn ledger_swap_concurrent() {
            $rule(Setup::LedgerSwapConcurrent)
        }
        #[test]
        fn ledger_remap() {
            $rule(Setup::LedgerRemap)
        }
        #[test]
        fn ledger_fixed_memory() {
            $rule(Setup::LedgerFixed)
        }
        #[test]
        fn ledger_no_views() {
            $rule(Setup::LedgerNoViews)
        }
        #[test]
        fn ledger_few_views() {
            $rule(Setup::LedgerFewViews)
        }
        #[test]
        fn ledger_copy() {
            $rule(Setup::LedgerCopy)
        }
        $crate::crossing_tests!($rule);
    };
}
pub use crate::ledger_tests;

/// Makes each rule a module of tests, one for each [`Setup`](super::Setup).
#[macro_export]
macro_rules! on_every_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::baseline_tests!(rule);
            $crate::ledger_tests!(rule);
        }
    )* };
}
pub use crate::on_every_setup;

/// The same for rules that need an open component, one which hands the host mappings itself, and what is lent.
#[macro_export]
macro_rules! on_every_baseline_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::baseline_tests!(rule);
        }
    )* };
}
pub use crate::on_every_baseline_setup;

/// The same for rules in which the host gives regions and references itself, and takes them.
#[macro_export]
macro_rules! on_every_open_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::baseline_tests!(rule);
            $crate::crossing_tests!(rule);
        }
    )* };
}
pub use crate::on_every_open_setup;

/// The same for rules that need a closed one.
#[macro_export]
macro_rules! on_every_ledger_setup {
    ($($(#[$meta:meta])* fn $rule:ident($setup:ident) $body:block)*) => { $(
        mod $rule {
            use super::*;
            $(#[$meta])*
            fn rule($setup: Setup) $body
            $crate::ledger_tests!(rule);
        }
    )* };
}
pub use crate::on_every_ledger_setup;
