//! What is written for the ledger tier: it validates and is sound, and keeps the shape that the world sees.

use mappable_testing::wat as guests;
use std::fs;
use std::path::Path;

use mappable_rewrite::internals::interface::INTERFACE;
use mappable_rewrite::{ImportError, Reason, RefreshReport, RewriteError, Settings, Tier, TierReport, rewrite_with};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wasmparser::{ComponentExternalKind, Parser, Payload};

use crate::support::{gate, golden_inputs, wasm};

/// The guests of the library's tests.
/// What is done to memories that nothing is mapped into is [`fixed`](crate::fixed)'s topic.
const LEDGER: Settings = Settings { tier: Tier::Ledger, lists: true, bound: false, preload: false };

/// Writes a closed tree for the ledger tier, with lists and without. Both are checked by the library.
pub(crate) fn written(input: &[u8]) -> Vec<u8> {
    let of = |lists| {
        let rewritten = rewrite_with(input, &gate(), Settings { lists, ..LEDGER });
        let rewritten = rewritten.unwrap_or_else(|error| panic!("{error}: {error:?}"));
        match &rewritten.report.tier {
            TierReport::Ledger { .. } => keeps_its_shape(input, &rewritten.bytes),
            tier => assert!(!lists, "{tier:?}"),
        }
        assert!(rewritten.report.lowers().all(|(_, lower)| !lists || lower.refresh == RefreshReport::Ledger));
        rewritten.bytes.into_owned()
    };
    of(false);
    of(true)
}

/// The root has the same imports, but for the gate's names and the ledger, and the same exports; and all is valid.
pub(crate) fn keeps_its_shape(input: &[u8], output: &[u8]) {
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(output).unwrap();
    let ((mut imports, exports), (after, exports_after)) = (shape(input), shape(output));
    imports.iter_mut().for_each(|(name, _)| *name = name.replace("mappable:memory/", "mappable:k0/"));
    // First, or behind the package where there are bridges.
    let ledger = (gate().import_name(INTERFACE), ComponentExternalKind::Instance);
    let place = after.iter().position(|import| *import == ledger).unwrap();
    assert!(place == 0 || after[place - 1].0.starts_with("mappable:k0/types"), "{after:?}");
    imports.insert(place, ledger);
    assert_eq!(imports, after);
    assert_eq!(exports, exports_after);
}

type Names = Vec<(String, ComponentExternalKind)>;

/// The root's imports and exports.
fn shape(component: &[u8]) -> (Names, Names) {
    let (mut imports, mut exports) = (Names::new(), Names::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                imports.extend(
                    section.into_iter().map(|import| import.unwrap()).map(|i| (i.name.name.into(), i.ty.kind())),
                );
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                exports.extend(section.into_iter().map(|export| export.unwrap()).map(|e| (e.name.name.into(), e.kind)));
            }
            _ => {}
        }
    }
    (imports, exports)
}

/// Why a tree is refused by the ledger tier.
fn open(input: &[u8]) -> Reason {
    match rewrite_with(input, &gate(), LEDGER) {
        Err(RewriteError::NotClosed { obstacle }) => obstacle.reason,
        other => panic!("{other:?}"),
    }
}

/// The built guest of a name.
fn built(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/built");
    fs::read(folder.join(name).with_extension("wasm")).unwrap()
}

/// Pairs of built stages, each a stage of the next; nothing is exported, or the last one.
fn composed(stages: &[&str], exported: bool) -> Vec<u8> {
    let step = "mappable:stage/step@0.1.0";
    let mut graph = CompositionGraph::new();
    let register = |graph: &mut CompositionGraph, name: &str| {
        let package = Package::from_bytes(&format!("test:{name}"), None, built(name), graph.types_mut()).unwrap();
        graph.register_package(package).unwrap()
    };
    let pair = register(&mut graph, "pair");
    let mut so_far = None;
    for stage in stages {
        let package = register(&mut graph, stage);
        let instance = graph.instantiate(package);
        let this = graph.alias_instance_export(instance, step).unwrap();
        so_far = Some(match so_far {
            None => this,
            Some(first) => {
                let instance = graph.instantiate(pair);
                graph.set_instantiation_argument(instance, "mappable:stage/first@0.1.0", first).unwrap();
                graph.set_instantiation_argument(instance, "mappable:stage/second@0.1.0", this).unwrap();
                graph.alias_instance_export(instance, step).unwrap()
            }
        });
    }
    if let Some(last) = so_far.filter(|_| exported) {
        graph.export(last, step).unwrap();
    }
    graph.encode(EncodeOptions::default()).unwrap()
}

