//! The built-ins of streams and futures as functions of a guest of [`wat`], by which a test drives both ends step by step;
//! and guests of one composition that pass readable ends to one another.

use std::fmt::Write;

use crate::wat;

/// A type of streams, or of futures: the first part of its functions' names, `stream` or `future`, and the payload.
pub type Sort<'a> = (&'a str, &'a str, &'a str);

/// The built-ins as text, for several sorts.
#[derive(Default)]
pub struct BuiltIns {
    /// The types, named as the sorts are, and core functions. They go into a component that has a guest's `$mem` and `$realloc`.
    pub canons: String,
    /// Imports of a core module, and its exports.
    pub imports: String,
    pub exports: String,
    /// What such a module is instantiated with, as exports of an instance with no name.
    pub given: String,
    /// Functions of the component, where the module's instance is `$ends`.
    pub lifts: String,
}

/// The built-ins with their core types and options.
const BUILT_INS: [(&str, &str, &str); 6] = [
    ("read", "(param i32 i32 i32) (result i32)", "async (memory $mem) (realloc $realloc)"),
    ("write", "(param i32 i32 i32) (result i32)", "async (memory $mem)"),
    ("cancel-read", "(param i32) (result i32)", "async"),
    ("cancel-write", "(param i32) (result i32)", "async"),
    ("drop-readable", "(param i32)", ""),
    ("drop-writable", "(param i32)", ""),
];

