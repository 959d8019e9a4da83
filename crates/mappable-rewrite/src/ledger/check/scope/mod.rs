//! The tree of components: what goes from which to which.

mod wiring;

use std::collections::HashSet;

use wasmparser::types::TypesRef;
use wasmparser::{ComponentExternalKind as Kind, ComponentType, Instance, Payload};

use super::classes::{Classes, Node};
use super::core::{Core, Wrapper, at, len};
use super::types::{Compare, Due, Kinds, Passed, Typed, all_kinds};
use super::{Trusted, TrustedModule};
use crate::error::{Bug, ReadError, RewriteError, broken};
use crate::gate::Gate;
use crate::ledger::interface::INTERFACE;
use crate::ledger::unsound::Unsound;
use crate::path::ComponentPath;
use crate::tree::shape::Marks;

/// The tree while it is read.
pub(super) struct Tree<'a, 't> {
    bytes: &'a [u8],
    guests: &'t HashSet<&'t [u8]>,
    trusted: &'t Trusted,
    names: Names,
    marks: Marks,
    /// Which resources are the package's.
    kinds: Kinds,
    /// The same, of the root's imports alone, and what components are given.
    roots: Kinds,
    passed: Passed,
    wrapped: Vec<Wrapped<'t>>,
    /// Canonical functions that guests have and no wrapper stands at.
    bare: Vec<(ComponentPath, u32, Typed)>,
    classes: Classes<'a, 't>,
    /// The components that have begun and not ended, the outermost first.
    open: Vec<Scope<'a, 't>>,
}

struct Names {
    /// What all the gate's names begin with.
    gate: String,
    /// What those of the ledger do, of whichever version.
    ledgers: String,
    ledger: String,
}

/// Whose a core module is.
#[derive(Clone, Copy)]
pub(super) enum Module<'t> {
    Trusted(&'t TrustedModule),
    Guest,
}

/// What a component of the tree, or passed to it, is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nested {
    /// One whose inside is part of the output; its imports and exports, as if they were instances.
    Inside { imports_ledger: bool, imports: Node, exports: Node },
    /// One of which only the type is known.
    Unknown,
}

/// A canonical function that a wrapper stands at.
struct Wrapped<'t> {
    path: ComponentPath,
    canon: u32,
    typed: Typed,
    wrapper: Wrapper<'t>,
}

/// A component instance or function.
#[derive(Clone, Copy)]
enum Given<L> {
    /// The ledger, or that function of it.
    Ledger(L),
    Other(Node),
}

struct Scope<'a, 't> {
    path: ComponentPath,
    core: Core<'a, 't>,
    modules: Vec<Module<'t>>,
    components: Vec<Nested>,
    instances: Vec<Given<()>>,
    funcs: Vec<Given<&'a str>>,
    /// How many canonical functions there are, and those that lift or lower a function that is not the ledger's.
    canons: u32,
    uses: Vec<(u32, Node)>,
    /// The types of those that are not of the ledger.
    typed: Vec<(u32, Typed)>,
    imports_ledger: bool,
    imports: Node,
    exports: Node,
}

impl<'a, 't> Tree<'a, 't> {
    pub(super) fn new(bytes: &'a [u8], guests: &'t HashSet<&'t [u8]>, trusted: &'t Trusted, gate: &Gate) -> Self {
        let interface = INTERFACE.split_once('@').map_or(INTERFACE, |(name, _)| name);
        let names = Names {
            gate: gate.import_name(""),
            ledgers: gate.import_name(interface),
            ledger: gate.import_name(INTERFACE),
        };
        Tree {
            bytes,
            guests,
            trusted,
            names,
            marks: Marks::default(),
            kinds: Kinds::new(),
            roots: Kinds::new(),
            passed: Passed::new(),
            wrapped: Vec::new(),
            bare: Vec::new(),
            classes: Classes::default(),
            open: Vec::new(),
        }
    }

    /// The component that is open.
    pub(super) fn path(&self) -> ComponentPath {
        self.open.last().map(|scope| scope.path.clone()).unwrap_or_default()
    }

