//! Compiled components that are kept work as those just compiled, in any process, and are refused where they don't fit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mappable::rewrite::internals::REVISION;
use mappable::{ArtifactKey, CompileCache, DeserializeError, GRANULE, Runtime, Tier};
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use crate::support::{G, Guest, Setup, State, add_env, linker, on_every_setup};
use crate::wat;

const KEY_BYTES: [u8; 32] = [0x5a; 32];
const KEY: ArtifactKey = ArtifactKey::from_bytes(KEY_BYTES);

/// Maps a region, writes to it, and grows with it mapped.
fn works(runtime: &Runtime, component: &Component) {
    let mut store = Store::new(runtime.engine(), State::new(runtime));
    let instance = linker(runtime).instantiate(&mut store, component).unwrap();
    let guest = Guest::new(instance, &mut store, None);
    guest.fill(&mut store, 3 * G, 0x11, 4 * G);
    let mapping = guest.mapped(&mut store, 4 * G, 2, 0x22);
    guest.expect(&mut store, 3 * G, G, 0x11);
    guest.expect(&mut store, 4 * G, 2 * G, 0x22);
    assert!(guest.grow(&mut store, 1) > 0);
    let region = guest.unmap(&mut store, mapping, 4 * G, 2 * G).unwrap();
    guest.expect(&mut store, 3 * G, 4 * G, 0x11);
    let mapping = guest.map(&mut store, region, 5 * G, 2 * G).unwrap();
    guest.expect(&mut store, 5 * G, 2 * G, 0x22);
    guest.unmap(&mut store, mapping, 5 * G, 2 * G).unwrap();
    assert_eq!(store.data().mappable.held(), (1, 2 * GRANULE));
}

fn guest(setup: Setup) -> String {
    setup.text(&wat::guest(setup.memory()))
}

on_every_setup! {
    fn a_component_that_was_kept_works_as_one_just_compiled(setup) {
        let artifact = setup.runtime().precompile_with_key(guest(setup).as_bytes(), &KEY).unwrap();
        let runtime = setup.runtime();
        works(&runtime, &runtime.deserialize_with_key(&artifact, &KEY).unwrap());
    }
}

/// A component whose `f` gives this.
fn gives(number: u32) -> String {
    format!(
        r#"(component (core module $m (func (export "f") (result i32) (i32.const {number})))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#
    )
}

fn given(runtime: &Runtime, component: &Component) -> u32 {
    let mut store = Store::new(runtime.engine(), State::new(runtime));
    let instance = linker(runtime).instantiate(&mut store, component).unwrap();
    instance.get_typed_func::<(), (u32,)>(&mut store, "f").unwrap().call(&mut store, ()).unwrap().0
}

/// Runs a test of this binary in a process of its own, with a folder.
fn in_another_process(test: &str, folder: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).env("MAPPABLE_TEST_FOLDER", folder);
    let ended = child.output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&ended.stderr));
}

fn folder() -> PathBuf {
    std::env::var_os("MAPPABLE_TEST_FOLDER").expect("run by another test").into()
}

const KEPT: [Setup; 2] = [Setup::Swap, Setup::LedgerSwap];

#[test]
fn another_process_loads_what_was_kept() {
    let scratch = tempfile::tempdir().unwrap();
    for setup in KEPT {
        let artifact = setup.runtime().precompile_with_key(guest(setup).as_bytes(), &KEY).unwrap();
        fs::write(scratch.path().join(format!("{setup:?}")), artifact).unwrap();
    }
    in_another_process("artifacts::child_loads_artifacts", scratch.path());
}

/// Run by `another_process_loads_what_was_kept`. The gate is named anew for each process.
#[test]
#[ignore = "run by another test"]
fn child_loads_artifacts() {
    for setup in KEPT {
        let runtime = setup.runtime();
        let artifact = fs::read(folder().join(format!("{setup:?}"))).unwrap();
        works(&runtime, &runtime.deserialize_with_key(&artifact, &KEY).unwrap());
    }
}

/// What the key of a gate begins with.
const LABEL: &str = "needs-add-to-linker-k";

/// The first gate's key in bytes that have one.
fn key_in(bytes: &[u8]) -> &str {
    let at = bytes.windows(LABEL.len()).position(|window| window == LABEL.as_bytes()).unwrap();
    str::from_utf8(&bytes[at..at + LABEL.len() + 32]).unwrap()
}

/// The key of the gate that a component asks for.
fn key_asked_for(component: &Component, linker: &Linker<State>) -> String {
    let error = linker.instantiate_pre(component).err().unwrap();
    key_in(format!("{error:#}").as_bytes()).to_owned()
}

