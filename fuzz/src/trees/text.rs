//! A tree as text: components, instances, and what goes from one to another.

use std::fmt::Write;

use super::guest::Guest;
use super::types::{Function, Kind, Namer};
use super::{Part, Plan, Way, misuse, ports, streams};

/// What the package is imported as by the tree, and by most of its components.
pub(super) const PACKAGE: &str = "mappable:memory/types@0.1.0";

/// The package's functions, by what guests' libraries call them, and their core types.
const FUNCTIONS: [(&str, &str, &str); 17] = [
    ("allocate", "[static]mappable.allocate", "(param i64 i32)"),
    ("size", "[method]mappable.size", "(param i32) (result i64)"),
    ("map", "[static]mappable.map", "(param i32 i32 i32 i32)"),
    ("unmap", "[static]mapping.unmap", "(param i32 i32 i32 i32)"),
    ("read", "[method]mappable.read", "(param i32 i64 i32 i32)"),
    ("write", "[method]mappable.write", "(param i32 i64 i32 i32 i32)"),
    ("freeze", "[static]mappable.freeze", "(param i32) (result i32)"),
    ("split", "[static]mappable.split", "(param i32 i64 i32)"),
    ("join", "[static]mappable.join", "(param i32 i32 i32)"),
    ("size-frozen", "[method]frozen.size", "(param i32) (result i64)"),
    ("clone", "[method]frozen.clone", "(param i32 i32)"),
    ("slice", "[method]frozen.slice", "(param i32 i64 i64 i32)"),
    ("copy", "[method]frozen.copy", "(param i32 i32)"),
    ("map-frozen", "[static]frozen.map", "(param i32 i32 i32 i32)"),
    ("thaw", "[static]frozen.thaw", "(param i32 i32)"),
    ("read-frozen", "[method]frozen.read", "(param i32 i64 i32 i32)"),
    ("unmap-frozen", "[static]frozen-mapping.unmap", "(param i32 i32 i32 i32)"),
];

pub(super) fn tree(plan: &Plan) -> String {
    let mut text = format!("(component $root {}", imports(plan.handles, PACKAGE));
    text += &modules(plan);
    for (nth, part) in plan.components.iter().enumerate().filter(|(_, part)| !part.embedders) {
        text += &component(plan, nth, part);
    }
    for (nth, wires) in plan.wires.iter().enumerate() {
        let part = &plan.components[wires.component];
        if part.embedders {
            text += &ports::import(plan, nth);
            continue;
        }
        let mut with = String::new();
        for (need, (instance, way)) in part.needs.iter().zip(&wires.given) {
            let mut given = format!("$a{instance}");
            if *way != Way::Direct {
                text += &passer(plan, *need, &format!("{nth}-{need}"), &given, *way);
                given = format!("$b{nth}-{need}");
            }
            let _ = write!(with, "(with \"dep{need}\" (instance {given}))");
        }
        let _ = write!(
            text,
            "(instance $i{nth} (instantiate $c{} {} {with}))",
            wires.component,
            given(plan.handles, part.package)
        );
        let _ = match wires.component {
            0 => write!(text, "(alias export $i{nth} \"run\" (func $run)) (export \"run\" (func $run))"),
            other => write!(text, "(alias export $i{nth} \"api{other}\" (instance $a{nth}))"),
        };
        text += &ports::exports(plan, nth);
    }
    text + ")"
}

/// What the tree and each component imports.
fn imports(handles: bool, package: &str) -> String {
    let package = if handles { mappable_testing::wat::import_types(package) } else { String::new() };
    format!("{package} (import \"log\" (func $log (param \"what\" u32) (param \"hash\" u64) (result u64)))")
}

fn given(handles: bool, package: &str) -> String {
    let package = if handles { format!("(with \"{package}\" (instance $types))") } else { String::new() };
    format!("{package} (with \"log\" (func $log))")
}

