//! Random trees: what comes out is what went in, but for the refreshes.
//!
//! Everything that may move has a name, names move with what they name, and so a text tells whether each item and
//! each use of it went to the same place.

use proptest::prelude::*;

use crate::ledger::auto_is_sound;
use crate::support::{refreshes, rewritten, wasm};
use crate::trees::head;

/// One step of a component.
#[derive(Clone, Debug)]
enum Step {
    LowerSwapping(bool),
    LowerOther,
    /// An instance whose argument is the nth lower of a swapping function, or of another.
    Use(bool, prop::sample::Index),
    Module,
    /// An instance of the nth outer or own module.
    Instance(prop::sample::Index),
    /// A lift of the nth lower of a swapping function.
    Lift(prop::sample::Index),
    Nested(Vec<Step>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Step::LowerSwapping),
        Just(Step::LowerOther),
        any::<(bool, prop::sample::Index)>().prop_map(|(swapping, nth)| Step::Use(swapping, nth)),
        Just(Step::Module),
        any::<prop::sample::Index>().prop_map(Step::Instance),
        any::<prop::sample::Index>().prop_map(Step::Lift),
    ];
    let step = leaf.prop_recursive(3, 40, 10, |step| prop::collection::vec(step, 0..10).prop_map(Step::Nested));
    prop::collection::vec(step, 0..16)
}

/// The text of a component, and how many swapping functions are lowered in its tree. All that may move has a name.
fn component(steps: &[Step], outer: &[(usize, usize)], depth: usize, ids: &mut usize) -> (String, usize) {
    let mut text = head();
    // Depth and name of each module that can be seen.
    let mut modules = outer.to_vec();
    let (mut swapping, mut others, mut lowers) = (0, 0, 0);
    for step in steps {
        *ids += 1;
        let id = *ids;
        match step {
            Step::LowerSwapping(map) => {
                let name = if *map { "map" } else { "unmap" };
                text += &format!(r#"(core func $s{swapping} (canon lower (func $types "{name}") (memory $memory)))"#);
                swapping += 1;
                lowers += 1;
            }
            Step::LowerOther => {
                text += &format!(r#"(core func $o{others} (canon lower (func $types "granule")))"#);
                others += 1;
            }
            Step::Use(true, nth) if swapping > 0 => {
                text += &instance_of("user", id, &format!("s{}", nth.index(swapping)));
            }
            Step::Use(false, nth) if others > 0 => {
                text += &instance_of("asker", id, &format!("o{}", nth.index(others)));
            }
            Step::Lift(nth) if swapping > 0 => {
                text += &format!(
                    r#"(func (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32)
                         (canon lift (core func $s{})))"#,
                    nth.index(swapping)
                );
            }
            Step::Module => {
                text += &format!(r#"(core module $m{id} (func (export "f{id}")))"#);
                modules.push((depth, id));
            }
            Step::Instance(nth) if !modules.is_empty() => {
                let (at, of) = modules[nth.index(modules.len())];
                let count = depth - at;
                text += &format!(
                    r#"(alias outer {count} $m{of} (core module $a{id}))
                       (core instance $i{id} (instantiate $a{id}))
                       (alias core export $i{id} "f{of}" (core func $f{id}))"#
                );
            }
            Step::Nested(steps) => {
                let (nested, more) = component(steps, &modules, depth + 1, ids);
                text += &nested.replacen("(component", &format!("(component $n{id}"), 1);
                text += &format!(
                    r#"(instance $j{id} (instantiate $n{id} (with "mappable:memory/types@0.1.0" (instance $types))))"#
                );
                lowers += more;
            }
            Step::Use(..) | Step::Lift(_) | Step::Instance(_) => {}
        }
    }
    (format!("(component {text})"), lowers)
}

/// An instance of a module that imports one function.
fn instance_of(module: &str, id: usize, func: &str) -> String {
    format!(
        r#"(core instance $x{id} (export "f" (func ${func})))
           (core instance $u{id} (instantiate ${module} (with "" (instance $x{id}))))"#
    )
}

/// The lines of a component's text without indices in comments.
fn lines(component: &[u8]) -> Vec<String> {
    let text = wasmprinter::print_bytes(component).unwrap();
    text.lines().map(without_comments).collect()
}

fn without_comments(line: &str) -> String {
    let mut parts = line.split(" (;");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept += part.split_once(";)").expect("comments end on their line").1;
    }
    kept
}

/// The lines of a rewritten component with all that was put in taken out again, told by its having no name.
fn without_refreshes(component: &[u8]) -> Vec<String> {
    let printed = lines(component).join("\n").replace("mappable:k0/", "mappable:memory/");
    let mut kept = Vec::new();
    let mut lines = printed.lines();
    while let Some(line) = lines.next() {
        let (indent, item) = line.split_at(line.len() - line.trim_start().len());
        if item == "(core module" {
            // The refresh's module.
            let end = format!("{indent})");
            assert!(lines.any(|line| line == end));
        } else if let Some(lower) = item.strip_prefix("(core func (canon lower ") {
            // A lower whose name has gone to what its refresh exports, which is the next alias.
            let alias = lines.find(|line| line.contains("(alias core export ")).unwrap();
            assert!(alias.contains("\"refreshed\""), "{alias}");
            let name = alias.rsplit(' ').next().unwrap().trim_end_matches(')');
            kept.push(format!("{indent}(core func {name} (canon lower {lower}"));
        } else {
            kept.push(line.to_owned());
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_gets_a_refresh_for_each_swapping_lower_and_nothing_else_changes(steps in steps()) {
        let (text, lowers) = component(&steps, &[], 0, &mut 0);
        let input = wasm(&text);
        let output = rewritten(&input);
        prop_assert_eq!(refreshes(&output), lowers);
        prop_assert_eq!(without_refreshes(&output), lines(&input));
    }

    #[test]
    fn any_tree_is_written_for_the_ledger_or_stays_at_baseline(steps in steps()) {
        let (text, lowers) = component(&steps, &[], 0, &mut 0);
        // The package's own functions, so that a tree is closed if nobody lifts them.
        let text = text.replace("\"map\"", "\"[static]mappable.map\"").replace("\"unmap\"", "\"[static]mapping.unmap\"");
        let lifted = text.contains("(canon lift");
        prop_assert_eq!(auto_is_sound(&wasm(&text)), lowers > 0, "lifted: {}", lifted);
    }
}