#[test]
fn no_artifact_has_the_name_of_the_gate() {
    for setup in KEPT {
        let runtime = setup.runtime();
        let artifact = runtime.precompile_with_key(guest(setup).as_bytes(), &KEY).unwrap();
        let mut without_ours = Linker::new(runtime.engine());
        add_env(&mut without_ours);
        let compiled = key_asked_for(&runtime.compile(guest(setup).as_bytes()).unwrap(), &without_ours);
        let kept = key_asked_for(&runtime.deserialize_with_key(&artifact, &KEY).unwrap(), &without_ours);
        assert_eq!(kept, compiled, "{setup:?}");
        assert_ne!(key_in(&artifact), compiled, "{setup:?}");
        assert!(!artifact.windows(compiled.len()).any(|window| window == compiled.as_bytes()), "{setup:?}");
    }
}

#[test]
fn a_name_that_was_read_in_an_artifact_opens_nothing() {
    let runtime = Setup::Swap.runtime();
    let artifact = runtime.precompile(guest(Setup::Swap).as_bytes()).unwrap();
    let name = key_in(&artifact);
    let text = guest(Setup::Swap).replace("mappable:memory/", &format!("mappable:{name}/"));
    let artifact = runtime.precompile_with_key(text.as_bytes(), &KEY).unwrap();
    let kept = runtime.deserialize_with_key(&artifact, &KEY).unwrap();
    for component in [runtime.compile(text.as_bytes()).unwrap(), kept] {
        assert_eq!(key_asked_for(&component, &linker(&runtime)), name);
    }
}

#[test]
fn an_artifact_of_another_key_or_of_none_is_refused() {
    let runtime = Setup::Swap.runtime();
    let component = gives(1);
    let keyed = runtime.precompile_with_key(component.as_bytes(), &KEY).unwrap();
    let unkeyed = runtime.precompile(component.as_bytes()).unwrap();
    let other = ArtifactKey::from_bytes([0x5b; 32]);
    for (artifact, key) in [(&keyed, &other), (&unkeyed, &KEY)] {
        assert!(matches!(runtime.deserialize_with_key(artifact, key), Err(DeserializeError::Damaged)));
    }
}

#[test]
fn a_damaged_artifact_is_refused() {
    let runtime = Setup::Swap.runtime();
    let artifact = runtime.precompile_with_key(gives(1).as_bytes(), &KEY).unwrap();
    let refused = |bytes: &[u8]| runtime.deserialize_with_key(bytes, &KEY).unwrap_err();
    for at in (0..artifact.len()).step_by(97).chain(0..100) {
        let mut bytes = artifact.clone();
        bytes[at] ^= 0x40;
        refused(&bytes);
        refused(&artifact[..at]);
    }
    for other in [&b""[..], b"\0asm\x0d\0\x01\0", gives(1).as_bytes()] {
        assert!(matches!(refused(other), DeserializeError::NotAnArtifact));
    }
}

#[test]
fn an_artifact_for_other_settings_is_refused_by_name() {
    let component = gives(1);
    let artifact = Setup::Swap.runtime().precompile_with_key(component.as_bytes(), &KEY).unwrap();
    let mut fuel = Setup::Swap.config();
    fuel.consume_fuel(true);
    let others = [
        (Runtime::builder().tier(Tier::Auto).build().unwrap(), "tier Baseline", "tier Auto"),
        (Setup::Swap.runtime_with(fuel), "Wasmtime", "Wasmtime"),
        (Setup::Copy.runtime(), "memories bounded: true", "memories bounded: false"),
    ];
    for (runtime, there, here_too) in others {
        match runtime.deserialize_with_key(&artifact, &KEY) {
            Err(DeserializeError::Foreign { made_with, here }) => {
                assert!(made_with.contains(there) && here.contains(here_too), "{made_with}: {here}");
            }
            other => panic!("{other:?}"),
        }
    }
    // What code does not depend on may differ.
    assert!(Setup::FewViews.runtime().deserialize_with_key(&artifact, &KEY).is_ok());
}

/// What a build of the rewriter from other sources, of the same version, would have made of an artifact's component.
fn of_other_sources(artifact: &[u8], key: &[u8; 32]) -> Vec<u8> {
    let (version, sources) = REVISION.split_once('+').expect("a version, and a hash of the sources");
    let other = format!("{version}+{}", sources.chars().rev().collect::<String>());
    assert_ne!(other, REVISION);
    let (magic_and_tag, body) = artifact.split_at(8 + 32);
    let mut body = body.to_vec();
    let at = body.windows(REVISION.len()).position(|part| part == REVISION.as_bytes()).unwrap();
    body[at..at + other.len()].copy_from_slice(other.as_bytes());
    [&magic_and_tag[..8], blake3::keyed_hash(key, &body).as_bytes(), &body].concat()
}

