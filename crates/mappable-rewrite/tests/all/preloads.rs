//! A loop gets a preload where it accesses a memory that may move, and nothing in front of it has the base loaded already.
//!
//! In the texts here `PRELOAD` stands where one is to be put. So a text with preloads written out is what must come of the same
//! text without them.

use std::borrow::Cow;

use mappable_rewrite::{ReadError, Report, RewriteError, Settings, Tier, inspect, preloaded, rewrite_with};
use wasmparser::{Operator, Parser, Payload};

use crate::support::{gate, wasm};
use crate::trees::head;

const PRELOAD: &str = "(drop (i32.load8_u (i32.const 0)))";

/// Checks a core module of such a text, with preloads as `preload` says. Gives their number.
fn check_module_with(text: &str, preload: &str) -> usize {
    let (input, expected) = (wasm(&text.replace("PRELOAD", "")), wasm(&text.replace("PRELOAD", preload)));
    let given = preloaded(&input).unwrap();
    assert!(given == expected, "{text}\nbecame\n{}", wasmprinter::print_bytes(&given).unwrap());
    assert_eq!(matches!(given, Cow::Owned(_)), text.contains("PRELOAD"), "{text}");
    // Once is enough.
    assert!(matches!(preloaded(&given).unwrap(), Cow::Borrowed(_)), "{text}");
    text.matches("PRELOAD").count()
}

fn check_module(text: &str) -> usize {
    check_module_with(text, PRELOAD)
}

/// The same for the body of a function of a module with a memory.
fn check(body: &str) -> usize {
    check_module(&in_module(body))
}

fn in_module(body: &str) -> String {
    format!(
        r#"(module
          (import "" "call" (func $call))
          (import "" "fail" (func $fail))
          (type $nullary (func))
          (memory $m 1)
          (table 1 funcref)
          (global $g (mut i32) (i32.const 0))
          (tag $tag)
          (func (export "f") (param $p i32) (param $q i32) {body}))"#
    )
}

/// An access, in the texts below.
const ACCESS: &str = "(i32.store8 (local.get $p) (local.get $q))";

/// Replaces `ACCESS` in a body.
fn with_access(body: &str) -> usize {
    check(&body.replace("ACCESS", ACCESS))
}

#[test]
fn a_loop_with_an_access_gets_one() {
    for access in [
        "(drop (i32.load8_u (local.get $p)))",
        "(drop (i64.load offset=100 (local.get $p)))",
        "(drop (f32.load (local.get $p)))",
        "(f64.store (local.get $p) (f64.const 1))",
        "(i64.store32 (local.get $p) (i64.const 1))",
        "(drop (v128.load (local.get $p)))",
        "(v128.store8_lane 3 (local.get $p) (v128.const i64x2 1 2))",
        "(v128.store (local.get $p) (v128.load64_zero (local.get $q)))",
        // Where in the loop it is does not matter.
        "(if (local.get $p) (then (drop (i32.load16_s (local.get $p)))))",
        "(block (br_if 0 (local.get $q)) (i32.store (local.get $p) (local.get $q)))",
    ] {
        assert_eq!(check(&format!("PRELOAD (loop $l {access} (br_if $l (local.get $p)))")), 1);
    }
}

#[test]
fn what_is_no_loop_or_has_no_access_gets_none() {
    assert_eq!(with_access("ACCESS (block ACCESS) (if (local.get $p) (then ACCESS))"), 0);
    assert_eq!(with_access("(loop $l (br_if $l (local.get $p))) ACCESS"), 0);
    assert_eq!(with_access("(loop $l (drop (memory.size)) (br_if $l (local.get $p)))"), 0);
    assert_eq!(with_access("(loop $l (global.set $g (i32.const 1)) (br_if $l (local.get $p)))"), 0);
}

#[test]
fn a_loop_that_calls_gets_none_and_those_within_it_their_own() {
    for fence in [
        "(call $call)",
        "(call_indirect (type $nullary) (i32.const 0))",
        "(drop (memory.grow (i32.const 0)))",
        "(memory.fill (local.get $p) (local.get $p) (local.get $q))",
        "(memory.copy (local.get $p) (local.get $p) (local.get $q))",
        "(drop (table.grow (ref.null func) (i32.const 1)))",
        "(atomic.fence)",
        "(drop (i32.atomic.load (local.get $p)))",
        "(if (local.get $p) (then (call $call)))",
        "(loop $o (call $call) (br_if $o (local.get $p)))",
        "(loop $o (loop (call $call)) (br_if $o (local.get $p)))",
    ] {
        assert_eq!(with_access(&format!("(loop $l ACCESS {fence} ACCESS (br_if $l (local.get $p)))")), 0);
        assert_eq!(with_access(&format!("(loop $l {fence} PRELOAD (loop $i ACCESS (br_if $i (local.get $q))))")), 1);
        let both = "(loop $l PRELOAD (loop $i ACCESS (br_if $i (local.get $q))) FENCE
            PRELOAD (loop $i ACCESS (br_if $i (local.get $q))) (br_if $l (local.get $p)))";
        assert_eq!(with_access(&both.replace("FENCE", fence)), 2);
    }
}

