//! The facts of a tree of components. They have indices, as each component has them, and no offsets.

use std::collections::{BTreeSet, HashMap};

use wasmparser::{FuncType, Instance};

use crate::path::ComponentPath;
use crate::tree::types::{MemoryType, ModuleReport};

/// A tree of components.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    /// Each component, in the order in which they begin: the outermost is the first.
    pub(crate) components: Vec<ComponentFacts<'a>>,
    /// Whether a core module of the tree has a tag, without which nothing can be thrown.
    pub(crate) throws: bool,
    /// The names that the outermost component imports.
    pub(crate) root_imports: Vec<&'a str>,
}

/// One component.
#[derive(Debug, Default)]
pub(crate) struct ComponentFacts<'a> {
    pub(crate) path: ComponentPath,
    pub(crate) name: Option<&'a str>,
    /// Its marked lowers, each found fit to be refreshed, in order.
    pub(crate) lowers: Vec<Lower>,
    /// The component that it is nested in: its place in [`Facts::components`].
    pub(crate) outer: Option<usize>,
    /// The core modules that it defines, in order.
    pub(crate) modules: Vec<ModuleReport>,
    /// Their bytes, in the same order.
    pub(crate) module_bytes: Vec<&'a [u8]>,
    /// What those do with memories, in the same order.
    pub(crate) module_memories: Vec<ModuleMemories<'a>>,
    /// Its core modules, by index.
    pub(crate) module_sources: Vec<ModuleSource>,
    /// The core modules, by index, that it gives to other components or to the host.
    pub(crate) given_modules: Vec<u32>,
    /// Its core instances, by index.
    pub(crate) core_instances: Vec<Instance<'a>>,
    /// Its core memories, by index: the core instance and the export that each is an alias of.
    pub(crate) memories: Vec<(u32, &'a str)>,
    /// Its core functions, by index: the core instance and the export that each is an alias of. `None` if a canonical
    /// function makes it.
    pub(crate) core_funcs: Vec<Option<(u32, &'a str)>>,
    /// Every use of a core function.
    pub(crate) func_users: HashMap<u32, Vec<FuncUser>>,
    /// Every use of a core instance.
    pub(crate) instance_users: HashMap<u32, Vec<InstanceUser>>,
    /// How many canonical functions it has.
    pub(crate) canons: usize,
    /// Those that are lifts, in order.
    pub(crate) lifts: Vec<Lift>,
    /// The type of each core function that is a `realloc` or `post-return` of something.
    pub(crate) called_back: HashMap<u32, FuncType>,
    /// The context slots that it has `context.get` or `context.set` of. (Another need not be in the engine.)
    pub(crate) slots: BTreeSet<u32>,
    /// The type of each core function that leaves the component: lowers, and most built-ins.
    pub(crate) leaving: HashMap<u32, FuncType>,
}

impl ComponentFacts<'_> {
    /// Whether its core modules may have anything to call but each other: a canonical function other than a lift.
    pub(crate) fn can_call_out(&self) -> bool {
        self.canons > self.lifts.len()
    }

    /// The functions that are called back and may call out, with their types. Where there is a handle table each has a guard.
    pub(crate) fn guarded(&self) -> impl Iterator<Item = (u32, &FuncType)> {
        self.called_back.iter().filter(|_| self.can_call_out()).map(|(func, ty)| (*func, ty))
    }

    pub(super) fn use_func(&mut self, func: u32, user: FuncUser) {
        self.func_users.entry(func).or_default().push(user);
    }
}

/// Where a core module of a component comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModuleSource {
    /// From this component, which has it as its so-many-th.
    Here(usize),
    /// From so many components further out, which have it as that index.
    Outer(u32, u32),
    /// From an import, or another component.
    Elsewhere,
}

/// The memories that a core module imports and exports.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModuleMemories<'a> {
    /// Module, name and type of each that it imports, in order: they come before those that it defines.
    pub(crate) imports: Vec<(&'a str, &'a str, MemoryType)>,
    /// Name and index of each that it exports.
    pub(crate) exports: Vec<(&'a str, u32)>,
}

/// A lower of a swapping function.
#[derive(Clone, Debug)]
pub(crate) struct Lower {
    /// Which canonical function of the component it is.
    pub(crate) canon: u32,
    /// The core function that it defines.
    pub(crate) func: u32,
    /// How many core instances the component has before it.
    pub(crate) core_instances: u32,
    /// The core memory that it names.
    pub(crate) memory: u32,
    /// That memory's type.
    pub(crate) memory_type: MemoryType,
    /// What the lowered function was imported or aliased as.
    pub(crate) function: Option<String>,
}

/// A lift.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lift {
    /// Which canonical function of the component it is.
    pub(crate) canon: u32,
    /// The core function that is lifted.
    pub(crate) func: u32,
    /// The memory that it names, and its `realloc`.
    pub(crate) memory: Option<u32>,
    pub(crate) realloc: Option<u32>,
}

/// A use of a core function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FuncUser {
    /// It is an export of this core instance.
    Export(u32),
    /// A `canon lift` lifts it.
    Lift,
    /// It is the `realloc`, `post-return` or `callback` of a canonical function.
    Option,
    /// It is a resource's destructor.
    Destructor,
}

/// A use of a core instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceUser {
    /// It is an argument of the instantiation that makes this core instance.
    Argument(u32),
    /// One of its exports is aliased.
    Alias,
}