#[test]
fn compositions_of_built_stages_are_written() {
    for exported in [false, true] {
        written(&composed(&["grayscale", "blur"], exported));
        written(&composed(&["decode", "resize", "sharpen", "edges", "encode"], exported));
    }
}

#[test]
fn compositions_in_text_are_written_with_several_memories_sizes_and_depths() {
    // The world is given none of their functions.
    let exports = r#"(export "a" (instance $a)) (export "b" (instance $b))"#;
    let closed = |text: String| {
        let (before, after) = text.rsplit_once(exports).unwrap();
        wasm(&format!("{before}{after}"))
    };
    for memory in ["16", "1 65536"] {
        written(&closed(guests::pair(memory)));
        written(&closed(guests::nested(memory, 3)));
    }
    for open in [guests::guest("16"), guests::pair("16")] {
        written(&wasm(&open));
    }
}

#[test]
fn what_is_written_compiles() {
    let mut config = wasmtime::Config::new();
    config.strategy(wasmtime::Strategy::Cranelift).cranelift_opt_level(wasmtime::OptLevel::None);
    let engine = wasmtime::Engine::new(&config).unwrap();
    wasmtime::component::Component::new(&engine, written(&composed(&["grayscale", "blur"], false))).unwrap();
}

#[test]
fn what_is_not_closed_is_refused_with_what_stands_in_the_way() {
    let error = rewrite_with(&late(), &gate(), LEDGER).unwrap_err();
    assert!(error.to_string().starts_with("the composition can't run in the ledger tier: root"), "{error}");
}

/// A pair that imports the package behind an instance.
fn late() -> Vec<u8> {
    wasm(&guests::pair("16").replacen("(component", "(component (component $none) (instance (instantiate $none))", 1))
}

#[test]
fn what_is_not_closed_stays_at_baseline_and_the_report_says_why() {
    let pair = late();
    let auto = rewrite_with(&pair, &gate(), Settings::default()).unwrap();
    let baseline = rewrite_with(&pair, &gate(), Settings { tier: Tier::Baseline, ..Settings::default() }).unwrap();
    assert!(auto.bytes == baseline.bytes);
    assert!(matches!(auto.report.tier, TierReport::Baseline { obstacle: Some(_) }), "{:?}", auto.report.tier);
}

#[test]
fn a_stage_alone_has_the_ledger() {
    for stage in ["blur", "decode"] {
        let stage = built(stage);
        written(&stage);
        // The report is of the component as it was given.
        let [ledger, baseline] = [Tier::Ledger, Tier::Baseline].map(|tier| {
            let settings = Settings { tier, ..Settings::default() };
            rewrite_with(&stage, &gate(), settings).unwrap().report
        });
        let seen = |report: &mappable_rewrite::Report| {
            let components = report.components.iter();
            let lowers =
                components.map(|component| component.lowers.iter().map(|lower| lower.memory.clone()).collect());
            let lowers: Vec<Vec<_>> = lowers.collect();
            let named = report.components.iter().map(|component| (component.path.clone(), component.name.clone()));
            (named.collect::<Vec<_>>(), lowers, report.gated_imports.clone())
        };
        assert_eq!(seen(&ledger), seen(&baseline));
    }
}

/// What becomes of any component with the default settings: what the baseline makes of it, or an output of the ledger's
/// that is sound. Whether it is the ledger's.
pub(crate) fn auto_is_sound(input: &[u8]) -> bool {
    let with = |tier| rewrite_with(input, &gate(), Settings { tier, ..Settings::default() });
    match (with(Tier::Auto), with(Tier::Baseline)) {
        (Ok(auto), Ok(baseline)) => match &auto.report.tier {
            TierReport::Ledger { .. } => {
                keeps_its_shape(input, &auto.bytes);
                true
            }
            TierReport::Baseline { obstacle } => {
                let broken = obstacle.as_ref().filter(|obstacle| matches!(obstacle.reason, Reason::Broken(_)));
                assert!(broken.is_none(), "{broken:?}");
                assert!(auto.bytes == baseline.bytes, "the baseline is as it was");
                false
            }
        },
        (Err(auto), Err(baseline)) => {
            assert_eq!(auto.to_string(), baseline.to_string());
            false
        }
        (auto, baseline) => panic!("{auto:?}, at baseline {baseline:?}"),
    }
}