#[test]
fn the_outermost_loop_without_calls_gets_it() {
    assert_eq!(
        with_access("PRELOAD (loop $l (loop $i ACCESS (br_if $i (local.get $q))) (br_if $l (local.get $p)))"),
        1
    );
    assert_eq!(with_access("PRELOAD (loop ACCESS (loop ACCESS (loop ACCESS)) (loop ACCESS))"), 1);
    assert_eq!(with_access("(loop (call $call) (block PRELOAD (loop (loop ACCESS) (loop ACCESS))))"), 1);
    // What an outer one has serves the later ones, too.
    assert_eq!(with_access("PRELOAD (loop (loop ACCESS)) (loop ACCESS)"), 1);
}

#[test]
fn what_has_been_accessed_in_front_of_a_loop_needs_none() {
    assert_eq!(with_access("ACCESS (loop ACCESS) (loop (loop ACCESS))"), 0);
    assert_eq!(with_access("(if (local.get $p) (then ACCESS (loop ACCESS) (block (loop ACCESS))))"), 0);
    // To the end of a block that nothing leaves before.
    assert_eq!(
        with_access("(block (block ACCESS (br_if 0 (local.get $p)) (br_if 1 (local.get $p)))) (loop ACCESS)"),
        0
    );
    // The last time around is in front of what comes next.
    assert_eq!(with_access("(loop $l (call $call) ACCESS (br_if $l (local.get $p))) (loop ACCESS)"), 0);
}