/// The modules that all guests share.
fn modules(plan: &Plan) -> String {
    let Plan { handles, streams, .. } = *plan;
    let globals = misuse::GLOBALS.as_str();
    let libc = |limits: &str| {
        // Imports come first.
        include_str!("libc.wat")
            .replacen("(memory (export", &format!("{globals} (memory (export"), 1)
            .replace("@LIMITS@", limits)
    };
    let mut lib = String::from(
        "(import \"\" \"mem\" (memory 1)) (import \"\" \"log\" (func $log' (param i32 i64) (result i64)))",
    );
    if handles {
        lib += "(import \"\" \"set-arena\" (func $set-arena (param i32)))";
        for (name, _, ty) in FUNCTIONS {
            let _ = write!(lib, "(import \"\" \"{name}\" (func ${name} {ty}))");
        }
        for kind in Kind::ALL {
            let _ = write!(lib, "(import \"\" \"drop-{0}\" (func $drop-{0} (param i32)))", kind as u8);
        }
    }
    let mut more = String::new();
    if streams {
        let (imports, functions) = streams::library();
        (lib, more) = (lib + &imports, functions);
    }
    lib = lib + globals + include_str!("lib.wat") + if handles { include_str!("handles.wat") } else { "" } + &more;
    format!(
        "(core module $root-libc {}) (core module $root-fixed {}) (core module $root-lib {lib})",
        libc("16"),
        libc("16 100")
    )
}

/// The type of a component's interface, as an instance that is imported under this name, `$id` from then on.
pub(super) fn interface(plan: &Plan, nth: usize, name: &str, id: &str) -> String {
    let part = &plan.components[nth];
    let mut namer = Namer::new(true);
    let functions: String = part
        .functions
        .iter()
        .enumerate()
        .map(|(nth, function)| format!("(export \"f{nth}\" (func {}))", namer.function(function)))
        .collect();
    let mut text = format!("(import \"{name}\" (instance ${id} ");
    for kind in &namer.kinds {
        let name = kind.name();
        let _ = write!(
            text,
            "(alias outer 1 ${name} (type ${name}')) (export \"{}\" (type ${name} (eq ${name}')))",
            resource(part, *kind)
        );
    }
    text + &namer.definitions + &functions + "))"
}

/// What a component's interface calls a resource.
fn resource(part: &Part, kind: Kind) -> String {
    if part.renames { format!("of-{}", kind.name()) } else { kind.name().into() }
}

/// The instance's items, for an instance in place: types first. Of functions the number, and by which name they are
/// there.
pub(super) fn items(part: &Part, namer: &Namer, functions: impl Iterator<Item = (usize, String)>) -> String {
    let mut text = String::new();
    for kind in &namer.kinds {
        let _ = write!(text, "(export \"{}\" (type ${}))", resource(part, *kind), kind.name());
    }
    for nth in 0..namer.named {
        let _ = write!(text, "(export \"t{nth}\" (type $t{nth}))");
    }
    for (nth, id) in functions {
        let _ = write!(text, "(export \"f{nth}\" (func ${id}))");
    }
    text
}

/// All functions of a component, where they are called what its interface calls them.
fn all(part: &Part) -> impl Iterator<Item = (usize, String)> {
    (0..part.functions.len()).map(|nth| (nth, format!("f{nth}")))
}

