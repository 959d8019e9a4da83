//! Writes what `sdk/js-host` is tested with: the guests that the library's tests drive, as components, and programs of
//! operations with the outcomes that the model of the semantics gives, a program a line, as JSON.
//!
//! ```text
//! cargo run -p mappable-testing --example programs -- DIRECTORY [PROGRAMS [FIRST-SEED]]
//! ```

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use mappable_model::{GRANULE, Holder, Instance, Limits, Op, Outcome, Setup, Way, World};
use mappable_testing::differential::guest::{GRANULES, MOST};
use mappable_testing::wat;
use serde_json::{Value, json};

/// How long a program is. Its stores may end before.
const STEPS: usize = 200;

/// After how many operations all that is held and shown is written down, to be compared.
const LOOK_ALL: usize = 16;

/// As the library's tests have it: two guests that are linked, and one in a store of its own.
const STORES: [usize; 3] = [0, 0, 1];

/// More handles than a holder has: programs rather drop than allocate then.
const MOST_HANDLES: usize = 32;

/// Limits that are met often, sometimes, and never.
const LIMITS: [Limits; 3] = [
    Limits { regions: 5, region_bytes: 9 * GRANULE, mappings: 2, frozen_mapped_bytes: 3 * GRANULE },
    Limits { regions: 14, region_bytes: 24 * GRANULE, mappings: 4, frozen_mapped_bytes: 6 * GRANULE },
    Limits { regions: 1 << 20, region_bytes: 1 << 40, mappings: 1 << 20, frozen_mapped_bytes: 1 << 40 },
];

/// A memory that can grow to where the model's ends.
const MEMORY: &str = "16 64";

/// What programs call of a guest.
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "allocate", "clone", "copy-frozen", "deliver", "drop-frozen", "drop-frozen-mapping", "drop-mappable", "drop-mapping",
    "firsts", "freeze", "give", "give-frozen", "give-frozen-mapping", "give-mapping", "grow", "join", "len", "len-frozen",
    "load8", "map", "map-frozen", "map-private", "paint", "read", "read-frozen", "set-buffer", "set-len", "slice",
    "split", "take", "take-frozen", "take-frozen-mapping", "take-mapping", "thaw", "uniform", "unmap", "unmap-frozen",
    "write",
];

/// What a caller has besides.
const OF_PEER: &[&str] = &["fetch", "fetch-frozen", "pass", "pass-frozen", "pass-frozen-mapping", "pass-mapping"];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().context("usage: programs DIRECTORY [PROGRAMS [FIRST-SEED]]")?);
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse().context("not a number"));
    let (count, first) = (number(40)?, number(0)?);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("guest.wasm"), ::wat::parse_str(guest())?)?;
    fs::write(directory.join("pair.wasm"), ::wat::parse_str(pair())?)?;
    let mut file = fs::File::create(directory.join("programs.jsonl"))?;
    let mut steps = 0;
    for seed in first..first + count {
        let program = program(&mut fastrand::Rng::with_seed(seed), seed)?;
        steps += program["steps"].as_array().map_or(0, Vec::len);
        writeln!(file, "{program}")?;
    }
    println!("{count} programs of {steps} operations");
    Ok(())
}

/// A guest whose functions are exported as those of `a`.
fn guest() -> String {
    let types = wat::import_types(wat::TYPES);
    let guest = wat::guest(MEMORY).replacen("(component", "(component $guest", 1);
    let exports = exports("a", FUNCTIONS);
    format!(
        "(component {types} {} {guest} (instance $a (instantiate $guest {})) {exports})",
        wat::IMPORT_ENV,
        wat::WITH
    )
}

/// Two guests, of which `a` calls `b`.
fn pair() -> String {
    const INSTANCES: &str = r#"(export "a" (instance $a)) (export "b" (instance $b))"#;
    let exports = format!("{} {} {}", exports("a", FUNCTIONS), exports("a", OF_PEER), exports("b", FUNCTIONS));
    wat::pair(MEMORY).replacen(INSTANCES, &exports, 1)
}

