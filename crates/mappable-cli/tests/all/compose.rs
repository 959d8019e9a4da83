//! Stages as one component: as a stage again, and as one that runs where nobody knows regions.

use std::fs;
use std::path::Path;

use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::support::{Done, Place, encode_png, guest, photo};

fn compose(place: &Place, output: &str, args: &[&str]) -> Done {
    place.mappable(["compose", "-o", output].into_iter().chain(args.iter().copied()))
}

/// A component on Wasmtime as it comes: nothing of mappable is linked, and nothing else.
fn load(path: &Path) -> (Store<()>, wasmtime::component::Instance) {
    let engine = Engine::default();
    let component = Component::from_file(&engine, path).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// What `run` of `copying-step` gives for a file.
fn run(path: &Path, file: &[u8], args: &[&str]) -> Result<Vec<u8>, String> {
    let (mut store, instance) = load(path);
    let step = instance.get_export_index(&mut store, None, "mappable:stage/copying-step@0.1.0").unwrap();
    let run = instance.get_export_index(&mut store, Some(&step), "run").unwrap();
    let run = instance.get_func(&mut store, run).unwrap();
    let list = |bytes: &[u8]| Val::List(bytes.iter().copied().map(Val::U8).collect());
    let header = Val::Record(vec![
        ("pixels".into(), Val::Enum("encoded".into())),
        ("width".into(), Val::U32(0)),
        ("height".into(), Val::U32(0)),
        ("size".into(), Val::U64(file.len() as u64)),
    ]);
    let args = Val::List(args.iter().map(|&arg| Val::String(arg.into())).collect());
    let mut results = [Val::Bool(false)];
    run.call(&mut store, &[list(file), header, args], &mut results).unwrap();
    let bytes = |made: &Val| match made {
        Val::Tuple(fields) => match &fields[0] {
            Val::List(bytes) => {
                bytes.iter().map(|byte| if let Val::U8(byte) = byte { *byte } else { panic!() }).collect()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    match &results[0] {
        Val::Result(Ok(Some(made))) => Ok(bytes(made)),
        Val::Result(Err(Some(error))) => match &**error {
            Val::String(text) => Err(text.clone()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_portable_composition_runs_on_stock_wasmtime_and_gives_what_pipe_gives() {
    let place = Place::new();
    compose(&place, "portable.wasm", &["--portable", "blur", "grayscale"]).succeeds();
    let input = photo("rocket.jpg");
    let args = ["pipe", "-i", input.to_str().unwrap(), "-o", "out.png", "blur:2", "grayscale"];
    place.mappable(args).succeeds();
    let made = run(&place.path("portable.wasm"), &fs::read(input).unwrap(), &["--", "2", "--", "--"]).unwrap();
    assert!(made == fs::read(place.path("out.png")).unwrap(), "it is another picture");
}

#[test]
fn a_portable_composition_imports_no_function_and_knows_no_region() {
    let place = Place::new();
    compose(&place, "portable.wasm", &["--portable", "--exact", "edges", "edges"]).succeeds();
    let engine = Engine::default();
    let component = Component::from_file(&engine, place.path("portable.wasm")).unwrap();
    let imports: Vec<_> = component.component_type().imports(&engine).map(|(name, _)| name.to_owned()).collect();
    assert!(imports.iter().all(|name| name.starts_with("mappable:stage/format@")), "{imports:?}");
    let exports: Vec<_> = component.component_type().exports(&engine).map(|(name, _)| name.to_owned()).collect();
    assert_eq!(exports, ["mappable:stage/copying-step@0.1.0"]);
}

#[test]
fn a_stages_own_error_is_that_of_the_composition() {
    let place = Place::new();
    compose(&place, "portable.wasm", &["--portable", "--exact", "decode"]).succeeds();
    let error = run(&place.path("portable.wasm"), b"no picture", &[]).unwrap_err();
    assert_eq!(error, "the picture is neither PNG nor JPEG");
    assert_eq!(run(&place.path("portable.wasm"), b"", &[]).unwrap_err(), error);
}

#[test]
fn a_composition_with_the_hosts_regions_is_a_stage() {
    let place = Place::new();
    let input = place.file("in.png", encode_png(16, 8, [200, 100, 50]));
    let input = input.to_str().unwrap();
    compose(&place, "both.wasm", &["--exact", "decode", "blur"]).succeeds();
    place.mappable(["pipe", "-i", input, "-o", "composed.png", "--exact", "./both.wasm:--,2", "encode"]).succeeds();
    place.mappable(["pipe", "-i", input, "-o", "apart.png", "blur:2"]).succeeds();
    assert!(fs::read(place.path("composed.png")).unwrap() == fs::read(place.path("apart.png")).unwrap());
    // It can be composed again, and be portable then.
    compose(&place, "portable.wasm", &["--portable", "--exact", "./both.wasm", "encode"]).succeeds();
    let made = run(&place.path("portable.wasm"), &fs::read(input).unwrap(), &["--", "2", "--"]).unwrap();
    assert!(made == fs::read(place.path("apart.png")).unwrap());
}

struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

#[test]
fn a_command_that_maps_runs_on_stock_wasmtime_with_its_regions_inside() {
    let place = Place::new();
    compose(&place, "hello.wasm", &["--portable", guest("hello-map.wasm").to_str().unwrap()]).succeeds();
    let engine = Engine::default();
    let component = Component::from_file(&engine, place.path("hello.wasm")).unwrap();
    let mut linker = Linker::<Wasi>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    let stdout = MemoryOutputPipe::new(1 << 16);
    let ctx = WasiCtx::builder().args(&["hello", "one"]).stdout(stdout.clone()).build();
    let mut store = Store::new(&engine, Wasi { ctx, table: ResourceTable::new() });
    let command = wasmtime_wasi::p2::bindings::sync::Command::instantiate(&mut store, &component, &linker).unwrap();
    command.wasi_cli_run().call_run(&mut store).unwrap().unwrap();
    let said = String::from_utf8(stdout.contents().to_vec()).unwrap();
    let app = guest("hello-map.wasm");
    let mapped = place.mappable(["run", app.to_str().unwrap(), "one"]).succeeds().stdout();
    assert_eq!(said, mapped);
}

#[test]
fn what_can_not_be_composed_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let before = place.names();
    let none = place.path("none.wasm");
    compose(&place, "out.wasm", &["--portable", none.to_str().unwrap()]).fails(3, &["none.wasm", "No such file"]);
    compose(&place, "out.wasm", &["--portable", "blurr"]).fails(2, &["stage blurr: there is no such stage"]);
    compose(&place, "out.wasm", &["--portable", "blur:2"]).fails(2, &["stage blur:2: arguments are given when"]);
    compose(&place, "out.png", &["--portable", "blur"]).fails(2, &["must end in .wasm"]);
    let copying = guest("blur.copying.wasm");
    compose(&place, "out.wasm", &["--portable", copying.to_str().unwrap()])
        .fails(3, &["blur.copying.wasm", "does not import `mappable:memory/types@0.1.0`", "runs anywhere as it is"]);
    let lookup = guest("lookup.wasm");
    compose(&place, "out.wasm", &["--portable", lookup.to_str().unwrap()])
        .fails(3, &["lookup.wasm: can't be composed: it imports `mappable:files/p2@", "whose regions are the host's"]);
    let hello = guest("hello-map.wasm");
    compose(&place, "out.wasm", &["--portable", "blur", hello.to_str().unwrap()])
        .fails(3, &["stage", "hello-map.wasm: not a stage"]);
    compose(&place, "out.wasm", &[hello.to_str().unwrap()]).fails(3, &["hello-map.wasm: not a stage"]);
    assert_eq!(place.names(), before);
}
