//! The report on a component: plain data, for people and for the command.

use wasmparser::Instance;

use crate::core_modules::patch::Patched;
use crate::error::{RewriteError, broken};
use crate::gate;
use crate::ledger::analysis::{Analysis, CanonRole};
use crate::ledger::function::{FunctionReport, Route};
use crate::ledger::obstacle::Obstacle;
use crate::path::ComponentPath;
use crate::tree::read::{ComponentFacts, Lower};
use crate::tree::types::{MemoryType, ModuleReport};

/// What is in a component, and what rewriting does to it. Indices are those of the component as given, before any
/// rewriting, save where a field says otherwise.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Each component of the tree, outermost first, in the order in which they begin.
    pub components: Vec<ComponentReport>,
    /// The outermost component's imports of our package.
    pub gated_imports: Vec<GatedImport>,
    /// The tier in which it can run.
    pub tier: TierReport,
}

/// The tier in which a tree can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierReport {
    /// Its handles can be kept, and its lists passed, by the ledger.
    Ledger {
        /// How many of its lifts and lowers would get a wrapper, those of the package's functions aside.
        wrapped: usize,
        /// How many of its canonical functions give handles to the engine: functions that go its way, and streams.
        crossing: usize,
        /// How many of its lowers are of the package's functions and take or give handles.
        builtins: usize,
    },
    /// The engine keeps its handles, and refreshes follow its maps.
    Baseline {
        /// What stands in the way of the ledger. None if there is nothing that the ledger could do for it.
        obstacle: Option<Obstacle>,
    },
}

impl Default for TierReport {
    fn default() -> Self {
        TierReport::Baseline { obstacle: None }
    }
}

impl TierReport {
    pub(crate) fn ledger(analysis: &Analysis) -> Self {
        let count = |of: fn(&CanonRole) -> bool| analysis.roles().filter(|role| of(role)).count();
        TierReport::Ledger {
            wrapped: count(|role| matches!(role, CanonRole::Lower { .. } | CanonRole::Lift { .. })),
            crossing: count(|role| matches!(role, CanonRole::Crossing(_))),
            builtins: count(|role| matches!(role, CanonRole::Builtin { .. })),
        }
    }
}

impl Report {
    /// All marked lowers of the tree, each with the component that holds it. [The first example](crate) counts them.
    pub fn lowers(&self) -> impl Iterator<Item = (&ComponentReport, &LowerReport)> {
        self.components.iter().flat_map(|component| component.lowers.iter().map(move |lower| (component, lower)))
    }

    /// Whether the tree calls any swapping function, or imports our package. [The first example](crate) asks.
    pub fn maps(&self) -> bool {
        !self.gated_imports.is_empty() || self.lowers().next().is_some()
    }
}

/// A root import of our package.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatedImport {
    /// Its name, as given.
    pub name: String,
}

/// One component of the tree.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ComponentReport {
    /// Where it is.
    pub path: ComponentPath,
    /// Its name, where it has a `component-name` section that says so.
    pub name: Option<String>,
    /// Its lowers of swapping functions.
    pub lowers: Vec<LowerReport>,
    /// The core modules that it defines.
    pub modules: Vec<ModuleReport>,
    /// The functions that it lifts and lowers, in order, if the tier was to be chosen ([`Tier::Auto`](crate::Tier::Auto))
    /// or forced to the ledger's, and the tree was followed to its end.
    pub functions: Vec<FunctionReport>,
}

/// A lower of a swapping function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LowerReport {
    /// Which of the component's canonical functions it is.
    pub canon: u32,
    /// The core function that it defines.
    pub core_func: u32,
    /// What the lowered function was imported or aliased as, such as
    /// `mappable:memory/types@0.1.0#[static]mappable.map`, where that is known.
    pub function: Option<String>,
    /// The memory that it acts on.
    pub memory: NamedMemory,
    /// Where its refresh is.
    pub refresh: RefreshReport,
}