/// A component between two others, and its instance: `$b<id>` is what it exports.
fn passer(plan: &Plan, need: usize, id: &str, given_instance: &str, way: Way) -> String {
    let part = &plan.components[need];
    let mut text =
        format!("(component $p{id} {} {}", imports(plan.handles, PACKAGE), interface(plan, need, "in", "in"));
    if way == Way::Passed {
        text += "(export \"out\" (instance $in)))";
    } else {
        let mut namer = Namer::new(false);
        part.functions.iter().for_each(|function| drop(namer.function(function)));
        for nth in 0..namer.named {
            let _ = write!(text, "(alias export $in \"t{nth}\" (type $t{nth}))");
        }
        for nth in 0..part.functions.len() {
            let _ = write!(text, "(alias export $in \"f{nth}\" (func $f{nth}))");
        }
        let _ = write!(text, "(instance $out {}) (export \"out\" (instance $out)))", items(part, &namer, all(part)));
    }
    let _ = write!(
        text,
        "(instance $q{id} (instantiate $p{id} {} (with \"in\" (instance {given_instance}))))
         (alias export $q{id} \"out\" (instance $b{id}))",
        given(plan.handles, PACKAGE)
    );
    text
}

fn component(plan: &Plan, nth: usize, part: &Part) -> String {
    let mut head = imports(plan.handles, part.package);
    for need in &part.needs {
        let name = format!("dep{need}");
        head += &interface(plan, *need, &name, &name);
    }
    let inner = head.clone() + &contents(plan, nth, part);
    if !part.nested {
        return format!("(component $c{nth} {inner})");
    }
    let mut with = given(plan.handles, part.package);
    for need in &part.needs {
        let _ = write!(with, "(with \"dep{need}\" (instance $dep{need}))");
    }
    let (export, sort) = if nth == 0 { ("run".into(), "func") } else { (format!("api{nth}"), "instance") };
    format!(
        "(component $c{nth} {head} (component $inner {inner}) (instance $inside (instantiate $inner {with}))
           (alias export $inside \"{export}\" ({sort} $it)) (export \"{export}\" ({sort} $it)))"
    )
}

/// What is in a component but its imports.
fn contents(plan: &Plan, nth: usize, part: &Part) -> String {
    let mut text = String::from("(core func $log' (canon lower (func $log)))");
    if !plan.handles {
        text += NOTHING;
    }
    let core = core(plan, nth, part);
    text += &core;
    if part.two {
        text += &again(&core);
    }
    text + &exports(nth, part)
}

/// The guest, its libraries and its memory.
fn core(plan: &Plan, nth: usize, part: &Part) -> String {
    let libc = if part.fixed { "$root-fixed" } else { "$root-libc" };
    let drop_one = match plan.handles {
        true => "(core func $drop-1 (canon resource.drop $mappable))",
        // Nothing to drop: it leaves all the same.
        false => "(core func $drop-1 (canon lower (func $nothing)))",
    };
    let mut text = format!(
        "(alias outer $root {libc} (core module $libc)) (alias outer $root $root-lib (core module $lib)) {drop_one}
         (core instance $libc (instantiate $libc (with \"\" (instance
           (export \"log\" (func $log')) (export \"drop\" (func $drop-1))))))
         (alias core export $libc \"mem\" (core memory $mem))
         (alias core export $libc \"realloc\" (core func $realloc))"
    );
    let options = options(part, "");
    text += &library(plan);
    let mut callees: Vec<&Function> = vec![];
    for need in &part.needs {
        for (nth, function) in plan.components[*need].functions.iter().enumerate() {
            let _ =
                write!(text, "(core func $k{} (canon lower (func $dep{need} \"f{nth}\") {options}))", callees.len());
            callees.push(function);
        }
    }
    let guest = Guest {
        tag: nth + 1,
        handles: plan.handles,
        streams: plan.streams,
        encoding: part.encoding,
        seed: part.seed,
        callees,
        functions: &part.functions,
        bodies: &part.bodies,
    };
    let _ = write!(text, "(core module $main {})", guest.text());
    let libc = ["alloc", "tampered", "top", "forget"]
        .map(|name| format!("(alias core export $libc \"{name}\" (core func ${name})) "));
    text += &libc.concat();
    text += "(alias core export $libc \"set-misuse\" (core func $set-misuse))";
    let callees: String = (0..guest.callees.len()).map(|nth| format!("(export \"k{nth}\" (func $k{nth}))")).collect();
    let _ = write!(
        text,
        "(core instance $main (instantiate $main (with \"lib\" (instance $lib)) (with \"\" (instance
           (export \"mem\" (memory $mem)) (export \"log\" (func $log')) (export \"alloc\" (func $alloc))
           (export \"tampered\" (func $tampered)) (export \"top\" (func $top)) (export \"forget\" (func $forget))
           (export \"set-misuse'\" (func $set-misuse)) {callees}))))"
    );
    text
}

fn options(part: &Part, again: &str) -> String {
    format!("(memory $mem{again}) (realloc $realloc{again}) {}", part.encoding.option())
}

/// Behind the names of the second guest of a component, and of all that is its own.
const AGAIN: &str = "~";

/// The same text with other names, but for what is outside of it.
fn again(text: &str) -> String {
    let outside = |name: &str| {
        let kinds = Kind::ALL.map(Kind::name);
        let starts = ["root", "dep"].iter().any(|start| name.starts_with(start));
        starts || kinds.contains(&name) || ["types", "nothing", "log'"].contains(&name)
    };
    let mut parts = text.split('$');
    let mut out = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_at(part.find([' ', ')', '(', '\n']).unwrap_or(part.len()));
        let mark = if outside(name) { "" } else { AGAIN };
        out += &format!("${name}{mark}{rest}");
    }
    out
}

const NOTHING: &str = r#"(core module $nothing (func (export "f") (param i32)))
    (core instance $nothing (instantiate $nothing))
    (func $nothing (param "x" u32) (canon lift (core func $nothing "f")))"#;

/// The library, and what it needs of the package.
fn library(plan: &Plan) -> String {
    let Plan { handles, streams, .. } = *plan;
    let mut text = String::new();
    let mut with = String::from("(export \"mem\" (memory $mem)) (export \"log\" (func $log'))");
    if handles {
        text += "(alias core export $libc \"set-arena\" (core func $set-arena))";
        with += "(export \"set-arena\" (func $set-arena))";
        for (name, function, _) in FUNCTIONS {
            let _ = write!(
                text,
                "(core func ${name} (canon lower (func $types \"{function}\") (memory $mem) {}))",
                if name.starts_with("read") { "(realloc $realloc)" } else { "" }
            );
            let _ = write!(with, "(export \"{name}\" (func ${name}))");
        }
        for kind in Kind::ALL {
            if kind != Kind::Mappable {
                let _ = write!(text, "(core func $drop-{} (canon resource.drop ${}))", kind as u8, kind.name());
            }
            let _ = write!(with, "(export \"drop-{0}\" (func $drop-{0}))", kind as u8);
        }
    }
    if streams {
        let (built_ins, given) = streams::built_ins();
        (text, with) = (text + &built_ins, with + &given);
    }
    text + &format!("(core instance $lib (instantiate $lib (with \"\" (instance {with}))))")
}

/// What the component exports.
fn exports(nth: usize, part: &Part) -> String {
    if nth == 0 {
        return "(func $run (param \"seed\" u32) (result u64) (canon lift (core func $main \"run\")))
            (export \"run\" (func $run))"
            .into();
    }
    let mut namer = Namer::new(false);
    let mut lifts = String::new();
    for (nth, (function, body)) in part.functions.iter().zip(&part.bodies).enumerate() {
        let ty = namer.function(function);
        let again = if part.two && nth % 2 == 1 { AGAIN } else { "" };
        let main = format!("$main{again}");
        let options = options(part, again);
        let post_return = if body.post_return { format!("(post-return (func {main} \"p{nth}\"))") } else { "".into() };
        let _ = write!(lifts, "(func $f{nth} {ty} (canon lift (core func {main} \"f{nth}\") {options} {post_return}))");
    }
    let definitions = std::mem::take(&mut namer.definitions);
    format!(
        "{definitions} {lifts} (instance $out {}) (export \"api{nth}\" (instance $out))",
        items(part, &namer, all(part))
    )
}
