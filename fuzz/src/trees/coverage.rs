//! What a tree has in it.

use std::collections::BTreeMap;

use arbitrary::Unstructured;

use super::types::{Function, Type};
use super::{Encoding, Plan, Sort, Way};

/// How often something is in a tree.
pub type Counts = BTreeMap<String, usize>;

/// What is in so many trees together, each of the sort that goes with its seed.
///
/// # Panics
///
/// If one can't be made.
pub fn of_trees(seeds: u64, sort: impl Fn(u64) -> Sort, counts: fn(&Plan) -> Counts) -> Counts {
    let mut all = Counts::new();
    for seed in 0..seeds {
        let bytes = crate::noise(seed, 3000);
        let tree = super::tree(&mut Unstructured::new(&bytes), sort(seed)).expect("what is exhausted gives zeros");
        for (what, count) in counts(&tree.plan) {
            *all.entry(what).or_default() += count;
        }
    }
    all
}

/// Where in functions each sort of handle and list is, and what shapes the tree has.
pub fn counts(plan: &Plan) -> Counts {
    let mut counts = Counts::new();
    let mut add = |what: String| *counts.entry(what).or_default() += 1;
    for part in &plan.components {
        for function in &part.functions {
            positions(function, &mut add);
        }
        for (holds, what) in [
            (part.nested, "nested"),
            (part.renames, "renamed"),
            (part.fixed, "fixed memory"),
            (part.encoding == Encoding::Utf16, "utf-16"),
            (part.encoding == Encoding::Latin1, "latin-1"),
            (part.two, "two memories"),
        ] {
            if holds {
                add(what.into());
            }
        }
        if part.bodies.iter().any(|body| body.post_return) {
            add("post-return".into());
        }
    }
    for (nth, wires) in plan.wires.iter().enumerate() {
        if plan.wires[..nth].iter().any(|it| it.component == wires.component) {
            add("instance again".into());
        }
        for (instance, way) in &wires.given {
            if *way != Way::Direct {
                add(format!("{way:?}"));
            }
            if plan.wires[..nth].iter().any(|it| it.given.iter().any(|(given, _)| given == instance)) {
                add("diamond".into());
            }
        }
    }
    counts
}

/// Which functions with handles are at an open tree's ports, and in what form.
pub fn counts_of_ports(plan: &Plan) -> Counts {
    let mut counts = Counts::new();
    let mut add = |what: String| *counts.entry(what).or_default() += 1;
    for (side, ports) in [("import", &plan.imports), ("export", &plan.exports)] {
        for (nth, port) in ports.iter().enumerate() {
            let form = port.form;
            for function in port.functions.iter().map(|at| plan.function(port, *at)) {
                positions(function, &mut |what| add(format!("{what}, {side}, {form:?}")));
                if function.params.len() == 16 {
                    add(format!("sixteen parameters, {side}, {form:?}"));
                }
            }
            if ports[..nth].iter().any(|other| other.instance == port.instance) {
                add("exported twice".into());
            }
        }
    }
    counts
}

fn positions(function: &Function, add: &mut impl FnMut(String)) {
    let params = if function.flat_params().1 { "spilled" } else { "flat" };
    let result = if function.flat_result().1 { "area" } else { "flat result" };
    let sides = function.params.iter().map(|ty| (params, ty)).chain(function.result.iter().map(|ty| (result, ty)));
    for (side, ty) in sides {
        if ty.has(|ty| matches!(ty, Type::Variant(cases) if cases.len() > 2 && ty.has(Type::is_plain_list))) {
            add(format!("plain list in a variant of more cases, {side}"));
        }
        ty.walk(&mut vec![side], &mut |ty, around| {
            let what = match ty {
                Type::Own(kind) => format!("own {}", kind.name()),
                Type::Borrow(kind) => format!("borrow {}", kind.name()),
                Type::End(elements) => elements.name(),
                Type::List(_) if around.len() == 1 && ty.is_plain_list() => "plain list".into(),
                Type::List(_) => "list".into(),
                Type::String => "string".into(),
                _ => return,
            };
            around.iter().for_each(|place| add(format!("{what} in {place}")));
        });
    }
}