#[test]
fn an_artifact_of_another_build_of_the_rewriter_is_refused_by_name() {
    let runtime = Setup::Swap.runtime();
    let artifact = runtime.precompile_with_key(gives(1).as_bytes(), &KEY).unwrap();
    match runtime.deserialize_with_key(&of_other_sources(&artifact, &KEY_BYTES), &KEY) {
        Err(DeserializeError::Foreign { made_with, here }) => {
            assert!(here.contains(REVISION) && !made_with.contains(REVISION), "{made_with}: {here}");
        }
        other => panic!("{other:?}"),
    }
}

fn caching(setup: Setup, folder: &Path) -> Runtime {
    let cache = CompileCache::new(folder, 64 << 20).unwrap();
    setup.builder(setup.config()).compile_cache(cache).build().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

on_every_setup! {
    fn what_was_compiled_once_comes_from_the_cache(setup) {
        let scratch = tempfile::tempdir().unwrap();
        let text = guest(setup);
        for _ in 0..2 {
            let runtime = caching(setup, scratch.path());
            works(&runtime, &runtime.compile(text.as_bytes()).unwrap());
            assert_eq!(files(scratch.path()).len(), 1);
        }
    }
}

#[test]
fn what_is_in_the_cache_is_not_compiled() {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = caching(Setup::Swap, scratch.path());
    runtime.compile(gives(7).as_bytes()).unwrap();
    let [seven] = files(scratch.path()).try_into().unwrap();
    runtime.compile(gives(8).as_bytes()).unwrap();
    let eight = files(scratch.path()).into_iter().find(|file| *file != seven).unwrap();
    // Another component under its name shows where it comes from.
    fs::copy(&seven, &eight).unwrap();
    let component = runtime.compile(gives(8).as_bytes()).unwrap();
    assert_eq!(given(&runtime, &component), 7);
}

#[test]
fn a_damaged_file_of_the_cache_is_compiled_anew() {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = caching(Setup::Swap, scratch.path());
    runtime.compile(gives(1).as_bytes()).unwrap();
    let [kept] = files(scratch.path()).try_into().unwrap();
    let whole = fs::read(&kept).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bytes in [changed.as_slice(), &whole[..whole.len() / 2], b""] {
        fs::write(&kept, bytes).unwrap();
        let component = runtime.compile(gives(1).as_bytes()).unwrap();
        assert_eq!(given(&runtime, &component), 1);
        assert!(fs::read(&kept).unwrap() == whole);
    }
}

#[test]
fn a_file_of_the_cache_by_another_build_of_the_rewriter_is_compiled_anew() {
    // The key of a cache, which is no secret.
    let key = b"mappable: an artifact is whole. ";
    let scratch = tempfile::tempdir().unwrap();
    let runtime = caching(Setup::Swap, scratch.path());
    runtime.compile(gives(1).as_bytes()).unwrap();
    let [kept] = files(scratch.path()).try_into().unwrap();
    let ours = fs::read(&kept).unwrap();
    fs::write(&kept, of_other_sources(&ours, key)).unwrap();
    let component = runtime.compile(gives(1).as_bytes()).unwrap();
    assert_eq!(given(&runtime, &component), 1);
    assert!(fs::read(&kept).unwrap() == ours);
}

#[test]
fn processes_and_threads_share_a_cache() {
    let scratch = tempfile::tempdir().unwrap();
    let compile_all = || compile_some(scratch.path());
    std::thread::scope(|scope| {
        scope.spawn(compile_all);
        scope.spawn(compile_all);
        in_another_process("artifacts::child_shares_a_cache", scratch.path());
    });
    assert_eq!(files(scratch.path()).len(), 8);
}

/// Run by `processes_and_threads_share_a_cache`.
#[test]
#[ignore = "run by another test"]
fn child_shares_a_cache() {
    compile_some(&folder());
}

fn compile_some(folder: &Path) {
    let runtime = caching(Setup::Swap, folder);
    for number in 0..8 {
        let component = runtime.compile(gives(number).as_bytes()).unwrap();
        assert_eq!(given(&runtime, &component), number);
    }
}

#[test]
fn a_component_that_does_not_compile_leaves_nothing_in_the_cache() {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = caching(Setup::Swap, scratch.path());
    for _ in 0..2 {
        runtime.compile(b"\0asm\x0d\0\x01\0?").unwrap_err();
    }
    assert!(files(scratch.path()).is_empty());
}
