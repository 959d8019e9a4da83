//! What lies between an open tree and the embedder: functions of numbers and owned handles, which the root imports and
//! exports, alone or in instances.

use std::fmt::Write;

use arbitrary::{Result, Unstructured};

use super::text::{interface, items};
use super::types::{Function, Kind, Namer, Type};
use super::{Encoding, Part, Plan};

/// An instance of the tree's, some functions of which the embedder has, or offers.
#[derive(Debug)]
pub struct Port {
    /// Which of the tree's instances.
    pub instance: usize,
    /// How the root has them.
    pub form: Form,
    /// Which of its functions.
    pub functions: Vec<usize>,
}

/// How the root imports or exports functions of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each by a name.
    Functions,
    /// In an instance.
    Instance,
    /// By exporting the very instance that has them.
    Whole,
}

impl Port {
    /// What the root calls its instance, if there is one, and its functions, as the so-manyth of its imports.
    pub fn import_names(&self, nth: usize) -> (Option<String>, impl Fn(usize) -> String + use<>) {
        self.names("desk", nth)
    }

    /// As the so-manyth of its exports.
    pub fn export_names(&self, nth: usize) -> (Option<String>, impl Fn(usize) -> String + use<>) {
        self.names("api", nth)
    }

    fn names(&self, side: &str, nth: usize) -> (Option<String>, impl Fn(usize) -> String + use<>) {
        let alone = self.form == Form::Functions;
        let instance = (!alone).then(|| format!("test:trees/{side}{nth}"));
        let start = if alone { format!("{side}{nth}") } else { String::new() };
        (instance, move |function| format!("{start}f{function}"))
    }
}

impl Function {
    /// Whether the embedder of these trees can call it, or offer it.
    pub fn crosses(&self) -> bool {
        let mut values = self.params.iter().chain(&self.result);
        let crosses = |ty: &Type| matches!(ty, Type::Scalar(_) | Type::Own(Kind::Mappable | Kind::Frozen));
        values.all(crosses) && !self.flat_params().1
    }

    fn has_handles(&self) -> bool {
        let mut values = self.params.iter().chain(&self.result);
        values.any(|ty| ty.has(|ty| matches!(ty, Type::Own(_) | Type::Borrow(_))))
    }
}

/// A function that crosses.
pub(super) fn function(u: &mut Unstructured<'_>) -> Result<Function> {
    let value = |u: &mut Unstructured<'_>| {
        Ok(match u.int_in_range(0..=4)? {
            0 | 1 => Type::Own(Kind::Mappable),
            2 => Type::Own(Kind::Frozen),
            _ => Type::scalar(u)?,
        })
    };
    let count = if u.ratio(1, 8)? { 16 } else { u.int_in_range(0..=4)? };
    let params = (0..count).map(|_| value(u)).collect::<Result<_>>()?;
    let result = if u.ratio(4, 5)? { Some(value(u)?) } else { None };
    Ok(Function { params, result })
}

/// What the embedder offers: the first to the driver at least. `needs` are those of the guests.
pub(super) fn desks(u: &mut Unstructured<'_>, needs: &mut [Vec<usize>]) -> Result<Vec<Part>> {
    let (guests, count) = (needs.len(), u.int_in_range(1..=2)?);
    for (guest, needs) in needs.iter_mut().enumerate() {
        for desk in 0..count {
            if guest + desk == 0 || u.arbitrary()? {
                needs.push(guests + desk);
            }
        }
    }
    let desk = |_| {
        Ok(Part {
            functions: (0..u.int_in_range(1..=3)?).map(|_| function(u)).collect::<Result<_>>()?,
            bodies: vec![],
            needs: vec![],
            seed: 0,
            encoding: Encoding::Utf8,
            fixed: false,
            two: false,
            nested: false,
            package: super::text::PACKAGE,
            renames: u.ratio(1, 3)?,
            embedders: true,
        })
    };
    (0..count).map(desk).collect()
}

/// Opens a tree that is joined.
pub(super) fn open(u: &mut Unstructured<'_>, plan: &mut Plan) -> Result<()> {
    let part = |instance: usize| &plan.components[plan.wires[instance].component];
    let (mut imports, mut can_be_exported) = (vec![], vec![]);
    for instance in 0..plan.wires.len() {
        let (part, all) = (part(instance), 0..part(instance).functions.len());
        if part.embedders {
            let form = *u.choose(&[Form::Functions, Form::Instance])?;
            imports.push(Port { instance, form, functions: all.collect() });
            // The engine exports none of them.
            continue;
        }
        let functions: Vec<_> = all.filter(|nth| part.functions[*nth].crosses()).collect();
        if !functions.is_empty() {
            can_be_exported.push((instance, functions));
        }
    }
    let mut exports = vec![];
    for _ in 0..u.int_in_range(1..=3)? {
        // Some twice.
        let (instance, functions) = u.choose(&can_be_exported)?.clone();
        let whole = part(instance).functions.iter().all(|function| function.crosses() || !function.has_handles());
        let forms = [Form::Functions, Form::Instance, Form::Whole];
        let form = forms[u.choose_index(if whole { 3 } else { 2 })?];
        exports.push(Port { instance, form, functions });
    }
    (plan.imports, plan.exports) = (imports, exports);
    Ok(())
}

/// Where an instance of the embedder's is in the root: its import, `$a<instance>` from then on.
pub(super) fn import(plan: &Plan, instance: usize) -> String {
    let component = plan.wires[instance].component;
    let part = &plan.components[component];
    let Some((nth, port)) = plan.imports.iter().enumerate().find(|(_, port)| port.instance == instance) else {
        return String::new();
    };
    let (within, name) = port.import_names(nth);
    if let Some(within) = within {
        return interface(plan, component, &within, &format!("a{instance}"));
    }
    let mut namer = Namer::new(false);
    let mut text = String::new();
    for (nth, function) in part.functions.iter().enumerate() {
        let name = name(nth);
        let _ = write!(text, "(import \"{name}\" (func ${name} {}))", namer.function(function));
    }
    let items = items(part, &namer, part.functions.iter().enumerate().map(|(nth, _)| (nth, name(nth))));
    text + &format!("(instance $a{instance} {items})")
}

/// The exports of an instance of the root.
pub(super) fn exports(plan: &Plan, instance: usize) -> String {
    let part = &plan.components[plan.wires[instance].component];
    let mut text = String::new();
    for (nth, port) in plan.exports.iter().enumerate().filter(|(_, port)| port.instance == instance) {
        let (within, name) = port.export_names(nth);
        if port.form == Form::Whole {
            let _ = write!(text, "(export \"{}\" (instance $a{instance}))", within.unwrap_or_default());
            continue;
        }
        let id = |function| format!("x{nth}f{function}");
        for &function in &port.functions {
            let id = id(function);
            let _ = write!(text, "(alias export $a{instance} \"f{function}\" (func ${id}))");
            if within.is_none() {
                let _ = write!(text, "(export \"{}\" (func ${id}))", name(function));
            }
        }
        if let Some(within) = within {
            let mut namer = Namer::new(false);
            port.functions.iter().for_each(|nth| drop(namer.function(&part.functions[*nth])));
            let items = items(part, &namer, port.functions.iter().map(|nth| (*nth, id(*nth))));
            let _ = write!(text, "(instance $x{nth} {items}) (export \"{within}\" (instance $x{nth}))");
        }
    }
    text
}