    pub(super) fn begin(&mut self) -> Result<(), RewriteError> {
        let mut path = ComponentPath::default();
        if let Some(outer) = self.open.last() {
            path = outer.path.clone();
            path.0.push(len(&outer.components));
        }
        let (imports, exports) = (self.classes.node(), self.classes.node());
        self.open.push(Scope {
            path,
            core: Core::new(self.trusted),
            modules: Vec::new(),
            components: Vec::new(),
            instances: Vec::new(),
            funcs: Vec::new(),
            canons: 0,
            uses: Vec::new(),
            typed: Vec::new(),
            imports_ledger: false,
            imports,
            exports,
        });
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), RewriteError> {
        let mut scope = self.open.pop().ok_or_else(|| broken!("a component ends that has not begun"))?;
        scope.core.finish().map_err(|what| Bug::Unsound { component: scope.path.clone(), what })?;
        for (canon, node) in &scope.uses {
            let closed = match scope.core.wrapper(*canon) {
                Some(Wrapper::Closed(part)) => Some(&part.made_for),
                _ => None,
            };
            self.classes.used(*node, closed, &scope.path, *canon);
        }
        for (canon, typed) in scope.typed {
            if let Some(wrapper) = scope.core.wrapper(canon) {
                self.wrapped.push(Wrapped { path: scope.path.clone(), canon, typed, wrapper });
            } else if matches!(typed, Typed::Lift(..)) || scope.core.is_used(canon) {
                self.bare.push((scope.path.clone(), canon, typed));
            }
        }
        if let Some(outer) = self.open.last_mut() {
            let Scope { imports_ledger, imports, exports, .. } = scope;
            outer.components.push(Nested::Inside { imports_ledger, imports, exports });
        } else {
            self.classes.open(scope.imports);
            self.classes.open(scope.exports);
        }
        Ok(())
    }

    /// After the end of the output.
    pub(super) fn finish(self, types: TypesRef<'_>) -> Result<(), RewriteError> {
        if !self.open.is_empty() {
            return Err(broken!("a component has not ended"));
        }
        self.classes.finish()?;
        let mut compare = Compare::new(types, &self.kinds, self.trusted);
        for Wrapped { path, canon, typed, wrapper } in self.wrapped {
            if !compare.is_for(typed, wrapper) {
                return Err(Bug::Unsound { component: path, what: Unsound::OtherType(canon) }.into());
            }
        }
        let kinds = all_kinds(self.roots, &self.passed);
        let mut due = Due::new(types, &kinds);
        for (component, canon, typed) in self.bare {
            if due.gives(typed) {
                return Err(Bug::Unsound { component, what: Unsound::NoCrossing(canon) }.into());
            }
        }
        Ok(())
    }

    /// A section of the component that is open, which the validator has taken in.
    pub(super) fn payload(&mut self, types: TypesRef<'_>, payload: Payload<'a>) -> Result<(), RewriteError> {
        let (scope, outer) = self.open.split_last_mut().ok_or_else(|| broken!("a section outside of any component"))?;
        let mut section = Section {
            scope,
            outer,
            types,
            names: &self.names,
            marks: &mut self.marks,
            kinds: &mut self.kinds,
            roots: &mut self.roots,
            passed: &mut self.passed,
            classes: &mut self.classes,
        };
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                let index = len(&section.scope.modules);
                let bytes = self.bytes.get(unchecked_range).unwrap_or_default();
                let module = match (self.trusted.modules.get(bytes), self.guests.contains(bytes)) {
                    (Some(_), true) => return Err(section.unsound(Unsound::GuestIsTrusted(index))),
                    (Some(module), false) => Module::Trusted(module),
                    (None, true) => Module::Guest,
                    (None, false) => return Err(section.unsound(Unsound::UnknownModule(index))),
                };
                section.scope.modules.push(module);
                Ok(())
            }
            Payload::ComponentSection { .. } => Ok(()),
            payload => {
                section.read(payload)?;
                section.compare()
            }
        }
    }
}

/// A section being read, and what it may have to do with.
struct Section<'s, 'a, 't> {
    scope: &'s mut Scope<'a, 't>,
    outer: &'s [Scope<'a, 't>],
    types: TypesRef<'s>,
    names: &'s Names,
    marks: &'s mut Marks,
    kinds: &'s mut Kinds,
    roots: &'s mut Kinds,
    passed: &'s mut Passed,
    classes: &'s mut Classes<'a, 't>,
}

