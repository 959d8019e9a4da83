//! Compositions of every shape: several instances of one component, diamonds, chains of components that only pass on,
//! functions and types that are exported again under other names, components put together by `wac`.

use mappable::GRANULE;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};

use super::Party;
use crate::support::{G, Guest, Setup, World, Wrong, closed, on_every_setup, wrong};
use crate::wat;

/// A component `name` that passes on what it is given: it lowers its peer's functions, and lifts what it has lowered.
/// Its types have names of its own, if it says so.
fn relay(name: &str, renamed: bool) -> String {
    let types = wat::import_types(wat::TYPES);
    let [m, g, f, h] = if renamed {
        ["region", "shown", "stone", "shown-stone"]
    } else {
        ["mappable", "mapping", "frozen", "frozen-mapping"]
    };
    let functions = [
        ("accept", r#"(param "region" (own $m))"#, "u32"),
        ("accept-mapping", r#"(param "mapping" (own $g))"#, "u32"),
        ("lend", r#"(param "region" (borrow $m))"#, "u64"),
        ("give-back", r#"(param "handle" u32)"#, "(own $m)"),
        ("accept-frozen", r#"(param "frozen" (own $f))"#, "u32"),
        ("accept-frozen-mapping", r#"(param "mapping" (own $h))"#, "u32"),
        ("give-back-frozen", r#"(param "handle" u32)"#, "(own $f)"),
        ("poke", r#"(param "address" u32)"#, "u32"),
    ];
    let imported: String = functions
        .iter()
        .map(|(name, params, result)| format!(r#"(export "{name}" (func {params} (result {result})))"#))
        .collect();
    let own = |text: &str| text.replace("$m)", "$mappable)").replace("$g)", "$mapping)").replace("$f)", "$frozen)");
    let own = |text: &str| own(text).replace("$h)", "$frozen-mapping)");
    // A lift that borrows has to drop what it borrowed, so it goes by a function of its own.
    let lifts: String = functions
        .iter()
        .filter(|(name, ..)| *name != "lend")
        .map(|(name, params, result)| {
            let (params, result) = (own(params), own(result));
            format!(
                r#"(core func $l-{name} (canon lower (func $peer "{name}")))
                (func $f-{name} {params} (result {result}) (canon lift (core func $l-{name})))"#
            )
        })
        .collect();
    let exports: String = functions.iter().map(|(name, ..)| format!(r#"(export "{name}" (func $f-{name}))"#)).collect();
    format!(
        r#"(component ${name} {types}
          (import "test:guest/peer" (instance $peer
            (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
            (alias outer 1 $mapping (type $g')) (export "mapping" (type $g (eq $g')))
            (alias outer 1 $frozen (type $f')) (export "frozen" (type $f (eq $f')))
            (alias outer 1 $frozen-mapping (type $h')) (export "frozen-mapping" (type $h (eq $h')))
            {imported}))
          {lifts}
          (core func $lend (canon lower (func $peer "lend")))
          (core func $drop (canon resource.drop $mappable))
          (core module $L (import "" "lend" (func $lend (param i32) (result i64)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "lend") (param i32) (result i64) (call $lend (local.get 0)) (call $drop (local.get 0))))
          (core instance $l (instantiate $L (with "" (instance (export "lend" (func $lend)) (export "drop" (func $drop))))))
          (func $f-lend (param "region" (borrow $mappable)) (result u64) (canon lift (core func $l "lend")))
          (instance $self
            (export "mappable" (type $mappable)) (export "mapping" (type $mapping))
            (export "frozen" (type $frozen)) (export "frozen-mapping" (type $frozen-mapping)) {exports})
          (instance $types-again
            (export "{m}" (type $mappable)) (export "{g}" (type $mapping))
            (export "{f}" (type $frozen)) (export "{h}" (type $frozen-mapping)))
          (export "names" (instance $types-again))
          (export "test:guest/peer" (instance $self)))"#
    )
}

/// A component that exports its peer as it got it.
fn window(name: &str) -> String {
    let relay = relay(name, false);
    let begin = relay.find("(core func").unwrap();
    format!(r#"{} (export "test:guest/peer" (instance $peer)))"#, &relay[..begin])
}

const PEER: &str = r#"(with "test:guest/peer" (instance $peer"#;

/// A leaf, a caller, and between them what `between` says: it makes `$peer1`, for the caller, of `$peer0`.
fn around(memory: &str, components: &str, between: &str) -> String {
    let leaf = wat::guest(memory).replacen("(component", "(component $leaf", 1);
    let caller = wat::caller(memory).replacen("(component", "(component $caller", 1);
    format!(
        r#"(component {types} {env} {leaf} {caller} {components}
          (instance $b (instantiate $leaf {with}))
          (alias export $b "test:guest/peer" (instance $peer0))
          {between}
          (instance $a (instantiate $caller {with} {PEER}1))))
          (export "a" (instance $a)) (export "b" (instance $b)))"#,
        types = wat::import_types(wat::TYPES),
        env = wat::IMPORT_ENV,
        with = wat::WITH,
    )
}

/// Makes peer `to` of peer `from` by an instance of `component`.
fn link(component: &str, from: usize, to: usize) -> String {
    format!(
        r#"(instance $r{to} (instantiate ${component} (with "mappable:memory/types@0.1.0" (instance $types)) {PEER}{from}))))
        (alias export $r{to} "test:guest/peer" (instance $peer{to}))"#
    )
}

/// `a` hands over to `b` and takes back all that can be: a region, a frozen one, mappings of both; and lends.
#[track_caller]
fn everything_goes(world: &mut World, a: &Guest, b: &Guest) {
    for round in 0..3u8 {
        let mapping = a.mapped(world, 4 * G, 2, 0x21 + round);
        let region = a.unmap(world, mapping, 4 * G, 2 * G).unwrap();
        assert_eq!(a.call::<_, u64>(world, "lend", (region,)).unwrap(), 2 * GRANULE);
        let there: u32 = a.call(world, "pass", (region,)).unwrap();
        let mapping = b.map(world, there, 6 * G, 2 * G).unwrap();
        b.expect(world, 6 * G, 2 * G, 0x21 + round);
        b.fill(world, 7 * G, 0x31 + round, G);
        let there = b.unmap(world, mapping, 6 * G, 2 * G).unwrap();
        let region: u32 = a.call(world, "fetch", (there,)).unwrap();
        let mapping = a.map(world, region, 4 * G, 2 * G).unwrap();
        a.expect(world, 4 * G, G, 0x21 + round);
        a.expect(world, 5 * G, G, 0x31 + round);
        let region = a.unmap(world, mapping, 4 * G, 2 * G).unwrap();
        let frozen = a.freeze(world, region);
        let clone = a.clone_frozen(world, frozen).unwrap();
        let there: u32 = a.call(world, "pass-frozen", (clone,)).unwrap();
        let theirs = b.map_frozen(world, there, 8 * G, 2 * G).unwrap();
        b.expect(world, 8 * G, G, 0x21 + round);
        assert_eq!(a.thaw(world, frozen), Err(frozen));
        let there = b.unmap_frozen(world, theirs, 8 * G, 2 * G).unwrap();
        let clone: u32 = a.call(world, "fetch-frozen", (there,)).unwrap();
        a.run(world, "drop-frozen", (clone,)).unwrap();
        // `b` shows nothing of it any more from its next change on.
        b.mapped_and_unmapped(world);
        let region = a.thaw(world, frozen).unwrap();
        a.run(world, "drop-mappable", (region,)).unwrap();
        assert_eq!(world.held(), (0, 0));
    }
    let mapping = a.mapped(world, 4 * G, 1, 0x11);
    let there: u32 = a.call(world, "pass-mapping", (mapping,)).unwrap();
    b.run(world, "drop-mapping", (there,)).unwrap();
    a.expect(world, 4 * G, G, 0x11);
    a.mapped_and_unmapped(world);
    a.expect(world, 4 * G, G, 0);
}

/// Compiles what has guests `a` and `b`, and has everything go between them.
#[track_caller]
fn goes(setup: Setup, text: &str) {
    let mut world = World::new(setup);
    let component = world.fixture.compile(text);
    let (a, b) = world.guests(&component);
    everything_goes(&mut world, &a, &b);
    // A number of `b`'s is nothing to `a`.
    let theirs = b.allocate(&mut world, GRANULE).unwrap();
    let answer = a.call::<_, u64>(&mut world, "size", (theirs + 50,));
    wrong(setup, answer, &[Wrong::UnknownHandle]);
}

on_every_setup! {
    fn a_chain_of_components_passes_everything_on(setup) {
        for length in [1, 2, 5] {
            // From the leaf's peer, 0, by 2, 3, ... to the caller's, 1.
            let number = |n: usize| if n == 0 { 0 } else if n == length { 1 } else { n + 1 };
            let links: String = (0..length).map(|n| link("relay", number(n), number(n + 1))).collect();
            let text = around(setup.memory(), &relay("relay", false), &links);
            goes(setup, &text);
        }
    }

    fn what_is_exported_again_is_what_it_was(setup) {
        let components = window("window") + &relay("relay", true);
        let links = link("window", 0, 2) + &link("relay", 2, 3) + &link("window", 3, 1);
        goes(setup, &around(setup.memory(), &components, &links));
    }

    fn types_may_have_other_names(setup) {
        goes(setup, &around(setup.memory(), &relay("relay", true), &link("relay", 0, 1)));
    }

    fn two_instances_of_one_component_have_handles_of_their_own(setup) {
        let memory = setup.memory();
        let pair = wat::pair(memory).replacen("(component", "(component $pair", 1);
        // Two pairs of the same two components: `a` of the first, `b` of the second. They share nothing.
        let text = format!(
            r#"(component {types} {env} {pair}
              (instance $one (instantiate $pair {with})) (instance $two (instantiate $pair {with}))
              (alias export $one "a" (instance $a)) (alias export $two "a" (instance $b))
              (export "a" (instance $a)) (export "b" (instance $b)))"#,
            types = wat::import_types(wat::TYPES), env = wat::IMPORT_ENV, with = wat::WITH,
        );
        let mut world = World::new(setup);
        let component = world.fixture.compile(&text);
        let (a, b) = world.guests(&component);
        let mine = [1, 2, 3].map(|granules| a.allocate(&mut world, granules * GRANULE).unwrap());
        let theirs = [4, 5, 6].map(|granules| b.allocate(&mut world, granules * GRANULE).unwrap());
        assert_eq!(mine, theirs, "numbers are each one's own");
        for (n, (mine, theirs)) in mine.into_iter().zip(theirs).enumerate() {
            let n = n as u64;
            assert_eq!(a.call::<_, u64>(&mut world, "size", (mine,)).unwrap(), (n + 1) * GRANULE);
            assert_eq!(b.call::<_, u64>(&mut world, "size", (theirs,)).unwrap(), (n + 4) * GRANULE);
        }
        // Passed to each one's own peer: the other's stays.
        let passed: u32 = a.call(&mut world, "pass", (mine[0],)).unwrap();
        assert_eq!(b.call::<_, u64>(&mut world, "size", (theirs[0],)).unwrap(), 4 * GRANULE);
        let back: u32 = a.call(&mut world, "fetch", (passed,)).unwrap();
        assert_eq!(a.call::<_, u64>(&mut world, "size", (back,)).unwrap(), GRANULE);
        // A number that the first has is nothing to the second.
        let fourth = a.allocate(&mut world, GRANULE).unwrap();
        wrong(setup, b.call::<_, u64>(&mut world, "size", (fourth,)), &[Wrong::UnknownHandle]);
    }

    fn a_diamond_comes_together(setup) {
        // Two callers, each by a relay of its own, of one leaf.
        let memory = setup.memory();
        let leaf = wat::guest(memory).replacen("(component", "(component $leaf", 1);
        let caller = wat::caller(memory).replacen("(component", "(component $caller", 1);
        let text = format!(
            r#"(component {types} {env} {leaf} {caller} {relay}
              (instance $c (instantiate $leaf {with}))
              (alias export $c "test:guest/peer" (instance $peer0))
              {left} {right}
              (instance $a (instantiate $caller {with} {PEER}1))))
              (instance $b (instantiate $caller {with} {PEER}2))))
              (export "a" (instance $a)) (export "b" (instance $b)))"#,
            types = wat::import_types(wat::TYPES), env = wat::IMPORT_ENV, with = wat::WITH,
            relay = relay("relay", false), left = link("relay", 0, 1), right = link("relay", 0, 2),
        );
        let mut world = World::new(setup);
        let component = world.fixture.compile(&text);
        let (a, b) = world.guests(&component);
        for round in 0..3u8 {
            let mapping = a.mapped(&mut world, 4 * G, 1, 0x41 + round);
            let region = a.unmap(&mut world, mapping, 4 * G, G).unwrap();
            // Down by the one side, up by the other.
            let deep: u32 = a.call(&mut world, "pass", (region,)).unwrap();
            let region: u32 = b.call(&mut world, "fetch", (deep,)).unwrap();
            let mapping = b.map(&mut world, region, 5 * G, G).unwrap();
            b.expect(&mut world, 5 * G, G, 0x41 + round);
            let region = b.unmap(&mut world, mapping, 5 * G, G).unwrap();
            b.run(&mut world, "drop-mappable", (region,)).unwrap();
        }
        assert_eq!(world.held(), (0, 0));
    }

    fn components_put_together_by_wac_hand_regions_over(setup) {
        let bytes = put_together(setup.memory());
        let mut world = World::new(setup);
        let component = world.runtime().compile(&bytes).unwrap();
        let (a, b) = world.guests(&component);
        everything_goes(&mut world, &a, &b);
    }

    fn a_tree_many_components_deep_hands_regions_over(setup) {
        goes(setup, &wat::nested(setup.memory(), 12));
    }

    fn many_components_in_one_store_have_handles_of_their_own(setup) {
        let mut world = World::new(setup);
        let component = world.fixture.compile(&wat::pair(setup.memory()));
        let pairs: Vec<_> = (0..10).map(|_| world.guests(&component)).collect();
        let mut held = vec![];
        for (n, (a, _)) in (1..).zip(&pairs) {
            let region = a.allocate(&mut world, n * GRANULE).unwrap();
            held.push(a.call::<_, u32>(&mut world, "pass", (region,)).unwrap());
        }
        for ((n, (a, b)), held) in (1..).zip(&pairs).zip(held) {
            assert_eq!(b.call::<_, u64>(&mut world, "size", (held,)).unwrap(), n * GRANULE);
            let back: u32 = a.call(&mut world, "fetch", (held,)).unwrap();
            a.run(&mut world, "drop-mappable", (back,)).unwrap();
        }
        assert_eq!(world.held(), (0, 0));
    }

    fn parties_are_found_by_their_names(setup) {
        // The harness itself: a closed composition offers no function that takes or gives a handle.
        let mut world = World::new(setup);
        let [guest] = Party::all(&mut world, &closed(&wat::guest(setup.memory()), false), ["guest"]);
        assert!(guest.call::<_, u32>(&mut world, "granule", ()).is_ok());
        let text = closed(&wat::pair(setup.memory()), false);
        let exports = text.rfind("(instance $e").map(|at| &text[at..]).unwrap();
        assert!(!exports.contains(r#""take""#) && !exports.contains(r#""give""#));
    }
}

/// A caller `a` and its peer `b`, put together by `wac`. The composition offers the host what is plain of both.
pub(crate) fn put_together(memory: &str) -> Vec<u8> {
    let mut graph = CompositionGraph::new();
    let mut package = |name: &str, text: &str| {
        let bytes = ::wat::parse_str(text).unwrap();
        let package = Package::from_bytes(name, None, bytes, graph.types_mut()).unwrap();
        graph.register_package(package).unwrap()
    };
    // Each offers what is plain of it as an instance of its own.
    let leaf = package("test:leaf", &with_api(&wat::guest(memory)));
    let caller = package("test:caller", &with_api(&wat::caller(memory)));
    let b = graph.instantiate(leaf);
    let a = graph.instantiate(caller);
    let peer = graph.alias_instance_export(b, "test:guest/peer").unwrap();
    graph.set_instantiation_argument(a, "test:guest/peer", peer).unwrap();
    for (node, name) in [(a, "a"), (b, "b")] {
        let api = graph.alias_instance_export(node, "api").unwrap();
        graph.export(api, name).unwrap();
    }
    graph.encode(EncodeOptions::default()).unwrap()
}

/// A guest that exports its plain functions once more, as an instance.
fn with_api(text: &str) -> String {
    let mut api = String::new();
    let mut out = String::new();
    for (number, part) in text.split(r#"  (func (export ""#).enumerate() {
        let name = part.split('"').next().unwrap();
        let lifted = part.split("(func ").next().unwrap();
        let is_plain = lifted.contains("(canon lift") && !lifted.contains("(own") && !lifted.contains("(borrow");
        match number {
            0 => out += part,
            _ if is_plain => {
                out += &format!(r#"  (func $api-{name} (export "{part}"#);
                api += &format!(r#"(export "{name}" (func $api-{name}))"#);
            }
            _ => out += &format!(r#"  (func (export "{part}"#),
        }
    }
    let end = out.rfind(')').unwrap();
    format!(r#"{} (instance $api {api}) (export "api" (instance $api)))"#, &out[..end])
}
