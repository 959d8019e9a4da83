//! The modules that don't depend on a signature are kept assembled, so that no embedder's process has a parser of text.
//!
//! Their text (`*.wat`) has names for the constants of the ledger's layout, and for parts that two modules share, each
//! behind an `@`. Run this test with `BLESS=1` when a text or the layout has changed.

use std::fs;
use std::path::Path;

use crate::ledger::interface::Failure;
use crate::ledger::layout as at;
use crate::ledger::signature::Kind;

const TABLE: &str = include_str!("../table.wat");
const CROSSING: &str = include_str!("../crossing.wat");
const WINDOW_START: &str = include_str!("../window-start.wat");
const WARM: &str = include_str!("../warm.wat");

/// Before a warm map, and an unmap: whether it is allowed.
const MAP_ALLOWED: &str = "
      ;; No length is how an unmap is cached.
      (br_if $slow (i32.eqz (local.get $len)))
      (br_if $slow (i32.ge_u (i32.load $ledger (i32.const @MAPPED)) (i32.load $ledger (i32.const @MAX_MAPPINGS))))";
const UNMAP_ALLOWED: &str = "
      (br_if $slow (i32.eqz (local.get $len)))
      (br_if $slow (i32.gt_u (local.get $len) (i32.load $ledger offset=@REGION_LEN (local.get $region))))
      (br_if $slow (i32.ne (local.get $at) (i32.load $ledger offset=@REGION_AT (local.get $region))))
      (br_if $slow (i32.ne (global.get $memory-record) (i32.load $ledger offset=@REGION_MEMORY (local.get $region))))";
/// The same of what is frozen, besides.
const FROZEN_MAP_ALLOWED: &str = "
      (br_if $slow (i32.gt_u
        (i32.add (i32.load $ledger (i32.const @FROZEN_MAPPED)) @COUNT)
        (i32.load $ledger (i32.const @MAX_FROZEN_MAPPED))))";
/// A private map: each is new, and no view has shown what will be written there.
const MAP_PRIVATE_ALLOWED: &str = "
      (br $slow)";
/// What changes in the ledger with them, the selector aside.
const MAP_CHANGED: &str = "
      (i32.store $ledger offset=@REGION_MEMORY (local.get $region) (global.get $memory-record))
      (i32.store $ledger offset=@REGION_AT (local.get $region) (local.get $at))
      (i32.store $ledger offset=@REGION_LEN (local.get $region) (local.get $len))
      (i32.store $ledger (i32.const @MAPPED) (i32.add (i32.load $ledger (i32.const @MAPPED)) (i32.const 1)))";
const UNMAP_CHANGED: &str = "
      (i32.store $ledger offset=@REGION_MEMORY (local.get $region) (i32.const 0))
      (i32.store $ledger (i32.const @MAPPED) (i32.sub (i32.load $ledger (i32.const @MAPPED)) (i32.const 1)))";
/// The same of what is frozen, besides.
const FROZEN_CHANGED: &str = "
      (i32.store $ledger (i32.const @FROZEN_MAPPED)
        (@STEP (i32.load $ledger (i32.const @FROZEN_MAPPED)) @COUNT))";
/// How many granules a region is.
const COUNT: &str = "(i32.and (i32.load $ledger offset=@REGION_GRANULES (local.get $region)) (i32.const @GRANULES))";
/// What a cold one knows beforehand: only an unmap's region is somewhere.
const MAP_KNOWN: &str = "    (local.set $memory-record (global.get $memory-record))";
const UNMAP_KNOWN: &str = "
    (local.set $memory-record (i32.load $ledger offset=@REGION_MEMORY (local.get $region)))
    (local.set $placed (i32.load $ledger offset=@REGION_LEN (local.get $region)))";
/// What it knows of the memory when it has succeeded: it is where the region is, or was. Nothing is kept of a view that
/// was not known to be this memory's.
const MAP_LEARNT: &str = "
    (global.set $memory-record (i32.load $ledger offset=@REGION_MEMORY (local.get $region)))
    (if (i32.ne (local.get $memory-record) (global.get $memory-record)) (then (return)))
    (local.set $placed (local.get $len))";
const UNMAP_LEARNT: &str = "
    (global.set $memory-record (local.get $memory-record))
    (if (i32.eqz (local.get $placed)) (then (return)))";

#[test]
fn assembled_modules_are_those_of_the_texts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger/modules/assembled");
    for (name, text, kept) in [
        ("table", table("", NO_CROSSING), assembled!("table")),
        ("crossing-table", table(&crossing_imports(), CROSSING), assembled!("crossing-table")),
        ("window-start", WINDOW_START.to_owned(), assembled!("window-start")),
        ("map", warm(Kind::Mappable, Kind::Mapping), assembled!("map")),
        ("unmap", warm(Kind::Mapping, Kind::Mappable), assembled!("unmap")),
        ("frozen-map", warm(Kind::Frozen, Kind::FrozenMapping), assembled!("frozen-map")),
        ("frozen-map-private", map_private(), assembled!("frozen-map-private")),
        ("frozen-unmap", warm(Kind::FrozenMapping, Kind::Frozen), assembled!("frozen-unmap")),
    ] {
        let binary = assemble(&text);
        if std::env::var_os("BLESS").is_some() {
            fs::write(folder.join(name).with_extension("wasm"), &binary).unwrap();
        } else {
            assert!(binary == kept, "`{name}` is not what its text says: run this test with BLESS=1");
        }
    }
}