impl BuiltIns {
    pub fn new(sorts: &[Sort<'_>]) -> Self {
        let mut all = Self::default();
        sorts.iter().for_each(|sort| all.add(*sort));
        all
    }

    fn add(&mut self, (name, kind, payload): Sort<'_>) {
        let Self { canons, imports, exports, given, lifts } = self;
        *canons += &format!(
            "(type ${name}-payload {payload}) (type ${name} ({kind} ${name}-payload))
            (core func ${name}.new (canon {kind}.new ${name}))"
        );
        *imports += &format!(r#"(import "" "{name}.new" (func ${name}.new (result i64)))"#);
        *exports += &format!(r#"(func (export "{name}-new") (result i64) (call ${name}.new))"#);
        *given += &format!(r#"(export "{name}.new" (func ${name}.new))"#);
        *lifts += &format!(r#"(func (export "{name}-new") (result u64) (canon lift (core func $ends "{name}-new")))"#);
        for (op, ty, options) in BUILT_INS {
            // A future's read and write have no count.
            let ty = if kind == "future" { ty.replace("i32 i32 i32", "i32 i32") } else { ty.to_owned() };
            let params = ty.split(')').next().unwrap().matches("i32").count();
            let arguments: String = (0..params).map(|at| format!("(local.get {at})")).collect();
            let lifted: String = (0..params).map(|at| format!(r#"(param "p{at}" u32)"#)).collect();
            let result = if ty.contains("result") { "(result u32)" } else { "" };
            *canons += &format!("(core func ${name}.{op} (canon {kind}.{op} ${name} {options}))");
            *imports += &format!(r#"(import "" "{name}.{op}" (func ${name}.{op} {ty}))"#);
            *exports += &format!(r#"(func (export "{name}-{op}") {ty} (call ${name}.{op} {arguments}))"#);
            *given += &format!(r#"(export "{name}.{op}" (func ${name}.{op}))"#);
            *lifts += &format!(
                r#"(func (export "{name}-{op}") {lifted} {result} (canon lift (core func $ends "{name}-{op}")))"#
            );
        }
    }
}

/// The names of a sort's functions in the guests of [`pair`].
pub struct Names {
    pub future: bool,
    pub frozen: bool,
    pub new: &'static str,
    pub read: &'static str,
    pub write: &'static str,
    pub cancel: [&'static str; 2],
    pub close: [&'static str; 2],
    /// Takes a readable end that is the host's.
    pub take: &'static str,
    /// Gives a readable end to the host.
    pub give: &'static str,
    /// Passes a readable end from `a` to `b`.
    pub pass: &'static str,
    /// Fetches a readable end of `b`'s for `a`.
    pub fetch: &'static str,
}

macro_rules! names {
    ($name:literal, $future:literal, $frozen:literal) => {
        Names {
            future: $future,
            frozen: $frozen,
            new: concat!($name, "-new"),
            read: concat!($name, "-read"),
            write: concat!($name, "-write"),
            cancel: [concat!($name, "-cancel-write"), concat!($name, "-cancel-read")],
            close: [concat!($name, "-drop-writable"), concat!($name, "-drop-readable")],
            take: concat!("take-", $name),
            give: concat!("give-", $name),
            pass: concat!("pass-", $name),
            fetch: concat!("fetch-", $name),
        }
    };
}

/// The sorts of the guests of [`pair`], and the resource that they are of in the peer's type.
const SORTS: [(Sort<'static>, &str); 4] = [
    (("stream", "stream", "(own $mappable)"), "$r"),
    (("future", "future", "(own $mappable)"), "$r"),
    (("frozen-stream", "stream", "(own $frozen)"), "$t"),
    (("frozen-future", "future", "(own $frozen)"), "$t"),
];

static NAMES: [Names; 4] = [
    names!("stream", false, false),
    names!("future", true, false),
    names!("frozen-stream", false, true),
    names!("frozen-future", true, true),
];

impl Names {
    pub fn of(future: bool, frozen: bool) -> &'static Self {
        &NAMES[usize::from(future) + 2 * usize::from(frozen)]
    }
}

/// A guest with streams and futures of regions and of references, and nobody to pass ends to.
pub fn guest(memory: &str) -> String {
    extended(&wat::guest(memory))
}

/// [`wat::pair`] of such guests: `a` passes readable ends to `b`, and fetches them.
pub fn pair(memory: &str) -> String {
    extended(&wat::pair(memory))
}

/// More in each guest. `poll` says what became of an end that is in use: the event's number, and above it its result.
fn extended(text: &str) -> String {
    let built_ins = BuiltIns::new(&SORTS.map(|(sort, _)| sort));
    let BuiltIns { canons, mut imports, mut exports, mut given, mut lifts } = built_ins;
    let (mut peer, mut lowered, mut nobody, mut own) = (String::new(), String::new(), String::new(), String::new());
    for ((name, kind, _), resource) in SORTS {
        let _ = write!(
            peer,
            r#"(type ${name}' ({kind} (own {resource})))
            (export "accept-{name}" (func (param "end" ${name}') (result u32)))
            (export "give-back-{name}" (func (param "end" u32) (result ${name}')))"#
        );
        for (doing, theirs) in [("pass", "accept"), ("fetch", "give-back")] {
            let _ = write!(lowered, r#"(core func ${doing}-{name} (canon lower (func $peer "{theirs}-{name}")))"#);
            let _ = write!(nobody, r#"(alias core export $nobody "pass" (core func ${doing}-{name}))"#);
            let _ = write!(imports, r#"(import "" "{doing}-{name}" (func ${doing}-{name} (param i32) (result i32)))"#);
            let _ = write!(
                exports,
                r#"(func (export "{doing}-{name}") (param i32) (result i32) (call ${doing}-{name} (local.get 0)))"#
            );
            let _ = write!(given, r#"(export "{doing}-{name}" (func ${doing}-{name}))"#);
            let _ = write!(
                lifts,
                r#"(func (export "{doing}-{name}") (param "end" u32) (result u32)
                    (canon lift (core func $ends "{doing}-{name}")))"#
            );
        }
        let _ = write!(
            lifts,
            r#"(func (export "take-{name}") (param "end" ${name}) (result u32) (canon lift (core func $ends "identity")))
            (func (export "give-{name}") (param "end" u32) (result ${name}) (canon lift (core func $ends "identity")))
            (func $accept-{name} (param "end" ${name}) (result u32) (canon lift (core func $ends "identity")))
            (func $give-back-{name} (param "end" u32) (result ${name}) (canon lift (core func $ends "identity")))"#
        );
        for theirs in ["accept", "give-back"] {
            let _ = write!(own, r#"(export "{theirs}-{name}" (func ${theirs}-{name}))"#);
        }
    }
    let fields = format!(
        r#"{canons}
        (core func $new-set (canon waitable-set.new))
        (core func $join-set (canon waitable.join))
        (core func $poll-set (canon waitable-set.poll (memory $mem)))
        (core module $Ends {imports}
            (import "" "mem" (memory 1))
            (import "" "new-set" (func $new-set (result i32)))
            (import "" "join-set" (func $join-set (param i32 i32)))
            (import "" "poll-set" (func $poll-set (param i32 i32) (result i32)))
            {exports}
            (global $set (mut i32) (i32.const 0))
            (func (export "poll") (param $end i32) (result i64) (local $event i32)
                (if (i32.eqz (global.get $set)) (then (global.set $set (call $new-set))))
                (call $join-set (local.get $end) (global.get $set))
                (local.set $event (call $poll-set (global.get $set) (i32.const 1536)))
                (call $join-set (local.get $end) (i32.const 0))
                (i64.or (i64.extend_i32_u (local.get $event))
                    (i64.shl (i64.load32_u (i32.const 1540)) (i64.const 32))))
            (func (export "identity") (param i32) (result i32) (local.get 0)))
        (core instance $ends (instantiate $Ends (with "" (instance {given}
            (export "mem" (memory $mem)) (export "new-set" (func $new-set)) (export "join-set" (func $join-set))
            (export "poll-set" (func $poll-set))))))
        (func (export "poll") (param "end" u32) (result u64) (canon lift (core func $ends "poll")))
        {lifts}"#
    );
    const IMPORTED: &str = r#"(export "poke" (func (param "address" u32) (result u32)))"#;
    const LOWERED: &str = r#"(core func $poke (canon lower (func $peer "poke")))"#;
    const NOBODY: &str = r#"(alias core export $nobody "pass" (core func $poke))"#;
    const OWN: &str = r#"(export "poke" (func $touch))"#;
    let mut text = wat::extended(text, "", &fields);
    for (there, more) in [(IMPORTED, peer), (LOWERED, lowered), (NOBODY, nobody), (OWN, own)] {
        assert!(text.contains(there) || there == IMPORTED || there == LOWERED, "no {there}");
        text = text.replace(there, &format!("{there} {more}"));
    }
    text
}