impl<'a, 't> Section<'_, 'a, 't> {
    fn unsound(&self, what: Unsound) -> RewriteError {
        Bug::Unsound { component: self.scope.path.clone(), what }.into()
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<(), RewriteError> {
        match payload {
            Payload::ComponentImportSection(section) => section.into_iter().try_for_each(|import| self.import(import?)),
            Payload::ComponentAliasSection(section) => section.into_iter().try_for_each(|alias| self.alias(alias?)),
            Payload::ComponentInstanceSection(section) => {
                section.into_iter().try_for_each(|instance| self.instance(instance?))
            }
            Payload::ComponentExportSection(section) => {
                section.into_iter().try_for_each(|export| self.export(&export?))
            }
            Payload::ComponentCanonicalSection(section) => {
                section.into_iter().try_for_each(|canon| self.canon(&canon?))
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    let instance = instance?;
                    let module = match &instance {
                        Instance::Instantiate { module_index, .. } => {
                            at(&self.scope.modules, *module_index).copied().unwrap_or(Module::Guest)
                        }
                        Instance::FromExports(_) => Module::Guest,
                    };
                    self.scope.core.instance(instance, module).map_err(|what| self.unsound(what))?;
                }
                Ok(())
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    if let ComponentType::Resource { dtor: Some(func), .. } = ty? {
                        self.scope.core.destructor(func).map_err(|what| self.unsound(what))?;
                    }
                }
                Ok(())
            }
            Payload::CoreTypeSection(_) | Payload::CustomSection(_) => Ok(()),
            // Payloads are `non_exhaustive`, and a start function's arguments are not followed.
            other => {
                let offset = other.as_section().map_or(0, |(_, range)| range.start);
                Err(ReadError::UnknownSection { component: self.scope.path.clone(), offset }.into())
            }
        }
    }

    /// The index spaces are the validator's.
    fn compare(&self) -> Result<(), RewriteError> {
        let (scope, core, types) = (&self.scope, &self.scope.core, self.types);
        let counts = [
            (len(&core.funcs), types.function_count()),
            (len(&core.memories), types.memory_count()),
            (len(&core.tables), types.table_count()),
            (len(&core.globals), types.global_count()),
            (len(&core.tags), types.tag_count()),
            (core.instance_count(), types.core_instance_count()),
            (len(&scope.modules), types.module_count()),
            (len(&scope.components), types.component_count()),
            (len(&scope.instances), types.component_instance_count()),
            (len(&scope.funcs), types.component_function_count()),
        ];
        match counts.iter().find(|(ours, validators)| ours != validators) {
            None => Ok(()),
            Some(_) => Err(broken!("index spaces of {} and the validator's differ: {counts:?}", scope.path)),
        }
    }

    /// A new item, which is exported (or imported) as `name` of something.
    fn push(&mut self, kind: Kind, of: Node, name: &'a str) {
        match kind {
            Kind::Module => self.scope.modules.push(Module::Guest),
            Kind::Component => self.scope.components.push(Nested::Unknown),
            Kind::Instance => self.scope.instances.push(Given::Other(self.classes.export(of, name))),
            Kind::Func => self.scope.funcs.push(Given::Other(self.classes.export(of, name))),
            Kind::Type | Kind::Value => {}
        }
    }

    /// What stands for a component instance or function among the classes.
    fn node(&self, kind: Kind, index: u32) -> Option<Node> {
        match kind {
            Kind::Instance => match at(&self.scope.instances, index) {
                Some(Given::Other(node)) => Some(*node),
                _ => None,
            },
            Kind::Func => match at(&self.scope.funcs, index) {
                Some(Given::Other(node)) => Some(*node),
                _ => None,
            },
            _ => None,
        }
    }

    /// An item becomes the export (or import) `name` of something.
    fn put(&mut self, kind: Kind, index: u32, of: Node, name: &'a str) {
        if let Some(node) = self.node(kind, index) {
            let export = self.classes.export(of, name);
            self.classes.join(node, export);
        }
    }

    fn is_ledger(&self, kind: Kind, index: u32) -> bool {
        match kind {
            Kind::Instance => matches!(at(&self.scope.instances, index), Some(Given::Ledger(()))),
            Kind::Func => matches!(at(&self.scope.funcs, index), Some(Given::Ledger(_))),
            _ => false,
        }
    }
}