/// Functions of an instance, each under a name of its own: as WIT an instance of ours can't be exported.
fn exports(instance: &str, names: &[&str]) -> String {
    let export = |name| {
        let own = format!("{instance}-{name}");
        format!(r#"(alias export ${instance} "{name}" (func ${own})) (export "{own}" (func ${own}))"#)
    };
    names.iter().map(export).collect()
}

fn program(random: &mut fastrand::Rng, seed: u64) -> Result<Value> {
    let limits = LIMITS[random.usize(..LIMITS.len())];
    let whole = random.u8(..4) == 0;
    let instance = |store| Instance { store, granules: GRANULES, most: MOST, way: Way::Copies };
    let setup = Setup { stores: vec![limits; 2], instances: STORES.map(instance).into(), longest_list: 1 << 20 };
    let mut world = World::new(&setup);
    let mut steps = vec![];
    for at in 0..STEPS {
        let op = Op::pick(&world, &[0, 1, 2], &mut |end| random.usize(..end));
        if let Op::Pass { from, handle, to } = op
            && world.contents(from, handle).is_none()
            && (from, to) != (Holder::Instance(0), Holder::Instance(1))
        {
            // A mapping's handle gets lost in jco when it is passed by way of JavaScript. Guests that are linked pass it.
            continue;
        }
        let before = world.clone();
        let outcome = world.apply(&op);
        if matches!((&op, &outcome), (Op::Pass { .. }, Outcome::Trap)) {
            // jco passes on a handle that is beyond its table.
            world = before;
            continue;
        }
        if matches!(outcome, Outcome::Refused | Outcome::Impossible) {
            continue;
        }
        let mut step = operation(&op)?;
        step["outcome"] = expected(&outcome)?;
        if at % LOOK_ALL == LOOK_ALL - 1 || at == STEPS - 1 {
            step["world"] = look(&world);
        }
        steps.push(step);
    }
    ensure!(world.broken().is_none(), "the model breaks its own rules");
    let limits = json!({
        "regions": limits.regions,
        "regionBytes": limits.region_bytes,
        "mappings": limits.mappings,
        "frozenMappedBytes": limits.frozen_mapped_bytes,
    });
    Ok(json!({ "seed": seed, "limits": limits, "whole": whole, "steps": steps }))
}

/// What is held, and what memories show, as far as it can be reached.
fn look(world: &World) -> Value {
    let held = |by: Holder| -> Value {
        let one = |handle| Some(json!([handle, world.contents(by, handle)?, world.length(by, handle)?]));
        (0..MOST_HANDLES).filter_map(one).collect()
    };
    let instance = |(instance, &store): (usize, &usize)| match world.is_alive(store) {
        true => json!({
            "shown": world.shown(instance).collect::<Vec<_>>(),
            "handles": held(Holder::Instance(instance)),
        }),
        false => Value::Null,
    };
    let store = |store| {
        let usage = world.usage(store);
        json!({
            "regions": usage.regions,
            "regionBytes": usage.region_bytes,
            "mappings": usage.mappings,
            "frozenMappedBytes": usage.frozen_mapped_bytes,
        })
    };
    json!({
        "instances": STORES.iter().enumerate().map(instance).collect::<Vec<_>>(),
        "host": held(Holder::Host),
        "usage": [store(0), store(1)],
    })
}

fn holder(by: Holder) -> Value {
    match by {
        Holder::Instance(instance) => json!(instance),
        Holder::Host => json!("host"),
    }
}

fn operation(op: &Op) -> Result<Value> {
    Ok(match *op {
        Op::Allocate { by, size } => json!({ "op": "allocate", "by": holder(by), "size": size }),
        Op::Len { by, handle } => json!({ "op": "len", "by": holder(by), "handle": handle }),
        Op::SetLen { by, handle, len } => json!({ "op": "set-len", "by": holder(by), "handle": handle, "len": len }),
        Op::Map { by, handle, offset, len } => {
            json!({ "op": "map", "by": by, "handle": handle, "offset": offset, "len": len })
        }
        Op::MapPrivate { by, handle, offset, len } => {
            json!({ "op": "map-private", "by": by, "handle": handle, "offset": offset, "len": len })
        }
        Op::Unmap { by, handle, offset, len } => {
            json!({ "op": "unmap", "by": by, "handle": handle, "offset": offset, "len": len })
        }
        Op::Freeze { by, handle } => json!({ "op": "freeze", "by": holder(by), "handle": handle }),
        Op::Thaw { by, handle } => json!({ "op": "thaw", "by": holder(by), "handle": handle }),
        Op::Clone { by, handle } => json!({ "op": "clone", "by": holder(by), "handle": handle }),
        Op::Slice { by, handle, offset, size } => {
            json!({ "op": "slice", "by": holder(by), "handle": handle, "offset": offset, "size": size })
        }
        Op::Copy { by, handle } => json!({ "op": "copy", "by": holder(by), "handle": handle }),
        Op::Split { by, handle, at } => json!({ "op": "split", "by": holder(by), "handle": handle, "at": at }),
        Op::Join { by, low, high } => json!({ "op": "join", "by": holder(by), "low": low, "high": high }),
        Op::Read { by, handle, offset, len } => {
            json!({ "op": "read", "by": holder(by), "handle": handle, "offset": offset, "len": len })
        }
        Op::Write { by, handle, offset, len, byte } => json!({
            "op": "write", "by": holder(by), "handle": handle, "offset": offset, "len": len, "byte": byte
        }),
        Op::Drop { by, handle } => json!({ "op": "drop", "by": holder(by), "handle": handle }),
        Op::Pass { from, handle, to } => {
            json!({ "op": "pass", "by": holder(from), "handle": handle, "to": holder(to) })
        }
        Op::Load { by, granule } => json!({ "op": "load", "by": by, "granule": granule }),
        Op::Store { by, granule, byte } => json!({ "op": "store", "by": by, "granule": granule, "byte": byte }),
        Op::Deliver { by, granule, byte } => json!({ "op": "deliver", "by": by, "granule": granule, "byte": byte }),
        Op::Grow { by, granules } => json!({ "op": "grow", "by": by, "granules": granules }),
        Op::Trap { by } => json!({ "op": "trap", "by": by }),
        Op::DropStore { store } => json!({ "op": "drop-store", "store": store }),
        ref other => anyhow::bail!("{other:?} is of streams"),
    })
}

/// An outcome, with errors by the names of the WIT.
fn expected(outcome: &Outcome) -> Result<Value> {
    Ok(match outcome {
        Outcome::Done => json!("done"),
        Outcome::Handle(handle) => json!({ "handles": [handle] }),
        Outcome::Handles(first, second) => json!({ "handles": [first, second] }),
        Outcome::Length(length) => json!({ "length": length }),
        Outcome::Byte(byte) => json!({ "bytes": [byte] }),
        Outcome::Bytes(bytes) => json!({ "bytes": bytes }),
        Outcome::Grown(granules) => json!({ "grown": granules }),
        Outcome::Map(error) => json!({ "error": kebab(error) }),
        Outcome::Allocate(error) => json!({ "error": kebab(error) }),
        Outcome::Part(error) => json!({ "error": kebab(error) }),
        Outcome::Access(error) => json!({ "error": kebab(error) }),
        Outcome::GivenBack => json!("given-back"),
        Outcome::Trap => json!("trap"),
        other => anyhow::bail!("{other:?} is of streams"),
    })
}

/// `PlacementTooSmall` as `placement-too-small`.
fn kebab(error: &impl std::fmt::Debug) -> String {
    let mut text = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
