//! Lists of plain data within variants of three cases and more: each case arrives as it was passed, and nothing else does.

use wasmtime::component::Val;

use super::within::{
    FAR, LENGTHS, LONG, OUT_OF_BOUNDS, RETURNS_NO_CASE, RETURNS_NO_CHAR, Scene, Shape, WRONG_CASE, bytes, words,
};
use crate::support::{Setup, on_every_setup, trapped};

const NAMES: &[(&str, &str)] = &[
    ("e", r#"(enum "a" "b" "c")"#),
    ("f", r#"(flags "a" "b" "c")"#),
    (
        "v",
        r#"(variant (case "none") (case "bytes" (list u8)) (case "words" (list u32)) (case "char" (tuple char u32))
            (case "bool" bool) (case "number" u8) (case "flags" $f) (case "signed" s16) (case "enum" $e)
            (case "inner" (option u32)))"#,
    ),
];
const BYTES: u32 = 1;
const WORDS: u32 = 2;
const CHAR: u32 = 3;
const BOOL: u32 = 4;
const NUMBER: u32 = 5;
const FLAGS: u32 = 6;
const SIGNED: u32 = 7;
const ENUM: u32 = 8;
const CASES: u32 = 10;

/// A variant whose case is one of a list of bytes, and one with words.
const OF_BYTES: Shape = Shape { names: NAMES, inner: "$v", outer: "(tuple u32 (list u8))", words: 3, list: 1 };
const OF_WORDS: Shape = Shape { outer: "(tuple u32 (list u32))", ..OF_BYTES };
/// What is in its registers, as it is.
const AS_IT_IS: Shape = Shape { outer: "(tuple u32 u32 u32)", ..OF_BYTES };
/// A string and a list beside it. What is returned goes the engine's way.
const BESIDE: Shape = Shape {
    names: NAMES,
    inner: "(tuple string $v (list u8))",
    outer: "(tuple string u32 (list u8) (list u8))",
    words: 7,
    list: 3,
};
/// A list beside it, both ways the ledger's.
const LIST: Shape = Shape {
    names: NAMES,
    inner: "(tuple $v (list u32))",
    outer: "(tuple u32 (list u8) (list u32))",
    words: 5,
    list: 1,
};

fn of(case: u32, list: Val) -> Val {
    Val::Tuple(vec![Val::U32(case), list])
}

fn raw(words: [u32; 3]) -> Val {
    Val::Tuple(words.map(Val::U32).to_vec())
}

on_every_setup! {
    fn lists_within_variants_come_back_whole(setup) {
        let [mut of_bytes, mut of_words, mut list, mut beside] =
            [OF_BYTES, OF_WORDS, LIST, BESIDE].map(|shape| Scene::new(setup, &shape));
        for len in LENGTHS {
            of_bytes.comes_back(&of(BYTES, bytes(len)));
            of_words.comes_back(&of(WORDS, words(len / 2)));
            list.comes_back(&Val::Tuple(vec![Val::U32(BYTES), bytes(len), words(len / 3)]));
            let string = Val::String("é".repeat(len as usize / 5));
            beside.comes_back(&Val::Tuple(vec![string, Val::U32(BYTES), bytes(len), bytes(len / 3)]));
        }
    }

    fn each_number_within_a_variant_arrives_as_its_type_has_it(setup) {
        for (given, back) in [
            ([CHAR, 0xd7ff, 7], [CHAR, 0xd7ff, 7]),
            ([CHAR, 0x10_ffff, u32::MAX], [CHAR, 0x10_ffff, u32::MAX]),
            // In memory that is new what a case does not have is 0, as nobody has written it.
            ([BOOL, 0x8000, 9], [BOOL, 1, 0]),
            ([BOOL, 0, 9], [BOOL, 0, 0]),
            ([NUMBER, 0xffff_ff07, 9], [NUMBER, 7, 0]),
            ([FLAGS, 0xff, 9], [FLAGS, 7, 0]),
            ([SIGNED, 0x7fff_8001, 9], [SIGNED, 0x8001, 0]),
            ([ENUM, 2, 9], [ENUM, 2, 0]),
            ([0, 9, 9], [0, 0, 0]),
        ] {
            let mut scene = Scene::new(setup, &AS_IT_IS);
            assert_eq!(scene.pass(&raw(given)).unwrap(), raw(back), "{given:x?}");
        }
    }

    fn what_no_case_of_a_variant_is_traps_in_both_directions(setup) {
        for given in [[CASES, 0, 0], [u32::MAX, 0, 0], [0x100, 0, 0], [CHAR, 0xd800, 0], [CHAR, 0x11_0000, 0], [ENUM, 3, 0]] {
            trapped(Scene::new(setup, &AS_IT_IS).pass(&raw(given)));
        }
        let mut scene = Scene::new(setup, &AS_IT_IS);
        scene.set("set-b", RETURNS_NO_CHAR);
        trapped(scene.pass(&raw([CHAR, 0x41, 0])));
        // The case becomes one that is there: an inner one that is none.
        let mut scene = Scene::new(setup, &AS_IT_IS);
        scene.set("set-b", RETURNS_NO_CASE);
        trapped(scene.pass(&raw([NUMBER, 7, 0])));
        let mut scene = Scene::new(setup, &OF_BYTES);
        scene.set("set-a", WRONG_CASE);
        trapped(scene.pass(&of(BYTES, bytes(9))));
    }

    fn a_list_within_a_variant_that_is_not_all_in_its_memory_traps(setup) {
        for mode in [FAR, LONG] {
            let mut scene = Scene::new(setup, &OF_BYTES);
            scene.set("set-a", mode);
            trapped(scene.pass(&of(BYTES, bytes(99))));
            // Where there is no list, nobody looks at where it would be.
            let mut scene = Scene::new(setup, &OF_BYTES);
            scene.set("set-a", mode);
            scene.pass(&of(0, bytes(0))).unwrap();
        }
        // Not aligned, as the host's list of bytes need not be.
        let mut scene = Scene::new(setup, &AS_IT_IS);
        trapped(scene.pass(&raw([WORDS, 0x1_0001, 1])));
    }

    fn a_realloc_that_gives_no_room_for_a_list_within_a_variant_traps(setup) {
        for len in [1, 64, 4096] {
            let mut scene = Scene::new(setup, &OF_BYTES);
            scene.set("set-b", OUT_OF_BOUNDS);
            scene.pass(&of(0, bytes(0))).unwrap();
            trapped(scene.pass(&of(BYTES, bytes(len))));
        }
    }
}
