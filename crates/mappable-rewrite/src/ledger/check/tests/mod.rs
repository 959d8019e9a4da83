//! A sound output with stand-ins for trusted modules passes; each way to make it unsound is found.

mod bundles;
mod crossing;
pub(crate) mod mutate;
mod rules;

use std::collections::{HashMap, HashSet};

use wasmparser::{KnownCustom, Name, Parser, Payload};

use super::*;
use crate::error::Bug;
use crate::ledger::signature::{Kind, Value};
use crate::ledger::unsound::{Place, Private, Unsound};

/// The text of the output that is sound.
fn sound() -> String {
    let prelude = include_str!("prelude.wat");
    include_str!("sound.wat")
        .replace("    ;; prelude a\n", &prelude.replace("-@", "-a"))
        .replace("    ;; prelude b\n", &prelude.replace("-@", "-b"))
}

/// The bytes of each core module, by its name.
fn modules(component: &[u8]) -> HashMap<String, &[u8]> {
    let mut modules = HashMap::new();
    let mut last = &component[..0];
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { unchecked_range, .. } => last = &component[unchecked_range],
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    for name in names {
                        if let Name::Module { name, .. } = name.unwrap() {
                            modules.insert(name.to_owned(), last);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    modules
}

/// What the modules of [`sound`] are for.
fn stand_ins(modules: &HashMap<String, &[u8]>) -> Trusted {
    use Need::*;
    let mut trusted = Trusted::new(["drop-mappable"]);
    let list = Value::List(Box::new(Value::U8));
    let take = Rc::new(Signature { params: vec![Value::Own(Kind::Mappable), list.clone()], result: Some(list) });
    let mut insert = |name: &str, role, needs: &[(&'static str, Need)]| {
        let module = Module { bytes: modules[name].into(), needs: needs.to_vec() };
        let made_for = matches!(role, Role::Lower | Role::Lift).then(|| MadeFor::Closed(Rc::clone(&take), true));
        let purpose = made_for.map(|made_for| trusted.purpose(made_for));
        trusted.insert(role, purpose, &module).unwrap();
    };
    insert("ledger-memory", Role::LedgerMemory, &[]);
    insert("window-memory", Role::WindowMemory, &[]);
    let table = [("ledger", Ledger), ("join", Helper("join")), ("more", Helper("more"))];
    insert("table-module", Role::Table, &table);
    let start = [("window", Window), ("aim", Helper("window")), ("number", Table("number"))];
    insert("window-start", Role::WindowStart, &start);
    insert("guard", Role::Guard, &[("callee", Callee), ("forbidden", Table("forbidden"))]);
    let may_leave = [("callee", Callee), ("forbidden", Table("forbidden"))];
    insert("may-leave-granule", Role::MayLeave, &may_leave);
    insert("may-leave-plain", Role::MayLeave, &may_leave);
    let take = ("take", Table("take"));
    let ledger = ("ledger", Ledger);
    let guest = ("guest", GuestMemory);
    let memory = ("memory-number", Helper("memory-number"));
    let realloc = ("realloc", Realloc);
    let callee = ("callee", Callee);
    insert("size", Role::Builtin(Builtin::MappableSize), &[callee, ledger, take]);
    // Of which there is no instance.
    insert("frozen-size", Role::Builtin(Builtin::FrozenSize), &[callee, ledger]);
    insert("write", Role::Builtin(Builtin::MappableWrite), &[callee, ledger, guest, take, memory]);
    insert("lower", Role::Lower, &[callee, guest, realloc, ledger, take, memory]);
    insert("lift", Role::Lift, &[callee, guest, realloc, ledger, ("window", Window), ("put", Table("put"))]);
    trusted
}

/// The verdict on an output, when the modules that may be in it are those of [`sound`].
fn verdict(output: &[u8]) -> Result<(), RewriteError> {
    let sound = wat::parse_str(sound()).unwrap();
    let modules = modules(&sound);
    let guests: HashSet<&[u8]> =
        modules.iter().filter(|(name, _)| name.starts_with("guest")).map(|(_, bytes)| *bytes).collect();
    check(output, &guests, &stand_ins(&modules), &Gate::new("k0").unwrap())
}

#[test]
fn the_sound_output_passes() {
    verdict(&wat::parse_str(sound()).unwrap()).unwrap();
}

#[test]
fn a_component_that_has_become_too_long_to_be_nested_has_no_room() {
    // The section's header: that of a component of more than a gibibyte.
    let output = [&b"\0asm\x0d\0\x01\0\x04"[..], &[0x81, 0x80, 0x80, 0x80, 0x04]].concat();
    let Err(RewriteError::NotClosed { obstacle }) = verdict(&output) else { panic!() };
    assert!(matches!(&obstacle.reason, Reason::NoRoom(what) if what.ends_with("section is too large")), "{obstacle}");
}
