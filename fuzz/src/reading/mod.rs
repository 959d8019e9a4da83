//! A second reader of components, for checks: which marked functions are lowered, whether each is behind a refresh,
//! and what the component is without its refreshes.
//!
//! It shares nothing with the rewriter: indices are resolved after the fact, from plain lists of what was defined and
//! what mentions what, where the rewriter counts as it goes.

pub(crate) mod marks;
mod plain;

use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentOuterAliasKind, ComponentType, Encoding, ExternalKind, Instance, Parser, Payload, Validator, WasmFeatures,
};

/// What the validator is to take: all that the rewriter takes, and more.
pub const FEATURES: WasmFeatures = WasmFeatures::all();

/// A tree of components.
pub struct Tree {
    components: Vec<Component>,
}

/// One component: what is in it, in order.
#[derive(Default)]
struct Component {
    /// The component around it, if any.
    parent: Option<usize>,
    items: Vec<Item>,
}

/// What defines or mentions something that the rewriter may move; all else is text.
enum Item {
    /// A core module of the component's own.
    Module(Vec<u8>),
    /// A core module from elsewhere: an import, or an export of an instance.
    ForeignModule(String),
    /// An alias of the core module of a component around this one.
    OuterModule { count: u32, index: u32 },
    /// An export of a core module: another index of it.
    ExportedModule { text: String, index: u32 },
    /// A component's instance: the indices in it, of core modules or not, each with what is said of it.
    ComponentInstance(Vec<(String, ComponentExternalKind, u32)>),
    /// A core instance made of a module.
    Instantiated { module: u32, args: Vec<(String, u32)> },
    /// A core instance made of exports.
    Exports(Vec<(String, ExternalKind, u32)>),
    /// An alias of a core instance's export.
    Alias { instance: u32, kind: ExternalKind, name: String },
    /// A canonical function; of a marked function's lower, the memory that it names.
    Canon { canon: CanonicalFunction, marked: Option<Option<u32>> },
    /// A resource's type.
    Resource { rep: String, dtor: Option<u32> },
    /// Whatever else.
    Text(String),
}

/// A marked function's lower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lower {
    /// Which of the tree's components holds it, in the order in which they begin.
    pub component: usize,
    /// Which of that component's canonical functions it is.
    pub canon: u32,
    /// The core function that it defines.
    pub core_func: u32,
    /// Whether it is behind a refresh, and reached through that alone.
    pub guarded: bool,
}

impl Tree {
    /// Reads a component, if it is valid.
    ///
    /// # Errors
    ///
    /// The validator's.
    pub fn read(bytes: &[u8]) -> wasmparser::Result<Tree> {
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        let mut validator = Validator::new_with_features(FEATURES);
        let mut tree = Tree { components: Vec::new() };
        // The components that have begun and not ended, and how many modules have.
        let (mut open, mut modules) = (Vec::<usize>::new(), 0);
        for payload in parser.parse_all(bytes) {
            let payload = payload?;
            if let wasmparser::ValidPayload::Func(func, body) = validator.payload(&payload)? {
                func.into_validator(Default::default()).validate(&body)?;
            }
            match payload {
                Payload::Version { encoding: Encoding::Component, .. } => {
                    tree.components.push(Component { parent: open.last().copied(), items: Vec::new() });
                    open.push(tree.components.len() - 1);
                }
                Payload::Version { encoding: Encoding::Module, .. } => modules += 1,
                Payload::End(_) if modules > 0 => modules -= 1,
                Payload::End(_) => drop(open.pop()),
                payload if modules == 0 => {
                    let component = *open.last().expect("a section is in a component");
                    let items = &mut tree.components[component].items;
                    note(items, payload, &validator, bytes, open.len() == 1)?;
                }
                _ => {}
            }
        }
        Ok(tree)
    }

    /// All marked lowers, in order.
    pub fn lowers(&self) -> Vec<Lower> {
        let component = |(at, component): (usize, &Component)| plain::Resolved::new(component).lowers(at);
        self.components.iter().enumerate().flat_map(component).collect()
    }

    /// How many components there are.
    pub fn len(&self) -> usize {
        self.components.len()
    }

    /// Whether there is nothing, which no component is.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    /// How many items there are in all of them.
    pub fn items(&self) -> usize {
        self.components.iter().map(|component| component.items.len()).sum()
    }

    /// What the tree is without its refreshes, as text: a line for each item, all indices as if there were none.
    pub fn plain(&self) -> Vec<String> {
        let resolved: Vec<_> = self.components.iter().map(plain::Resolved::new).collect();
        let each = self.components.iter().enumerate();
        each.flat_map(|(at, component)| plain::lines(at, component, &self.components, &resolved)).collect()
    }
}