#[test]
fn what_has_not_been_accessed_on_every_way_or_not_since_a_call_needs_one() {
    assert_eq!(with_access("(if (local.get $p) (then ACCESS)) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(if (local.get $p) (then ACCESS) (else ACCESS)) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(if (local.get $p) (then ACCESS) (else PRELOAD (loop ACCESS)))"), 1);
    assert_eq!(with_access("(block (br_if 0 (local.get $p)) ACCESS (loop ACCESS)) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(block (block (br_if 1 (local.get $p)) ACCESS) (loop ACCESS)) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(
        with_access("(block (block (br_table 0 1 0 (local.get $p))) ACCESS (loop ACCESS)) PRELOAD (loop ACCESS)"),
        1
    );
    assert_eq!(with_access("ACCESS (call $call) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("ACCESS (loop (call $call)) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(loop $l ACCESS (call $call) (br_if $l (local.get $p))) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(loop (call $call) (block (br_if 0 (local.get $p)) ACCESS)) PRELOAD (loop ACCESS)"), 1);
    // An exception comes from a call.
    assert_eq!(with_access("(block $h (try_table (catch $tag $h) ACCESS (call $call))) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(block $h (try_table (catch_all $h) (throw $tag))) PRELOAD (loop ACCESS)"), 1);
}

#[test]
fn a_call_that_nothing_comes_after_is_none() {
    let checked =
        "PRELOAD (loop $l (if (local.get $q) (then (call $fail) unreachable)) ACCESS (br_if $l (local.get $p)))";
    assert_eq!(with_access(checked), 1);
    assert_eq!(with_access("ACCESS (if (local.get $q) (then (call $fail) unreachable)) (loop ACCESS)"), 0);
    assert_eq!(with_access("ACCESS (if (local.get $q) (then (call $fail) (nop))) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("ACCESS (if (local.get $q) (then (call $fail))) PRELOAD (loop ACCESS)"), 1);
}

#[test]
fn what_nothing_leads_to_has_no_part_in_it() {
    // An access.
    assert_eq!(with_access("(block (br 0) ACCESS) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(block (br_if 0 (local.get $p)) unreachable (block ACCESS)) PRELOAD (loop ACCESS)"), 1);
    // A call.
    assert_eq!(with_access("PRELOAD (loop $l ACCESS (br $l) (call $call))"), 1);
    assert_eq!(with_access("ACCESS (block (br 0) (loop (call $call))) (loop ACCESS)"), 0);
    // A branch.
    assert_eq!(with_access("(block (if (local.get $p) (then return (br 1))) ACCESS) (loop ACCESS)"), 0);
    // A loop.
    assert_eq!(with_access("(return) (loop ACCESS)"), 0);
    assert_eq!(with_access("(loop $l (br $l)) (loop ACCESS)"), 0);
    // What a branch leads behind is none of it.
    assert_eq!(with_access("(block (br_if 0 (local.get $p)) (return)) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(if (local.get $p) (then (return)) (else)) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(if (local.get $p) (then) (else (return))) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(if (local.get $p) (then (return))) PRELOAD (loop ACCESS)"), 1);
    assert_eq!(with_access("(if (local.get $p) (then (return)) (else (return))) (loop ACCESS)"), 0);
}

#[test]
fn loops_with_parameters_and_results_keep_them() {
    let body = "(local.get $p) (i64.const 7) PRELOAD (loop $l (param i32 i64) (result i32 i64)
        (local.tee $q (i32.wrap_i64)) (i64.const 8) ACCESS (br_if $l (local.get $p))) (drop) (drop)";
    assert_eq!(with_access(&body.replace("(local.tee $q (i32.wrap_i64))", "(drop)")), 1);
}

/// A module with these memories, and a loop that accesses one of them.
fn with_memories(memories: &str, loops: &str) -> String {
    format!("(module {memories} (func (param $p i32) {loops}))")
}

#[test]
fn only_a_memory_that_may_move_and_has_a_page_gets_any() {
    for memory in ["1", "7", "1 65536", "65535", "65536"] {
        let text = with_memories(&format!("(memory {memory})"), "PRELOAD (loop (drop (i32.load (local.get $p))))");
        assert_eq!(check_module(&text), 1);
    }
    let none = ["0", "0 1", "1 1", "1 65535", "65536 65536", "1 2 shared", "1 65536 shared", "1 (pagesize 1)"];
    for memory in none {
        let text = with_memories(&format!("(memory {memory})"), "(loop (drop (i32.load (local.get $p))))");
        assert_eq!(check_module(&text), 0);
    }
    let wide = with_memories("(memory i64 1)", "(loop (drop (i32.load (i64.extend_i32_u (local.get $p)))))");
    assert_eq!(check_module(&wide), 0);
    // Of an imported one its import tells.
    let imported = |limits| format!(r#"(import "" "m" (memory {limits}))"#);
    let text = with_memories(&imported("1"), "PRELOAD (loop (drop (i32.load (local.get $p))))");
    assert_eq!(check_module(&text), 1);
    for limits in ["0", "1 65535"] {
        assert_eq!(check_module(&with_memories(&imported(limits), "(loop (drop (i32.load (local.get $p))))")), 0);
    }
}

#[test]
fn each_memory_has_its_own() {
    let memories = r#"(import "" "a" (memory $a 1)) (memory $b 1 2) (memory $c 1) (memory $d 1)"#;
    let of = |memory| format!("(drop (i32.load8_u ${memory} (i32.const 0)))");
    let one = |memory| with_memories(memories, &format!("PRELOAD (loop (drop (i32.load ${memory} (local.get $p))))"));
    for memory in ["a", "c", "d"] {
        assert_eq!(check_module_with(&one(memory), &of(memory)), 1);
    }
    assert_eq!(check_module(&one("b").replace("PRELOAD", "")), 0);
    // In the order in which they are first accessed.
    let two = "PRELOAD (loop (loop (i32.store8 $d (local.get $p) (i32.load $b (local.get $p))))
        (i32.store $a (local.get $p) (i32.load $d (local.get $p))))";
    assert_eq!(check_module_with(&with_memories(memories, two), &(of("d") + &of("a"))), 1);
    let known =
        "(drop (i32.load $d (local.get $p))) PRELOAD (loop (i32.store $d (local.get $p) (i32.load $c (local.get $p))))";
    assert_eq!(check_module_with(&with_memories(memories, known), &of("c")), 1);
}

#[test]
fn a_byte_is_loaded_where_there_is_data() {
    let module = |data: &str| {
        with_memories(
            &format!("(global $i i32 (i32.const 5)) (memory $m 2) {data}"),
            "PRELOAD (loop (drop (i32.load (local.get $p))))",
        )
    };
    for (data, at) in [
        (r#"(data (i32.const 70000) "x")"#, 70_000),
        (r#"(data "passive") (data (i32.const 9) "") (data (i32.const 131071) "x") (data (i32.const 1) "x")"#, 131_071),
        (r#"(data (i32.const 3) "first") (data (i32.const 70000) "second")"#, 3),
        // What is not certain to be there from the beginning.
        (r#"(data (i32.const 131072) "x")"#, 0),
        (r#"(data (i32.const -1) "x")"#, 0),
        (r#"(data (global.get $i) "x")"#, 0),
    ] {
        let preload = format!("(drop (i32.load8_u (i32.const {at})))");
        assert_eq!(check_module_with(&module(data), &preload), 1, "{data}");
    }
}

#[test]
fn a_module_that_speaks_of_offsets_in_its_code_is_left() {
    let module = |name: &str, preload| {
        let text = in_module(&format!("{preload} (loop {ACCESS})"));
        text.replace("(memory $m 1)", &format!(r#"(memory $m 1) (@custom "{name}" (before code) "12") "#))
    };
    let offsets = [".debug_info", ".debug_line", "metadata.code.branch_hint", "metadata.code.trace_inst"];
    for name in offsets.into_iter().chain(["external_debug_info", "sourceMappingURL", "reloc.CODE"]) {
        assert_eq!(check_module(&module(name, "")), 0);
    }
    for name in ["producers", "target_features", "linking", "a", "debug_info", "metadata.codes"] {
        assert_eq!(check_module(&module(name, "PRELOAD")), 1);
    }
    // Where it stands does not matter.
    let last = r#"(@custom ".debug_str" (after last) "12") (func (export "f")"#;
    assert_eq!(check_module(&module("a", "").replace(r#"(func (export "f")"#, last)), 0);
}

/// What is done to bodies whose sizes take one byte and more, and to those between them.
#[test]
fn sizes_are_written_anew() {
    for nops in [0, 90, 110, 115, 117, 118, 120, 130, 16_000, 16_370, 16_375, 20_000] {
        let nops = "nop ".repeat(nops);
        let plain = format!("(func (param $p i32) (param $q i32) {nops})");
        let looping = format!("(func (param $p i32) (param $q i32) {nops} PRELOAD (loop {ACCESS} {nops}))");
        assert_eq!(check_module(&format!("(module (memory 1) {plain} {looping} {plain} {looping} {looping})")), 3);
    }
}

#[test]
fn a_number_in_more_bytes_than_it_takes_is_taken_as_well() {
    let module = wasm(&in_module(&format!("(loop {ACCESS})")));
    let code = Parser::new(0).parse_all(&module).find_map(|payload| match payload.unwrap() {
        Payload::CodeSectionStart { range, .. } => Some(range),
        _ => None,
    });
    let code = code.unwrap();
    // The section: its number of bodies, the size of the one body, and that.
    let (body, size) = (&module[code.start + 2..code.end], module[code.start + 1]);
    assert_eq!(usize::from(size), body.len());
    let wide = |number: u8| [0x80 | number, 0x80, 0x80, 0x80, 0x00];
    let content = [&wide(1)[..], &wide(size), body].concat();
    let header = module[..code.start - 1].to_vec();
    let odd = [header, vec![content.len() as u8], content, module[code.end..].to_vec()].concat();
    let operators = |module: &[u8]| -> Vec<String> { operators(module).iter().map(|op| format!("{op:?}")).collect() };
    assert_eq!(operators(&odd), operators(&module));
    assert_eq!(operators(&preloaded(&odd).unwrap()), operators(&preloaded(&module).unwrap()));
}

fn operators(module: &[u8]) -> Vec<Operator<'_>> {
    let bodies = Parser::new(0).parse_all(module).filter_map(|payload| match payload.unwrap() {
        Payload::CodeSectionEntry(body) => Some(body.get_operators_reader().unwrap().into_iter().map(Result::unwrap)),
        _ => None,
    });
    bodies.flatten().collect()
}

#[test]
fn a_body_that_would_be_too_large_is_left() {
    let module = |nops: usize, preload| {
        let nops = "nop ".repeat(nops);
        format!("(module (memory 1) (func (param $p i32) (param $q i32) {preload} (loop {ACCESS}) {nops}))")
    };
    assert_eq!(check_module(&module(7_654_321 - 16, "")), 0);
    assert_eq!(check_module(&module(7_654_321 - 50, "PRELOAD")), 1);
}

#[test]
fn what_is_no_core_module_is_refused() {
    for (bytes, found) in [(wasm("(component)"), "a component"), (b"(module)".to_vec(), "the text format")] {
        match preloaded(&bytes) {
            Err(error @ RewriteError::Read(ReadError::NotAModule { .. })) => {
                assert!(error.to_string().contains(found), "{error}")
            }
            other => panic!("{other:?}"),
        }
    }
    let mut cut = wasm(&in_module(ACCESS));
    cut.truncate(cut.len() - 3);
    assert!(matches!(preloaded(&cut), Err(RewriteError::Read(ReadError::Invalid(_)))));
}

/// Checks a component of such a text in each tier.
fn check_component(text: &str) -> usize {
    let count = text.matches("PRELOAD").count();
    let (input, expected) = (wasm(&text.replace("PRELOAD", "")), wasm(&text.replace("PRELOAD", PRELOAD)));
    for tier in [Tier::Auto, Tier::Baseline] {
        let settings = Settings { tier, ..Settings::default() };
        let given = rewrite_with(&input, &gate(), settings).unwrap();
        let as_written = rewrite_with(&expected, &gate(), Settings { preload: false, ..settings }).unwrap();
        assert!(given.bytes == as_written.bytes, "{tier:?}: {text}");
        assert_eq!((preloads(&given.report), preloads(&as_written.report)), (count, 0), "{text}");
    }
    assert_eq!(preloads(&inspect(&input).unwrap()), count, "{text}");
    count
}

fn preloads(report: &Report) -> usize {
    report.components.iter().flat_map(|component| &component.modules).map(|module| module.preloads).sum()
}

/// A function with a loop that accesses the memory.
fn looping(preload: &str) -> String {
    format!("(func (param $p i32) (param $q i32) {preload} (loop {ACCESS}))")
}

/// A component whose `$libc` has a loop, and is mapped into if `mapped`.
fn component(preload: &str, mapped: bool, body: &str) -> String {
    let memory = r#"(memory (export "memory") 1)"#;
    let head = head().replace(memory, &format!("{memory} {}", looping(preload)));
    let lower = r#"(core func (canon lower (func $types "map") (memory $memory)))"#;
    format!("(component {head} {} {body})", if mapped { lower } else { "" })
}

#[test]
fn a_memory_that_is_mapped_into_gets_them_and_one_that_is_fixed_none() {
    assert_eq!(check_component(&component("PRELOAD", true, "")), 1);
    assert_eq!(check_component(&component("", false, "")), 0);
    let other = format!("(core module $other (memory 1) {})", looping(""));
    assert_eq!(check_component(&component("PRELOAD", true, &other)), 1);
    // One that leaves the tree may be mapped into.
    let given = format!(r#"(core module $m (memory 1) {}) (export "m" (core module $m))"#, looping("PRELOAD"));
    assert_eq!(check_component(&component("PRELOAD", true, &given)), 2);
}

#[test]
fn an_import_gets_them_unless_it_is_always_given_a_fixed_memory() {
    let user = |preload: &str| {
        format!(
            r#"(core module $uses (import "a" "memory" (memory 1)) {})
            (core instance (instantiate $uses (with "a" (instance $libc))))"#,
            looping(preload)
        )
    };
    assert_eq!(check_component(&component("PRELOAD", true, &user("PRELOAD"))), 2);
    assert_eq!(check_component(&component("", false, &user(""))), 0);
}

#[test]
fn modules_of_nested_components_are_told_apart() {
    let module = |preload: &str| format!("(core module (memory 1) {})", looping(preload));
    let nested = component("PRELOAD", true, &module("")).replacen("(component", "(component $inner", 1);
    assert_eq!(check_component(&component("", false, &nested)), 1);
    let nested = component("", false, &module("")).replacen("(component", "(component $inner", 1);
    assert_eq!(check_component(&component("PRELOAD", true, &(nested + &module("")))), 1);
}

#[test]
fn a_tree_for_the_ledger_has_its_guests_loops_preloaded() {
    let realloc = r#"(func (export "realloc")"#;
    let text =
        include_str!("../golden-ledger/closed-pair.wat").replace(realloc, &format!("{} {realloc}", looping("PRELOAD")));
    let (input, expected) = (wasm(&text.replace("PRELOAD", "")), wasm(&text.replace("PRELOAD", PRELOAD)));
    // Nothing maps there, so only if they are not bounded.
    for (bound, count) in [(false, 2), (true, 0)] {
        let settings = Settings { tier: Tier::Ledger, bound, ..Settings::default() };
        let given = rewrite_with(&input, &gate(), settings).unwrap();
        assert_eq!(preloads(&given.report), count);
        let written = if bound { &input } else { &expected };
        let as_written = rewrite_with(written, &gate(), Settings { preload: false, ..settings }).unwrap();
        assert!(given.bytes == as_written.bytes);
    }
}