/// A memory that a lower names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedMemory {
    /// The core memory, in the component's index space.
    pub index: u32,
    /// The core instance that exports it: the one whose memory is mapped into.
    pub core_instance: u32,
    /// The module that this instance is of, where it is an instance of one.
    pub module: Option<u32>,
    /// The export's name.
    pub export: String,
    /// Its type.
    pub ty: MemoryType,
}

/// Where the refresh of a lower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshReport {
    /// It was there already: the core instance that is it.
    Present {
        /// Index of the refresh's instance in the component as given.
        core_instance: u32,
    },
    /// There is none: the ledger's wrapper does its work.
    Ledger,
    /// It was, or would be, put in.
    Inserted {
        /// Index of the refresh's instance in the rewritten component.
        core_instance: u32,
        /// Index of the function to call in the rewritten component.
        core_func: u32,
    },
}

/// Puts together what was read and what is to be done. `refresh` says where a lower's refresh is: of the component with
/// this number, its so-manieth.
pub(crate) fn report(
    patched: &Patched<'_, '_>,
    tier: TierReport,
    mut functions: Vec<Vec<FunctionReport>>,
    refresh: impl Fn(usize, usize, &Lower) -> Option<RefreshReport>,
) -> Result<Report, RewriteError> {
    let facts = patched.facts();
    if let TierReport::Baseline { .. } = tier {
        // What could go by the ledger doesn't.
        let functions = functions.iter_mut().flatten();
        for function in functions {
            match &function.route {
                Route::Ledger => function.route = Route::Baseline { why: None },
                Route::Crossing { why } => function.route = Route::Baseline { why: Some(why.clone()) },
                Route::Engine { .. } | Route::Baseline { .. } => {}
            }
        }
    }
    functions.resize_with(facts.components.len(), Vec::new);
    let components = facts.components.iter().zip(functions).enumerate().map(|(number, (facts, functions))| {
        let lowers = facts.lowers.iter().enumerate().map(|(nth, lower)| {
            let refresh = refresh(number, nth, lower).ok_or_else(|| broken!("a lower has no refresh planned"))?;
            lower_report(facts, lower, refresh)
        });
        let modules = facts.modules.iter().zip(&facts.module_memories).enumerate();
        let modules = modules.map(|(place, (module, memories))| {
            let bounded = patched.bounded().of((number, place)).into_iter().flatten();
            let bounded = bounded.filter_map(|index| (*index as usize).checked_sub(memories.imports.len())).collect();
            let preloads = patched.preloads().of((number, place)).map_or(0, |module| module.preloads.len());
            ModuleReport { bounded, preloads, ..module.clone() }
        });
        Ok(ComponentReport {
            path: facts.path.clone(),
            name: facts.name.map(str::to_owned),
            lowers: lowers.collect::<Result<_, RewriteError>>()?,
            modules: modules.collect(),
            functions,
        })
    });
    let imports = facts.root_imports.iter().filter(|name| gate::is_public(name));
    Ok(Report {
        components: components.collect::<Result<_, RewriteError>>()?,
        gated_imports: imports.map(|name| GatedImport { name: (*name).to_owned() }).collect(),
        tier,
    })
}

fn lower_report(
    facts: &ComponentFacts<'_>,
    lower: &Lower,
    refresh: RefreshReport,
) -> Result<LowerReport, RewriteError> {
    Ok(LowerReport {
        canon: lower.canon,
        core_func: lower.func,
        function: lower.function.clone(),
        memory: memory(facts, lower).ok_or_else(|| broken!("a lower names a memory that was not read"))?,
        refresh,
    })
}

fn memory(facts: &ComponentFacts<'_>, lower: &Lower) -> Option<NamedMemory> {
    let at = |index: u32| usize::try_from(index).ok();
    let (core_instance, export) = *facts.memories.get(at(lower.memory)?)?;
    let module = match facts.core_instances.get(at(core_instance)?)? {
        Instance::Instantiate { module_index, .. } => Some(*module_index),
        Instance::FromExports(_) => None,
    };
    Some(NamedMemory { index: lower.memory, core_instance, module, export: export.to_owned(), ty: lower.memory_type })
}
