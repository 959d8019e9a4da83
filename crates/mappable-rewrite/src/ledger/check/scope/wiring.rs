//! What goes from which component to which: imports, exports, aliases, instances, canonical functions.

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentExternalKind as Kind, ComponentImport,
    ComponentInstance, ComponentInstantiationArg, ComponentOuterAliasKind,
};

use super::{Given, Module, Nested, Section, Typed};
use crate::error::{RewriteError, broken};
use crate::ledger::check::classes::Node;
use crate::ledger::check::core::{at, len};
use crate::ledger::check::types;
use crate::ledger::unsound::Unsound;

impl<'a> Section<'_, 'a, '_> {
    fn is_root(&self) -> bool {
        self.outer.is_empty()
    }

    /// Rule 2: who imports what of the gate's names.
    pub(super) fn import(&mut self, import: ComponentImport<'a>) -> Result<(), RewriteError> {
        let (name, kind) = (import.name.name, import.ty.kind());
        if name == self.names.ledger {
            if kind != Kind::Instance {
                return Err(self.unsound(Unsound::GateName(name.to_owned())));
            }
            let interface = self.types.component_instance_at(len(&self.scope.instances));
            types::note_kinds(self.types, interface, self.kinds);
            self.scope.imports_ledger = true;
            self.scope.instances.push(Given::Ledger(()));
            return Ok(());
        }
        let gates = |name: &str| name.starts_with(&self.names.gate);
        let implements = import.name.implements.is_some_and(gates);
        if implements || gates(name) && (!self.is_root() || name.starts_with(&self.names.ledgers)) {
            return Err(self.unsound(Unsound::GateName(name.to_owned())));
        }
        if gates(name) && kind == Kind::Instance {
            types::note_kinds(self.types, self.types.component_instance_at(len(&self.scope.instances)), self.roots);
        }
        self.push(kind, self.scope.imports, name);
        Ok(())
    }

    /// Rules 1 and 2: what may not go where it can't be followed.
    fn leaves(&self, kind: Kind, index: u32) -> Result<(), RewriteError> {
        let what = match kind {
            Kind::Module if matches!(at(&self.scope.modules, index), Some(Module::Trusted(_))) => {
                Unsound::ModuleLeaves(index)
            }
            Kind::Instance | Kind::Func if self.is_ledger(kind, index) => Unsound::LedgerLeaves,
            Kind::Component
                if matches!(at(&self.scope.components, index), Some(Nested::Inside { imports_ledger: true, .. })) =>
            {
                Unsound::ComponentLeaves(index)
            }
            _ => return Ok(()),
        };
        Err(self.unsound(what))
    }

    pub(super) fn export(&mut self, export: &ComponentExport<'a>) -> Result<(), RewriteError> {
        self.leaves(export.kind, export.index)?;
        self.put(export.kind, export.index, self.scope.exports, export.name.name);
        match at(&self.scope.components, export.index) {
            Some(nested) if export.kind == Kind::Component => self.scope.components.push(*nested),
            _ => self.push(export.kind, self.scope.exports, export.name.name),
        }
        Ok(())
    }

    pub(super) fn alias(&mut self, alias: ComponentAlias<'a>) -> Result<(), RewriteError> {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                if let Some(instance) = self.node(Kind::Instance, instance_index) {
                    self.push(kind, instance, name);
                    return Ok(());
                }
                match kind {
                    Kind::Func => self.scope.funcs.push(Given::Ledger(name)),
                    Kind::Type => {}
                    _ => return Err(self.unsound(Unsound::LedgerAlias(name.to_owned()))),
                }
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                self.scope.core.alias(kind, instance_index, name);
            }
            ComponentAlias::Outer { kind, count, index } => {
                let found = match usize::try_from(count).ok().and_then(|count| count.checked_sub(1)) {
                    None => Some(&*self.scope),
                    Some(count) => self.outer.iter().nth_back(count),
                };
                let found = found.ok_or_else(|| broken!("an outer component is not open"))?;
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        let module = at(&found.modules, index).copied().unwrap_or(Module::Guest);
                        self.scope.modules.push(module);
                    }
                    ComponentOuterAliasKind::Component => {
                        let nested = at(&found.components, index).copied().unwrap_or(Nested::Unknown);
                        self.scope.components.push(nested);
                    }
                    ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn instance(&mut self, instance: ComponentInstance<'a>) -> Result<(), RewriteError> {
        let node = match instance {
            ComponentInstance::FromExports(exports) => {
                let node = self.classes.node();
                for export in &exports {
                    self.leaves(export.kind, export.index)?;
                    self.put(export.kind, export.index, node, export.name.name);
                }
                node
            }
            ComponentInstance::Instantiate { component_index, args } => self.instantiate(component_index, &args)?,
        };
        self.scope.instances.push(Given::Other(node));
        Ok(())
    }

    /// Rule 2: who is given the ledger.
    fn instantiate(&mut self, component: u32, args: &[ComponentInstantiationArg<'a>]) -> Result<Node, RewriteError> {
        let nested = at(&self.scope.components, component).copied().unwrap_or(Nested::Unknown);
        let asks = matches!(nested, Nested::Inside { imports_ledger: true, .. });
        let mut given = false;
        for arg in args {
            if arg.kind == Kind::Instance && self.is_ledger(arg.kind, arg.index) {
                if arg.name != self.names.ledger {
                    return Err(self.unsound(Unsound::PassedAs(arg.name.to_owned())));
                }
                if !asks {
                    return Err(self.unsound(Unsound::PassedTo(component)));
                }
                given = true;
            } else {
                self.leaves(arg.kind, arg.index)?;
            }
        }
        if asks && !given {
            return Err(self.unsound(Unsound::NotPassed(component)));
        }
        let Nested::Inside { imports, exports, .. } = nested else {
            let made = self.classes.node();
            self.classes.open(made);
            for arg in args {
                if let Some(node) = self.node(arg.kind, arg.index) {
                    self.classes.open(node);
                }
            }
            return Ok(made);
        };
        types::note_passed(self.types, component, args, self.passed);
        for arg in args {
            self.put(arg.kind, arg.index, imports, arg.name);
        }
        Ok(exports)
    }

    /// Rules 3, 5 and 6: a canonical function.
    pub(super) fn canon(&mut self, canon: &CanonicalFunction) -> Result<(), RewriteError> {
        let index = self.scope.canons;
        self.scope.canons += 1;
        let mut ledger = None;
        if let CanonicalFunction::Lower { func_index, .. } = canon {
            match at(&self.scope.funcs, *func_index) {
                Some(Given::Ledger(name)) => ledger = Some(*name),
                Some(Given::Other(node)) => self.scope.uses.push((index, *node)),
                None => return Err(broken!("a function that there is not is lowered")),
            }
        }
        let drops = types::dropped(self.types, self.kinds, canon);
        self.scope.core.canon(canon, ledger, drops).map_err(|what| self.unsound(what))?;
        let types = self.types;
        if ledger.is_none() {
            self.scope.typed.push((index, Typed::of(types, canon, len(&self.scope.funcs))));
        }
        match canon {
            CanonicalFunction::Lift { .. } => {
                let node = self.classes.node();
                self.scope.funcs.push(Given::Other(node));
                self.scope.uses.push((index, node));
                Ok(())
            }
            CanonicalFunction::Lower { func_index, .. } if ledger.is_none() => {
                let ty = types.component_function_at(*func_index);
                let func = types.get(ty).ok_or_else(|| broken!("a function's type is not known"))?;
                if self.marks.is_marked(types, func) { Err(self.unsound(Unsound::Change(index))) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}
