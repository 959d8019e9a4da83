//! How a component instance joins the ledger, and gets its window.

use std::sync::{Arc, Mutex};

use wasmtime::{Caller, Engine, Instance, Linker, Memory, MemoryType, Module, Store};

use crate::ledger::layout::*;
use crate::ledger::modules::{self, MEMORY};

/// A table over the memory of the instance `name`: what `join` was told, and how it began.
fn join(name: &str, number: u32, pages: u64) -> (String, wasmtime::Result<(Store<()>, Memory, Instance)>) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let memory = Module::new(&engine, modules::ledger_memory(name).bytes).unwrap();
    let memory = Instance::new(&mut store, &memory, &[]).unwrap().get_memory(&mut store, MEMORY).unwrap();
    assert_eq!(memory.size(&store), 1);
    let mut linker = Linker::new(&engine);
    linker.define(&store, "", "ledger", memory).unwrap();
    let told = Arc::new(Mutex::new(String::new()));
    let hears = told.clone();
    let join = move |mut caller: Caller<'_, ()>, at: u32, len: u32, name: u32, name_len: u32| {
        assert_eq!((at, len), (0, 0));
        let bytes = memory.data(&caller)[name as usize..][..name_len as usize].to_vec();
        *hears.lock().unwrap() = String::from_utf8(bytes).unwrap();
        // The ledger is longer, and empty.
        memory.grow(&mut caller, pages).unwrap();
        memory.data_mut(&mut caller).fill(0);
        number
    };
    linker.func_wrap("", "join", join).unwrap();
    linker.func_wrap("", "more", |_: u32| {}).unwrap();
    linker.func_wrap("", "drop", |_: u32, _: u32| {}).unwrap();
    linker.func_wrap("", "fail", |_: u32, _: u32, _: u32, _: u32| {}).unwrap();
    let table = Module::new(&engine, modules::table(false).bytes).unwrap();
    let table = linker.instantiate(&mut store, &table);
    let told = told.lock().unwrap().clone();
    (told, table.map(|table| (store, memory, table)))
}

#[test]
fn a_table_joins_with_the_instances_name() {
    let (name, begun) = join("stage-2", 3, 1024);
    assert_eq!(name, "stage-2");
    let (mut store, memory, table) = begun.unwrap();
    let global = |store: &mut Store<()>, name| table.get_global(&mut *store, name).unwrap().get(store).i32().unwrap();
    assert_eq!(global(&mut store, "number"), 3);
    assert_eq!(global(&mut store, "record") as u32, TABLES + 3 * TABLE);
    // The first entry is never valid.
    let used = (TABLES + 3 * TABLE + TABLE_USED) as usize;
    assert_eq!(memory.data(&store)[used..used + 4], 1u32.to_le_bytes());
}

#[test]
fn a_long_name_is_cut_short() {
    let (name, _) = join(&"é".repeat(70_000), 1, 1024);
    assert_eq!(name, "é".repeat(128));
    let (name, _) = join(&format!("a{}", "é".repeat(200)), 1, 1024);
    assert_eq!(name, format!("a{}", "é".repeat(127)));
}

#[test]
fn a_number_that_is_none_stops_the_instance() {
    for number in [0, MAX_TABLES, u32::MAX] {
        assert!(join("", number, 1024).1.is_err());
    }
}

#[test]
fn a_failure_never_returns() {
    let (mut store, _, table) = join("", 1, 1024).1.unwrap();
    let fail = table.get_typed_func::<(u32, u32, u32), ()>(&mut store, "fail").unwrap();
    let trap = fail.call(&mut store, (1, 2, 3)).unwrap_err().downcast::<wasmtime::Trap>().unwrap();
    assert_eq!(trap, wasmtime::Trap::UnreachableCodeReached);
}

#[test]
fn a_window_is_shown_by_its_table() {
    let (mut store, _, table) = join("", 5, 1024).1.unwrap();
    let mut linker = Linker::new(store.engine());
    let window = Module::new(store.engine(), modules::window_memory().bytes).unwrap();
    let window = Instance::new(&mut store, &window, &[]).unwrap().get_memory(&mut store, MEMORY).unwrap();
    linker.define(&store, "", "window", window).unwrap();
    let number = table.get_global(&mut store, "number").unwrap();
    linker.define(&store, "", "number", number).unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let show = {
        let shown = shown.clone();
        move |table: u32, at: u32, len: u32| shown.lock().unwrap().push((table, at, len))
    };
    linker.func_wrap("", "show", show).unwrap();
    let start = Module::new(store.engine(), modules::window_start().bytes).unwrap();
    linker.instantiate(&mut store, &start).unwrap();
    assert_eq!(*shown.lock().unwrap(), [(5, 0, 0)]);
    // Any memory is a window.
    let small = Memory::new(&mut store, MemoryType::new(0, Some(0))).unwrap();
    linker.allow_shadowing(true).define(&store, "", "window", small).unwrap();
    linker.instantiate(&mut store, &start).unwrap();
}
