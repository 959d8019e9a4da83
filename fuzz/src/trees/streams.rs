//! What guests of streaming trees have of the built-ins, for each sort of streams and futures.

use std::fmt::Write;

use super::types::Elements;

/// The built-ins, with their core parameters for a stream, their results and their options.
const BUILT_INS: [(&str, usize, &str, &str); 7] = [
    ("new", 0, "i64", ""),
    ("read", 3, "i32", "async (memory $mem) (realloc $realloc)"),
    ("write", 3, "i32", "async (memory $mem)"),
    ("cancel-read", 1, "i32", "async"),
    ("cancel-write", 1, "i32", "async"),
    ("drop-readable", 1, "", ""),
    ("drop-writable", 1, "", ""),
];

/// A future's read and write have no count.
fn params(elements: Elements, params: usize) -> usize {
    if elements.future { params.min(2) } else { params }
}

/// The library's imports and functions: each of these takes the sort's number first.
pub(super) fn library() -> (String, String) {
    let (mut imports, mut functions) = (String::new(), String::new());
    for (name, count, result, _) in BUILT_INS {
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        let _ = write!(functions, "(func $end-{name} (param $s i32) (param{}) {result}", " i32".repeat(count));
        for (nth, elements) in Elements::ALL.into_iter().enumerate() {
            let count = params(elements, count);
            let _ = write!(
                imports,
                "(import \"\" \"{name}-{nth}\" (func ${name}-{nth} (param{}) {result}))",
                " i32".repeat(count)
            );
            let arguments: String = (1..=count).map(|nth| format!("(local.get {nth})")).collect();
            let _ = write!(
                functions,
                "(if (i32.eq (local.get $s) (i32.const {nth})) (then (return (call ${name}-{nth} {arguments}))))"
            );
        }
        functions += "(unreachable))";
    }
    let number = |name: &str, of: fn(Elements) -> u32| {
        let of = |(nth, elements)| {
            format!("(if (i32.eq (local.get 0) (i32.const {nth})) (then (return (i32.const {}))))", of(elements))
        };
        let all: String = Elements::ALL.into_iter().enumerate().map(of).collect();
        format!("(func ${name} (param i32) (result i32) {all} (unreachable))")
    };
    functions += &number("is-future", |elements| elements.future.into());
    functions += &number("kind-of", |elements| elements.kind as u32);
    functions += &number("size-of", |elements| if elements.numbered { 8 } else { 4 });
    (imports, functions + include_str!("streams.wat"))
}

/// In a component: the types and built-ins, and what its library is instantiated with.
pub(super) fn built_ins() -> (String, String) {
    let (mut text, mut with) = (String::new(), String::new());
    for (nth, elements) in Elements::ALL.into_iter().enumerate() {
        let what = if elements.future { "future" } else { "stream" };
        let _ = write!(text, "(type $end-{nth} {})", elements.text(&format!("${}", elements.kind.name())));
        for (name, _, _, options) in BUILT_INS {
            let _ = write!(text, "(core func ${name}-{nth} (canon {what}.{name} $end-{nth} {options}))");
            let _ = write!(with, "(export \"{name}-{nth}\" (func ${name}-{nth}))");
        }
    }
    (text, with)
}