/// Where no handle of the engine's comes in.
const NO_CROSSING: &str = r#"
  (func $adopt (export "adopt") (param $handle i32) (param $kind i32) (result i32) (local.get $handle))
  (func $discard (param $handle i32) (param $kind i32)
    (call $fail (i32.const @UnknownHandle) (local.get $handle) (i32.const 0)))"#;

fn crossing_imports() -> String {
    let imports = Kind::ALL.map(|kind| {
        let (name, id) = (kind.package_name(), kind.package_name().replace('-', "_"));
        format!(
            r#"  (import "" "leave-{name}" (func $leave_{id} (param i32) (result i32)))
  (import "" "discard-{name}" (func $discard_{id} (param i32)))
"#
        )
    });
    imports.concat()
}

fn table(imports: &str, crossing: &str) -> String {
    TABLE.replace("@CROSSING_IMPORTS", imports).replace("@CROSSING", crossing)
}

fn warm(taken: Kind, given: Kind) -> String {
    let is_map = matches!(taken, Kind::Mappable | Kind::Frozen);
    let is_frozen = matches!(taken, Kind::Frozen | Kind::FrozenMapping);
    let allowed = if is_map { MAP_ALLOWED } else { UNMAP_ALLOWED };
    let frozen_allowed = if is_frozen && is_map { FROZEN_MAP_ALLOWED } else { "" };
    change(taken, given, &format!("{allowed}{frozen_allowed}"))
}

fn map_private() -> String {
    change(Kind::Frozen, Kind::FrozenMapping, MAP_PRIVATE_ALLOWED)
}

fn change(taken: Kind, given: Kind, allowed: &str) -> String {
    let is_map = matches!(taken, Kind::Mappable | Kind::Frozen);
    let is_frozen = matches!(taken, Kind::Frozen | Kind::FrozenMapping);
    let (mapping, unmapping) = ("(local.get $placed)", "(i32.const 0)");
    let (there, back) = if is_map { (mapping, unmapping) } else { (unmapping, mapping) };
    let changed = if is_map { MAP_CHANGED } else { UNMAP_CHANGED };
    WARM.replace("@ALLOWED", allowed)
        .replace("@CHANGED", &format!("{changed}{}", if is_frozen { FROZEN_CHANGED } else { "" }))
        .replace("@KNOWN", if is_map { MAP_KNOWN } else { UNMAP_KNOWN })
        .replace("@LEARNT", if is_map { MAP_LEARNT } else { UNMAP_LEARNT })
        .replace("@PLACED", if is_map { "(local.get $len)" } else { "(i32.const 0)" })
        .replace("@THERE", there)
        .replace("@BACK", back)
        .replace("@STEP", if is_map { "i32.add" } else { "i32.sub" })
        .replace("@COUNT", COUNT)
        .replace("@TAKEN", &(taken as u32).to_string())
        .replace("@GIVEN", &(given as u32).to_string())
}

/// The binary of a module's text.
fn assemble(text: &str) -> Vec<u8> {
    let mut text = text.to_owned();
    for (name, value) in constants() {
        text = text.replace(&format!("@{name}"), &value.to_string());
    }
    wat::parse_str(&text).unwrap()
}

/// Every name that texts may use, those first that others begin with.
fn constants() -> Vec<(&'static str, u32)> {
    macro_rules! layout {
        ($($name:ident)*) => { vec![$((stringify!($name), at::$name)),*] };
    }
    macro_rules! failures {
        ($($name:ident)*) => { [$((stringify!($name), Failure::$name as u32)),*] };
    }
    let mut all = layout! {
        NAME_LEN NAME FLIGHT_LEN FLIGHT_NEXT FLIGHT_SEQ MAPPED MAX_MAPPINGS FROZEN_MAPPED MAX_FROZEN_MAPPED LINGERING FLIGHT MAX_FLIGHT BORROWED
        ENTER ENTERED
        REGIONS REGION REGION_SOURCE REGION_GRANULES GRANULES NO_SOURCE REGION_MEMORY REGION_AT REGION_LEN
        TABLES TABLE MAX_TABLES TABLE_CHUNK TABLE_CAPACITY TABLE_FREE TABLE_USED
        MARK ENGINES KINDS ENTRY_TAG ENTRY_REGION MEMORY_SELECTOR MEMORY_GENERATION MEMORY_TRANSITIONS
        MEMORY_FROZEN_START MEMORY_FROZEN_END
        TRANSITION_FROM TRANSITION_GENERATION TRANSITION_SOURCE TRANSITION_GRANULES TRANSITION_AT TRANSITION_LEN TRANSITION_TO
    };
    all.extend(failures! {
        UnknownHandle WrongKind Mapped CannotLeave Flight FlightFull Misaligned Interrupted Refused Bug Borrowed
    });
    let [line_bits, size_bits] = [at::TRANSITIONS, at::TRANSITION].map(u32::trailing_zeros);
    all.extend([
        ("FLIGHT_KIND", at::FLIGHT + 4),
        ("FIRST_KIND", at::FLIGHT + 4),
        // The highest bits of a hash, as an offset of a line.
        ("TRANSITION_SHIFT", 32 - line_bits - size_bits),
        ("TRANSITION_MASK", (at::TRANSITIONS - 1) << size_bits),
        ("Mappable", Kind::Mappable as u32),
        ("Mapping", Kind::Mapping as u32),
        ("Frozen", Kind::Frozen as u32),
        ("FrozenMapping", Kind::FrozenMapping as u32),
    ]);
    all.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    all
}

const _: () = {
    assert!(at::TRANSITIONS.is_power_of_two() && at::TRANSITION.is_power_of_two());
    assert!(at::FLIGHT_ITEM == 8 && at::ENTRY == 8);
};