/// Notes the items of one section.
fn note(
    items: &mut Vec<Item>,
    payload: Payload<'_>,
    validator: &Validator,
    bytes: &[u8],
    root: bool,
) -> wasmparser::Result<()> {
    match payload {
        Payload::ModuleSection { unchecked_range, .. } => items.push(Item::Module(bytes[unchecked_range].to_vec())),
        Payload::ComponentSection { .. } => items.push(Item::Text("component".into())),
        Payload::InstanceSection(section) => {
            for instance in section {
                items.push(match instance? {
                    Instance::Instantiate { module_index, args } => Item::Instantiated {
                        module: module_index,
                        args: args.iter().map(|arg| (arg.name.to_owned(), arg.index)).collect(),
                    },
                    Instance::FromExports(exports) => {
                        Item::Exports(exports.iter().map(|e| (e.name.to_owned(), e.kind, e.index)).collect())
                    }
                });
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for instance in section {
                items.push(Item::ComponentInstance(match instance? {
                    ComponentInstance::Instantiate { component_index, args } => {
                        let of = ("instantiate".to_owned(), ComponentExternalKind::Component, component_index);
                        let args = args.iter().map(|arg| (arg.name.to_owned(), arg.kind, arg.index));
                        std::iter::once(of).chain(args).collect()
                    }
                    ComponentInstance::FromExports(exports) => {
                        exports.iter().map(|e| (format!("{:?} {:?}", e.name, e.ty), e.kind, e.index)).collect()
                    }
                }));
            }
        }
        Payload::ComponentAliasSection(section) => {
            for alias in section {
                items.push(alias_item(alias?));
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            let types = validator.types(0).expect("a component is being read");
            for canon in section {
                let canon = canon?;
                let marked = match &canon {
                    CanonicalFunction::Lower { func_index, options } if marks::is_marked(types, *func_index) => {
                        let memory = |option: &CanonicalOption| match option {
                            CanonicalOption::Memory(memory) => Some(*memory),
                            _ => None,
                        };
                        Some(options.iter().find_map(memory))
                    }
                    _ => None,
                };
                items.push(Item::Canon { canon, marked });
            }
        }
        Payload::ComponentTypeSection(section) => {
            let end = section.range().end;
            let types: Vec<_> = section.into_iter_with_offsets().collect::<Result<_, _>>()?;
            let ends = types.iter().skip(1).map(|(start, _)| *start).chain([end]);
            for ((start, ty), end) in types.iter().zip(ends) {
                items.push(match ty {
                    ComponentType::Resource { rep, dtor } => Item::Resource { rep: rep.to_string(), dtor: *dtor },
                    _ => Item::Text(format!("type {:x?}", &bytes[*start..end])),
                });
            }
        }
        Payload::ComponentImportSection(section) => {
            for import in section {
                let import = import?;
                let name = match import.name.name.strip_prefix("mappable:k0/") {
                    Some(interface) if root => format!("mappable:memory/{interface}"),
                    _ => import.name.name.to_owned(),
                };
                let text = format!("import {name:?} {:?} {:?}", import.name.implements, import.ty);
                items.push(match import.ty.kind() {
                    ComponentExternalKind::Module => Item::ForeignModule(text),
                    _ => Item::Text(text),
                });
            }
        }
        Payload::ComponentExportSection(section) => {
            for export in section {
                let export = export?;
                let text = format!("export {:?} {:?} {:?}", export.name, export.kind, export.ty);
                items.push(match export.kind {
                    ComponentExternalKind::Module => Item::ExportedModule { text, index: export.index },
                    _ => Item::Text(format!("{text} {}", export.index)),
                });
            }
        }
        // Names move, or are dropped.
        Payload::CustomSection(section) if section.name() == "component-name" => {}
        Payload::CustomSection(section) => {
            items.push(Item::Text(format!("custom {:?} {:x?}", section.name(), section.data())));
        }
        other => {
            let (id, range) = other.as_section().expect("all else is a section");
            items.push(Item::Text(format!("section {id} {:x?}", &bytes[range])));
        }
    }
    Ok(())
}

fn alias_item(alias: ComponentAlias<'_>) -> Item {
    match alias {
        ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
            Item::Alias { instance: instance_index, kind, name: name.to_owned() }
        }
        ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, count, index } => {
            Item::OuterModule { count, index }
        }
        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => {
            Item::ForeignModule(format!("{alias:?}"))
        }
        _ => Item::Text(format!("{alias:?}")),
    }
}
