//! The facts that are printed: the rewriter's report, and how each memory is mapped into.

use std::collections::BTreeSet;
use std::fmt;

use mappable::internals::strategy_for;
use mappable::rewrite::{
    BOUNDED_PAGES, ComponentReport, FunctionReport, LowerReport, MemoryType, RefreshReport, Report, Route, TierReport,
};
use mappable::{MemoryShape, Strategy};
use serde::Serialize;
use wasmparser::{Parser, Payload};

use crate::stage::PARALLEL;

/// All facts, as JSON has them.
#[derive(Serialize)]
pub(super) struct Facts {
    /// Whether it calls a function that changes what is mapped, or imports our package.
    pub(super) maps: bool,
    pub(super) components: usize,
    /// The refresh's own left out.
    pub(super) core_modules: usize,
    /// The outermost component's imports of our package.
    pub(super) imports: Vec<String>,
    /// The interfaces of `mappable:files` by which it asks for bytes of files.
    pub(super) files: Vec<String>,
    /// Whether it is a stage that says how several instances of it work on one picture.
    pub(super) parallel: bool,
    pub(super) tier: Tier,
    /// Those that change what is mapped.
    pub(super) functions: Vec<Function>,
    /// All that a component calls or offers, and which way the calls go.
    pub(super) calls: Vec<Call>,
    pub(super) memories: Vec<Memory>,
    /// How many loops find the base of their memory loaded.
    pub(super) preloads: usize,
}

/// The tier in which it can run.
#[derive(Serialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub(super) enum Tier {
    /// Handles and lists by the ledger.
    Ledger { wrapped: usize, crossing: usize, builtins: usize },
    /// The engine has its handles: what stands in the way of the ledger, if anything does.
    Baseline { obstacle: Option<String> },
}

impl From<&TierReport> for Tier {
    fn from(tier: &TierReport) -> Self {
        match tier {
            TierReport::Ledger { wrapped, crossing, builtins } => {
                Tier::Ledger { wrapped: *wrapped, crossing: *crossing, builtins: *builtins }
            }
            TierReport::Baseline { obstacle } => {
                Tier::Baseline { obstacle: obstacle.as_ref().map(ToString::to_string) }
            }
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tier::Ledger { wrapped, crossing, builtins } => {
                let (lowers, others) = (plural(*builtins), plural(*wrapped));
                write!(
                    f,
                    "Tier: ledger. Trusted code is in front of {builtins} lower{lowers} of the package's functions, "
                )?;
                write!(f, "and of {wrapped} other function{others}.")?;
                match crossing {
                    0 => Ok(()),
                    _ => write!(f, " In {crossing} place{}, handles go to the engine.", plural(*crossing)),
                }
            }
            Tier::Baseline { obstacle: Some(why) } => write!(f, "Tier: baseline, because {why}."),
            Tier::Baseline { obstacle: None } => {
                f.write_str("Tier: baseline. The ledger tier would make nothing in it faster.")
            }
        }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A function that changes what is mapped, as lowered by one component.
#[derive(Serialize)]
pub(super) struct Function {
    /// Where in the tree: `root/2/0`, and its name if it has one.
    pub(super) component: String,
    pub(super) function: String,
    /// The memory that it acts on.
    pub(super) memory: String,
    /// The core function that it is lowered as, in the component as given.
    pub(super) core_function: u32,
    /// The core instance that is its refresh: in the rewritten component, or where it was there, as given. None in the
    /// ledger tier, where a wrapper does what a refresh does.
    pub(super) refresh_instance: Option<u32>,
    /// The core function to call in its place, where the refresh was put in.
    pub(super) refresh_function: Option<u32>,
}

/// A function that a component calls or offers.
#[derive(Serialize)]
pub(super) struct Call {
    pub(super) component: String,
    pub(super) function: String,
    /// `calls` or `offers`.
    pub(super) side: &'static str,
    /// `engine`, `baseline`, `crossing` or `ledger`: who carries its handles and lists.
    pub(super) route: &'static str,
    /// Why it doesn't go by the ledger, where that is about this function.
    pub(super) why: Option<String>,
}

/// A linear memory.
#[derive(Serialize)]
pub(super) struct Memory {
    pub(super) component: String,
    pub(super) memory: String,
    /// The minimum and any maximum, as the text format has them.
    pub(super) pages: String,
    /// Whether a function that changes what is mapped acts on it.
    pub(super) mapped_into: bool,
    /// Whether it gets a maximum, so that its base is a constant.
    pub(super) bounded: bool,
    pub(super) strategy: Option<String>,
    pub(super) why: String,
}

impl Facts {
    /// Collects what is said of a component: from its bytes, and from the rewriter's report.
    pub(super) fn new(component: &[u8], report: &Report) -> Self {
        let modules = report.components.iter().flat_map(|component| &component.modules);
        Self {
            maps: report.maps(),
            components: report.components.len(),
            core_modules: modules.clone().filter(|module| !module.refresh).count(),
            imports: report.gated_imports.iter().map(|import| import.name.clone()).collect(),
            files: files(report),
            parallel: exports(component, PARALLEL),
            tier: Tier::from(&report.tier),
            functions: report.lowers().map(|(component, lower)| function(component, lower)).collect(),
            calls: report.components.iter().flat_map(calls).collect(),
            memories: report.components.iter().flat_map(memories).collect(),
            preloads: modules.map(|module| module.preloads).sum(),
        }
    }
}

/// Whether the outermost component exports something of that name.
fn exports(component: &[u8], name: &str) -> bool {
    let (mut depth, mut found) = (0, false);
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentExportSection(exports) if depth == 0 => {
                found |= exports.into_iter().flatten().any(|export| export.name.name == name);
            }
            _ => {}
        }
    }
    found
}