#[test]
fn golden_inputs_are_written_or_stay_at_baseline() {
    let ledger = golden_inputs().into_iter().filter(|(_, input)| auto_is_sound(input));
    let names: Vec<_> = ledger.map(|(name, _)| name).collect();
    assert!(!names.is_empty(), "{names:?}");
}

/// The text of an output, without the trusted modules' bodies and the host interface's type.
fn abridged(output: &[u8]) -> String {
    let text = wasmprinter::print_bytes(output).unwrap();
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        kept += line;
        kept.push('\n');
        let item = line.trim_start();
        let indent = line.len() - item.len();
        // Guests' modules have names.
        let trusted = item.starts_with("(core module (;");
        if trusted || item.starts_with("(instance") && lines.peek().is_some_and(is_map_error) {
            let end = format!("{:indent$})", "");
            for line in lines.by_ref().take_while(|line| *line != end) {
                let shown = ["(import ", "(export ", "(start "].iter().any(|item| line.trim_start().starts_with(item));
                if trusted && shown {
                    kept += &format!("{line}\n");
                }
            }
            kept += &format!("{:indent$}  ...)\n", "");
        }
    }
    kept
}

fn is_map_error(line: &&str) -> bool {
    line.contains("(enum \"placement-misaligned\"")
}

#[test]
fn small_trees_are_written_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-ledger");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".wat").filter(|name| !name.ends_with(".out")) else { continue };
        let given = abridged(&written(&wat::parse_file(folder.join(&file)).unwrap()));
        let out = folder.join(format!("{name}.out.wat"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&out, &given).unwrap();
        }
        let expected = fs::read_to_string(&out).unwrap_or_default();
        assert!(expected == given, "{name}: expected:\n{expected}\ngot:\n{given}");
        seen += 1;
    }
    assert!(seen >= 3, "the golden folder was found");
}

#[test]
fn a_component_that_asks_for_the_ledger_is_refused_at_each_tier() {
    for name in ["mappable:memory/ledger@0.1.0", "mappable:memory/ledger", "mappable:k0/ledger@0.1.9"] {
        let input = wasm(&format!(r#"(component (import "{name}" (instance)))"#));
        for tier in [Tier::Auto, Tier::Baseline, Tier::Ledger] {
            match rewrite_with(&input, &gate(), Settings { tier, ..LEDGER }) {
                Err(RewriteError::Import(ImportError::LedgerInterface { import })) => assert_eq!(import, name),
                other => panic!("{tier:?}, {name}: {other:?}"),
            }
        }
    }
    // Within the tree such a name is nobody's.
    let nested = wasm(r#"(component (component (import "mappable:memory/ledger@0.1.0" (instance))))"#);
    assert!(!rewrite_with(&nested, &gate(), LEDGER).unwrap().changed());
}

#[test]
fn a_guest_with_one_of_the_ledgers_modules_stays_at_baseline() {
    let text = include_str!("../golden-ledger/closed-pair.wat");
    let output = written(&wasm(text));
    let mut tried = 0;
    for module in modules(&output) {
        let mut input = wasm(text);
        if modules(&input).contains(&module) {
            continue;
        }
        // A nested component that has the module, as the last section.
        let mut inner = wasm_encoder::Component::new();
        inner.section(&wasm_encoder::RawSection {
            id: wasm_encoder::ComponentSectionId::CoreModule as u8,
            data: module,
        });
        input = crate::support::nest(input, &inner.finish());
        assert_eq!(open(&input), Reason::TrustedModule);
        let auto = rewrite_with(&input, &gate(), Settings { tier: Tier::Auto, ..LEDGER }).unwrap();
        let TierReport::Baseline { obstacle: Some(obstacle) } = auto.report.tier else { panic!() };
        assert_eq!(obstacle.to_string(), "root/2 has a core module that is one of the ledger's own, byte for byte");
        tried += 1;
    }
    assert!(tried >= 4, "{tried}");
}

/// The core modules of a tree.
fn modules(component: &[u8]) -> Vec<&[u8]> {
    let payloads = Parser::new(0).parse_all(component).map(Result::unwrap);
    let sections = payloads.filter_map(|payload| match payload {
        Payload::ModuleSection { unchecked_range, .. } => Some(unchecked_range),
        _ => None,
    });
    sections.map(|range| &component[range]).collect()
}
