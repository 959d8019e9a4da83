//! The components, in text: for elements of a kind, of so many bytes, and for so many consumers.

use mappable::GRANULE;

/// What the elements of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Region,
    Frozen,
    /// The bytes of an element, one by one: a `stream<u8>`.
    Bytes,
    Number,
    /// A handle of another component's resource, which has no bytes.
    Handle,
}

/// What is done with each element, besides passing it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Work {
    /// The producer writes three words, and consumers read them
    Touch,
    /// The producer writes three words, and consumers read all
    Sum,
}

/// Where an element is in a memory.
const START: u64 = GRANULE;

/// Each word of an element is its place times that.
const NOISE: u64 = 0x9e37_79b9_7f4a_7c15;

/// By streams.
pub(super) fn streams(element: Element, bytes: u64, consumers: u32, work: Work) -> String {
    let each = |of: &dyn Fn(u32) -> String| (0..consumers).map(of).collect::<Vec<_>>().join("\n");
    let ty = element.ty();
    let imported = each(&|at| {
        format!(
            r#"(import "open{at}" (func $open{at} (param "elements" $elements) (result $elements)))
    (import "consume{at}" (func $consume{at} async (param "count" u32) (result u64)))"#
        )
    });
    let lowered = each(&|at| {
        format!(
            "(core func $open{at} (canon lower (func $open{at})))
    (core func $consume{at} (canon lower (func $consume{at}) async (memory $mem)))"
        )
    });
    let used = each(&|at| {
        format!(
            r#"(import "host" "open{at}" (func $open{at} (param i32) (result i32)))
      (import "host" "consume{at}" (func $consume{at} (param i32 i32) (result i32)))"#
        )
    });
    let given =
        each(&|at| format!(r#"(export "open{at}" (func $open{at})) (export "consume{at}" (func $consume{at}))"#));
    let open = each(&|at| {
        let (out, back) = (1024 + 4 * at, 1088 + 4 * at);
        format!(
            "(local.set $ends (call $new))
        (i32.store (i32.const {out}) (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (i32.store (i32.const {back}) (call $open{at} (i32.wrap_i64 (local.get $ends))))
        (call $join (i32.load (i32.const {out})) (global.get $set))
        (call $join (i32.load (i32.const {back})) (global.get $set))"
        )
    });
    // 1: it has begun, and waits for an element.
    let consume = each(&|at| {
        let found = 1280 + 8 * at;
        format!(
            "(local.set $task (call $consume{at} (local.get $count) (i32.const {found})))
        (if (i32.ne (i32.and (local.get $task) (i32.const 15)) (i32.const 1)) (then unreachable))
        (call $join (i32.shr_u (local.get $task) (i32.const 4)) (global.get $set))
        (global.set $consumers (i32.add (global.get $consumers) (i32.const 1)))"
        )
    });
    let (defined, types, with) = element.types();
    let ends = |at| format!(r#"(with "open{at}" (func $c{at} "open")) (with "consume{at}" (func $c{at} "consume"))"#);
    let instances = instances(consumers, with, &ends);
    let [lowers, imports, exports] = element.functions(Side::Producer);
    let [takes, takes_imports, takes_exports] = element.functions(Side::Consumer);
    let (at, from, count) = match element {
        Element::Bytes => (START, "(i32.const START)", bytes),
        _ => (1216, "(i32.add (i32.const 1216) (local.get $to))", 1),
    };
    // The longer words are replaced first, as others are parts of them.
    let words = [
        ("DEFINED", defined.to_owned()),
        ("TYPES", types.to_owned()),
        ("CONSUMER-FUNCTIONS", takes),
        ("CONSUMER-IMPORTS", takes_imports),
        ("CONSUMER-GIVEN", takes_exports),
        ("PRODUCER-FUNCTIONS", lowers),
        ("PRODUCER-IMPORTS", imports),
        ("PRODUCER-GIVEN", exports),
        ("CONSUMERS-IMPORTED", imported),
        ("CONSUMERS-LOWERED", lowered),
        ("CONSUMERS-USED", used),
        ("CONSUMERS-GIVEN", given),
        ("INSTANCES", instances),
        ("ELEMENT", ty.to_owned()),
        ("LOOK", include_str!("look.wat").trim_end().to_owned()),
        ("MARKS", element.marks().to_string()),
        ("MARK", include_str!("mark.wat").trim_end().to_owned()),
        ("TAKE", element.take().to_owned()),
        ("OPEN", open),
        ("BEGIN", element.begin().to_owned()),
        ("MAKE", element.make(consumers)),
        ("COLLECT", element.collect(consumers)),
        ("CONSUMERS", consumers.to_string()),
        ("CONSUME", consume),
        ("FROM", from.to_owned()),
        ("BACK", u32::from(element != Element::Bytes).to_string()),
        ("COMPLETED", (count << 4).to_string()),
        ("COUNT", count.to_string()),
        ("AT", at.to_string()),
        ("EACH", element.found(bytes, work).to_string()),
    ];
    of_size(include_str!("streams.wat"), &words, bytes, work)
}

/// By calls with lists.
pub(super) fn lists(bytes: u64, consumers: u32, work: Work) -> String {
    let each = |of: &dyn Fn(u32) -> String| (0..consumers).map(of).collect::<Vec<_>>().join("\n");
    let words = [
        (
            "CONSUMERS-IMPORTED",
            each(&|at| {
                format!(
                    r#"(import "take{at}" (func $take{at} (param "element" (list u8))))
    (import "found{at}" (func $found{at} (result u64)))"#
                )
            }),
        ),
        (
            "CONSUMERS-LOWERED",
            each(&|at| {
                format!(
                    "(core func $take{at} (canon lower (func $take{at}) (memory $mem)))
    (core func $found{at} (canon lower (func $found{at})))"
                )
            }),
        ),
        (
            "CONSUMERS-USED",
            each(&|at| {
                format!(
                    r#"(import "host" "take{at}" (func $take{at} (param i32 i32)))
      (import "host" "found{at}" (func $found{at} (result i64)))"#
                )
            }),
        ),
        (
            "CONSUMERS-GIVEN",
            each(&|at| format!(r#"(export "take{at}" (func $take{at})) (export "found{at}" (func $found{at}))"#)),
        ),
        (
            "INSTANCES",
            instances(consumers, "", &|at| {
                format!(r#"(with "take{at}" (func $c{at} "take")) (with "found{at}" (func $c{at} "found"))"#)
            }),
        ),
        ("PASS", each(&|at| format!("(call $take{at} (i32.const START) (i32.const SIZE))"))),
        ("CHECK", each(&|at| format!("(if (i64.ne (call $found{at}) (local.get $expected)) (then unreachable))"))),
        ("LOOK", include_str!("look.wat").trim_end().to_owned()),
        ("MARK", include_str!("mark.wat").trim_end().to_owned()),
        ("EACH", of_each(bytes, work).to_string()),
    ];
    of_size(include_str!("lists.wat"), &words, bytes, work)
}

fn instances(consumers: u32, with: &str, ends: &dyn Fn(u32) -> String) -> String {
    let mut text = String::new();
    for at in 0..consumers {
        text += &format!("(instance $c{at} (instantiate $consumer {with}))\n  ");
    }
    let ends: String = (0..consumers).map(ends).collect();
    text + &format!("(instance $p (instantiate $producer {with} {ends}))")
}

fn of_size(text: &str, words: &[(&str, String)], bytes: u64, work: Work) -> String {
    let mut text = text.to_owned();
    for (word, by) in words {
        text = text.replace(word, by);
    }
    let region = bytes.next_multiple_of(GRANULE);
    let numbers = [
        ("START", START),
        ("MIDDLE", START + middle(bytes)),
        ("LAST", START + bytes - 8),
        ("END", START + bytes),
        ("REST", rest(bytes)),
        ("ALL", u64::from(work == Work::Sum)),
        ("NOISE", NOISE),
        ("WORDS", bytes / 8),
        ("REGION", region),
        ("SIZE", bytes),
        ("PAGES", (START + region) / GRANULE),
    ];
    numbers.into_iter().fold(text, |text, (word, number)| text.replace(word, &number.to_string()))
}

/// Where the second mark is.
fn middle(bytes: u64) -> u64 {
    bytes / 16 * 8
}

/// The sum of all words but the marks.
fn rest(bytes: u64) -> u64 {
    let word = |at: u64| at.wrapping_mul(NOISE);
    let marks = [0, middle(bytes) / 8, bytes / 8 - 1].map(word).into_iter().fold(0, u64::wrapping_add);
    (0..bytes / 8).map(word).fold(0, u64::wrapping_add).wrapping_sub(marks)
}

/// What is found in each element besides its marks.
fn of_each(bytes: u64, work: Work) -> u64 {
    match work {
        Work::Touch => 0,
        Work::Sum => rest(bytes),
    }
}

/// Whose functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Producer,
    Consumer,
}

/// A function of the package that a component uses: its name in the core module, that in the package, its type there, and
/// whether it needs the memory.
type Function = (&'static str, &'static str, &'static str, bool);

const ALLOCATE: Function = ("allocate", "[static]mappable.allocate", "(param i64 i32)", true);
const MAP: Function = ("map", "[static]mappable.map", "(param i32 i32 i32 i32)", true);
const UNMAP: Function = ("unmap", "[static]mapping.unmap", "(param i32 i32 i32 i32)", true);
const FREEZE: Function = ("freeze", "[static]mappable.freeze", "(param i32) (result i32)", false);
const CLONE: Function = ("clone", "[method]frozen.clone", "(param i32 i32)", true);
const THAW: Function = ("thaw", "[static]frozen.thaw", "(param i32 i32)", true);
const MAP_FROZEN: Function = ("map", "[static]frozen.map", "(param i32 i32 i32 i32)", true);
const UNMAP_FROZEN: Function = ("unmap", "[static]frozen-mapping.unmap", "(param i32 i32 i32 i32)", true);

const MAKE: Function = ("make", "make", "(result i32)", false);

impl Element {
    /// The types that it needs: as the composition has them, as a component imports them, and how it is given them.
    fn types(self) -> (&'static str, &'static str, &'static str) {
        let package = include_str!("types.wat").trim_end();
        match self {
            Self::Region | Self::Frozen => {
                (package, package, r#"(with "mappable:memory/types@0.1.0" (instance $types))"#)
            }
            Self::Handle => (
                include_str!("handle.wat").trim_end(),
                r#"(import "types" (instance $types
      (export "handle" (type $handle (sub resource)))
      (export "make" (func (result (own $handle))))))
    (alias export $types "handle" (type $handle))"#,
                r#"(with "types" (instance $types))"#,
            ),
            Self::Bytes | Self::Number => ("", "", ""),
        }
    }

    /// How often its number is found in an element.
    fn marks(self) -> u32 {
        match self {
            Self::Region | Self::Frozen | Self::Bytes => 3,
            Self::Number => 1,
            Self::Handle => 0,
        }
    }

    /// What is found in each element besides its marks.
    fn found(self, bytes: u64, work: Work) -> u64 {
        match self {
            Self::Region | Self::Frozen | Self::Bytes => of_each(bytes, work),
            Self::Number => 0,
            Self::Handle => 1,
        }
    }

    fn ty(self) -> &'static str {
        match self {
            Self::Region => "(own $mappable)",
            Self::Frozen => "(own $frozen)",
            Self::Bytes => "u8",
            Self::Number => "u32",
            Self::Handle => "(own $handle)",
        }
    }

    /// The functions of the package, as a component lowers them, its core module imports them and is given them.
    fn functions(self, side: Side) -> [String; 3] {
        let functions: &[Function] = match (self, side) {
            (Self::Region, Side::Producer) => &[ALLOCATE, MAP, UNMAP],
            (Self::Region, Side::Consumer) => &[MAP, UNMAP],
            (Self::Frozen, Side::Producer) => &[ALLOCATE, MAP, UNMAP, FREEZE, CLONE, THAW],
            (Self::Frozen, Side::Consumer) => &[MAP_FROZEN, UNMAP_FROZEN],
            (Self::Handle, Side::Producer) => &[MAKE],
            (Self::Handle, Side::Consumer) | (Self::Bytes | Self::Number, _) => &[],
        };
        let [mut lowers, mut imports, mut exports] = [const { String::new() }; 3];
        for (name, of, ty, memory) in functions {
            let memory = if *memory { "(memory $mem)" } else { "" };
            lowers += &format!(
                r#"(alias export $types "{of}" (func ${name}))
    (core func ${name} (canon lower (func ${name}) {memory}))
    "#
            );
            imports += &format!("(import \"host\" \"{name}\" (func ${name} {ty}))\n      ");
            exports += &format!(r#"(export "{name}" (func ${name})) "#);
        }
        if (self, side) == (Self::Frozen, Side::Producer) {
            lowers += "(core func $drop (canon resource.drop $frozen))";
            imports += r#"(import "host" "drop" (func $drop (param i32)))"#;
            exports += r#"(export "drop" (func $drop))"#;
        }
        [lowers, imports, exports]
    }

    /// A consumer looks at an element, which is at 1216 if it is a handle or a number.
    fn take(self) -> &'static str {
        match self {
            Self::Region | Self::Frozen => {
                "(call $map (i32.load (i32.const 1216)) (i32.const START) (i32.const REGION) (i32.const 16))
        (local.set $read (call $ok))
        (call $look)
        (call $unmap (local.get $read) (i32.const START) (i32.const REGION) (i32.const 16))
        (i32.store (i32.const 1216) (call $ok))"
            }
            Self::Bytes => "(call $look)",
            Self::Number => "(global.set $found (i64.add (global.get $found) (i64.load32_u (i32.const 1216))))",
            Self::Handle => "(global.set $found (i64.add (global.get $found) (i64.const 1)))",
        }
    }

    /// Before the first element.
    fn begin(self) -> &'static str {
        match self {
            Self::Region | Self::Frozen => {
                "(call $allocate (i64.const SIZE) (i32.const 16))
        (call $map (call $ok) (i32.const START) (i32.const REGION) (i32.const 16))
        (global.set $kept (call $ok))
        (call $fill)
        (call $unmap (global.get $kept) (i32.const START) (i32.const REGION) (i32.const 16))
        (global.set $kept (call $ok))"
            }
            Self::Bytes => "(call $fill)",
            Self::Number => "",
            Self::Handle => "(global.set $kept (call $make))",
        }
    }

    /// The producer makes an element, for each consumer where it is a handle or a number: from 1216 on.
    fn make(self, consumers: u32) -> String {
        const REGION: &str = "(call $map (global.get $kept) (i32.const START) (i32.const REGION) (i32.const 16))
          (global.set $kept (call $ok))
          (call $mark)
          (call $unmap (global.get $kept) (i32.const START) (i32.const REGION) (i32.const 16))
          ";
        let others = |store: &dyn Fn(u32) -> String| (1..consumers).map(|at| store(1216 + 4 * at)).collect::<String>();
        match self {
            Self::Region => REGION.to_owned() + "(i32.store (i32.const 1216) (call $ok))",
            Self::Frozen => {
                let clones = others(&|at| {
                    format!(
                        "
          (call $clone (i32.load (i32.const 1216)) (i32.const 16))
          (i32.store (i32.const {at}) (call $ok))"
                    )
                });
                REGION.to_owned() + "(i32.store (i32.const 1216) (call $freeze (call $ok)))" + &clones
            }
            Self::Bytes => "(call $mark)".to_owned(),
            Self::Number => {
                let store =
                    |at| format!("(i32.store (i32.const {at}) (i32.wrap_i64 (global.get $number)))\n          ");
                store(1216) + &others(&store)
            }
            Self::Handle => "(i32.store (i32.const 1216) (global.get $kept))".to_owned(),
        }
    }

    /// The producer has back what it sent: from 1152 on.
    fn collect(self, consumers: u32) -> String {
        match self {
            Self::Region | Self::Handle => "(global.set $kept (i32.load (i32.const 1152)))".to_owned(),
            Self::Frozen => {
                let drops: String = (1..consumers)
                    .map(|at| format!("(call $drop (i32.load (i32.const {})))\n            ", 1152 + 4 * at))
                    .collect();
                drops
                    + "(call $thaw (i32.load (i32.const 1152)) (i32.const 16))
            (global.set $kept (call $ok))"
            }
            Self::Bytes | Self::Number => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mappable::MappingMode;

    use super::*;
    use crate::method::Guests;
    use crate::tier::Tier;

    /// Whether two elements that are sent are found by consumers.
    fn arrive(element: Option<Element>, work: Work, spoil: impl Fn(String) -> String) -> bool {
        let text = spoil(match element {
            Some(element) => streams(element, 4096, 2, work),
            None => lists(4096, 2, work),
        });
        let made = match element {
            Some(Element::Region | Element::Frozen) => {
                Guests::mappable(&text, Tier::Ledger, MappingMode::Auto, true, GRANULE)
            }
            _ => Guests::stock(&text, true),
        };
        made.unwrap().run(2).is_ok_and(|done| done == 2)
    }

    #[test]
    fn a_byte_that_arrives_changed_is_found() {
        for work in [Work::Touch, Work::Sum] {
            for element in [Some(Element::Frozen), Some(Element::Bytes), None] {
                assert!(arrive(element, work, |text| text), "{element:?}, {work:?}");
                // The first element is compared in full, the marks of each are counted.
                let wrong = |text: String| text.replace(&format!("(i64.const {NOISE})"), "(i64.const 3)");
                assert!(!arrive(element, work, wrong), "{element:?}, {work:?}");
                let last = format!("(i64.store (i32.const {})", START + 4096 - 8);
                let unmarked = |text: String| {
                    assert!(text.contains(&last));
                    text.replace(&format!("{last} (global.get $number))"), &format!("{last} (i64.const 1))"))
                };
                assert!(!arrive(element, work, unmarked), "{element:?}, {work:?}");
            }
        }
    }
}