/// Told by the functions that a component calls: the package has only such.
fn files(report: &Report) -> Vec<String> {
    let calls = report.components.iter().flat_map(|component| &component.functions).filter(|function| !function.lift);
    let interfaces = calls.filter_map(|function| Some(function.function.as_deref()?.split_once('#')?.0.to_owned()));
    let found: BTreeSet<_> = interfaces.filter(|interface| interface.starts_with("mappable:files/")).collect();
    found.into_iter().collect()
}

fn title(component: &ComponentReport) -> String {
    match &component.name {
        Some(name) => format!("{} ({name})", component.path),
        None => component.path.to_string(),
    }
}

fn function(component: &ComponentReport, lower: &LowerReport) -> Function {
    let (refresh_instance, refresh_function) = match lower.refresh {
        RefreshReport::Present { core_instance } => (Some(core_instance), None),
        RefreshReport::Inserted { core_instance, core_func } => (Some(core_instance), Some(core_func)),
        _ => (None, None),
    };
    Function {
        component: title(component),
        function: function_name(lower.function.as_deref()),
        memory: named(lower),
        core_function: lower.core_func,
        refresh_instance,
        refresh_function,
    }
}

fn calls(component: &ComponentReport) -> impl Iterator<Item = Call> {
    component.functions.iter().map(|function| call(component, function))
}

fn call(component: &ComponentReport, function: &FunctionReport) -> Call {
    let (route, why) = match &function.route {
        Route::Engine { why } => ("engine", why.as_ref()),
        Route::Baseline { why } => ("baseline", why.as_ref()),
        Route::Crossing { why } => ("crossing", Some(why)),
        _ => ("ledger", None),
    };
    Call {
        component: title(component),
        function: function_name(function.function.as_deref()),
        side: if function.lift { "offers" } else { "calls" },
        route,
        why: why.map(ToString::to_string),
    }
}

fn function_name(name: Option<&str>) -> String {
    name.unwrap_or("(no name)").to_owned()
}

/// A memory as its component sees it.
fn named(lower: &LowerReport) -> String {
    format!("`{}` of instance {}", lower.memory.export, lower.memory.core_instance)
}

/// The memories of one component: those mapped into, as instances have them, then others, as modules define them.
fn memories(component: &ComponentReport) -> Vec<Memory> {
    let mut memories: Vec<Memory> = vec![];
    for lower in &component.lowers {
        let module = lower.memory.module.map(|index| format!(" ({})", module_title(component, index)));
        let name = named(lower) + &module.unwrap_or_default();
        if memories.iter().all(|memory| memory.memory != name) {
            memories.push(memory(component, name, lower.memory.ty, true));
        }
    }
    for module in component.modules.iter().filter(|module| !module.refresh) {
        let instantiated = component.lowers.iter().any(|lower| lower.memory.module == Some(module.index));
        if instantiated {
            continue;
        }
        for (index, ty) in module.memories.iter().enumerate() {
            let name = format!("memory {index} of {}", module_title(component, module.index));
            let memory = memory(component, name, *ty, false);
            memories.push(if module.bounded.contains(&index) { bounded(memory) } else { memory });
        }
    }
    memories
}

fn module_title(component: &ComponentReport, index: u32) -> String {
    let module = component.modules.iter().find(|module| module.index == index);
    match module.and_then(|module| module.name.as_ref()) {
        Some(name) => format!("module {index}, {name}"),
        None => format!("module {index}"),
    }
}

fn memory(component: &ComponentReport, name: String, ty: MemoryType, mapped_into: bool) -> Memory {
    let shape = shape(ty);
    let (strategy, why) = match strategy_for(&shape) {
        Ok(strategy) => (Some(strategy.to_string()), reason(strategy, &shape)),
        Err(unmappable) => (None, format!("{unmappable}: its component reads and writes regions by copy")),
    };
    Memory {
        component: title(component),
        memory: name,
        pages: ty.to_string(),
        mapped_into,
        bounded: false,
        strategy,
        why,
    }
}

/// A memory that nothing is mapped into and that gets a maximum.
fn bounded(memory: Memory) -> Memory {
    let why =
        format!("nothing is mapped into it: it gets a maximum of {BOUNDED_PAGES} pages, and its base is a constant");
    Memory { bounded: true, strategy: None, why, ..memory }
}

fn shape(ty: MemoryType) -> MemoryShape {
    MemoryShape {
        minimum: ty.minimum,
        maximum: ty.maximum,
        is_64: ty.memory64,
        is_shared: ty.shared,
        page_size: 1_u64.checked_shl(ty.page_size_log2.unwrap_or(16)).unwrap_or(0),
    }
}

fn reason(strategy: Strategy, shape: &MemoryShape) -> String {
    match (strategy, shape.maximum) {
        (Strategy::Swap, None) => "it has no declared maximum, so its base may move".to_owned(),
        (Strategy::Swap, Some(maximum)) => {
            format!("its maximum of {maximum} pages is more than what is reserved, so its base may move")
        }
        (Strategy::Remap, Some(maximum)) if maximum == shape.minimum => {
            format!("its maximum of {maximum} pages is its minimum: it never grows, and its base is a constant")
        }
        (Strategy::Remap, maximum) => {
            let maximum = maximum.unwrap_or(0);
            format!("its maximum of {maximum} pages fits what is reserved, so its base is a constant")
        }
        (Strategy::Copy, _) => "no pages can be mapped on this platform".to_owned(),
        (other, _) => format!("it is mapped into by {other}"),
    }
}
