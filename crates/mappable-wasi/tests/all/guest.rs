//! A guest that passes on what it is told to ask for, and what it is answered; and the store that it runs in.

use std::fs::File;

use mappable::{Frozen, Limits, MappableCtx, MappableView, MappingMode, Runtime};
use mappable_wasi::{FilesCtx, FilesView, add_to_linker_async, add_to_linker_sync};
use wasmtime::Store;
use wasmtime::component::{Component, ComponentType, Instance, Lift, Linker, Lower, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File as OpenFile};
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, PathFlags};
use wasmtime_wasi::p3::bindings::filesystem::types::{ErrorCode as LaterCode, PathFlags as LaterFlags};
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{FsPerms, OpenMode, WasiCtx, WasiCtxView, WasiView};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// How the guest is linked and called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    P2,
    P2Sync,
    P3,
}

pub(crate) const VERSIONS: [Version; 3] = [Version::P2, Version::P2Sync, Version::P3];

impl Version {
    /// The interface, and the version of WASI's.
    fn names(self) -> (&'static str, &'static str) {
        if self == Self::P3 { ("p3", "0.3.0") } else { ("p2", "0.2.0") }
    }
}

pub(crate) struct State {
    pub(crate) mappable: MappableCtx,
    files: FilesCtx,
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl FilesView for State {
    fn files(&mut self) -> &mut FilesCtx {
        &mut self.files
    }
}

/// The record `file-bytes`, as the guest passes it on.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Bytes {
    pub(crate) bytes: Resource<Frozen>,
    pub(crate) start: u32,
    pub(crate) len: u64,
}

/// A store with the guest in it.
pub(crate) struct World {
    version: Version,
    pub(crate) store: Store<State>,
    instance: Instance,
}

impl World {
    pub(crate) fn new(version: Version) -> Self {
        Self::with(version, |files| files)
    }

    /// With files that are held otherwise.
    pub(crate) fn with(version: Version, hold: impl FnOnce(FilesCtx) -> FilesCtx) -> Self {
        let runtime = runtime(MappingMode::Auto);
        let files = hold(FilesCtx::new(&runtime));
        Self::of(version, &runtime, files)
    }

    pub(crate) fn of(version: Version, runtime: &Runtime, files: FilesCtx) -> Self {
        let component = component(version, runtime);
        let mut linker = Linker::new(runtime.engine());
        match version {
            Version::P2Sync => wasmtime_wasi::p2::add_to_linker_sync::<State>(&mut linker).unwrap(),
            _ => wasmtime_wasi::p2::add_to_linker_async::<State>(&mut linker).unwrap(),
        }
        wasmtime_wasi::p3::add_to_linker(&mut linker).unwrap();
        mappable::add_to_linker(&mut linker).unwrap();
        match version {
            Version::P2Sync => add_to_linker_sync(&mut linker).unwrap(),
            _ => add_to_linker_async(&mut linker).unwrap(),
        }
        let wasi = WasiCtx::builder().build();
        let state = State { mappable: runtime.context(), files, wasi, table: ResourceTable::new() };
        let mut store = runtime.store(state);
        let instance = match version {
            Version::P2Sync => linker.instantiate(&mut store, &component).unwrap(),
            _ => in_tokio(linker.instantiate_async(&mut store, &component)).unwrap(),
        };
        Self { version, store, instance }
    }

    pub(crate) fn limit(&mut self, limits: Limits) {
        self.store.data_mut().mappable.set_limits(limits);
    }

    /// A descriptor of a file, as WASI opens one for reading.
    pub(crate) fn file(&mut self, file: File) -> u32 {
        self.file_with(file, FsPerms::ReadOnly, OpenMode::READ)
    }

    pub(crate) fn file_with(&mut self, file: File, permissions: FsPerms, mode: OpenMode) -> u32 {
        let file = Descriptor::File(OpenFile::new(file, permissions, mode, false));
        self.store.data_mut().table.push(file).unwrap().rep()
    }

    /// A descriptor of a folder.
    pub(crate) fn directory(&mut self, path: &std::path::Path, permissions: FsPerms) -> u32 {
        let directory = Descriptor::Dir(Dir::new(File::open(path).unwrap(), permissions, OpenMode::READ, false));
        self.store.data_mut().table.push(directory).unwrap().rep()
    }

    pub(crate) fn close(&mut self, descriptor: u32) {
        drop(self.store.data_mut().table.delete(Resource::<Descriptor>::new_own(descriptor)).unwrap());
    }

    /// Has the guest ask for a range. An error's text has the code's name.
    pub(crate) fn freeze(&mut self, file: u32, offset: u64, len: u64) -> wasmtime::Result<Result<Bytes, String>> {
        let file = Resource::<Descriptor>::new_borrow(file);
        self.call("freeze", (file, offset, len))
    }

    pub(crate) fn freeze_at(
        &mut self,
        directory: u32,
        follow: bool,
        path: &str,
        offset: u64,
        len: u64,
    ) -> wasmtime::Result<Result<Bytes, String>> {
        let directory = Resource::<Descriptor>::new_borrow(directory);
        if self.version == Version::P3 {
            let flags = if follow { LaterFlags::SYMLINK_FOLLOW } else { LaterFlags::empty() };
            return self.call("freeze-at", (directory, flags, path.to_owned(), offset, len));
        }
        let flags = if follow { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() };
        self.call("freeze-at", (directory, flags, path.to_owned(), offset, len))
    }

    fn call<P>(&mut self, name: &str, params: P) -> wasmtime::Result<Result<Bytes, String>>
    where
        P: wasmtime::component::ComponentNamedList + Lower + Send + Sync + 'static,
    {
        type Answer<E> = (Result<Bytes, E>,);
        match self.version {
            Version::P2Sync => {
                let func = self.instance.get_typed_func::<P, Answer<ErrorCode>>(&mut self.store, name)?;
                let (answer,) = func.call(&mut self.store, params)?;
                Ok(answer.map_err(|code| kebab(&format!("{code:?}"))))
            }
            Version::P2 => {
                let func = self.instance.get_typed_func::<P, Answer<ErrorCode>>(&mut self.store, name)?;
                let (answer,) = in_tokio(func.call_async(&mut self.store, params))?;
                Ok(answer.map_err(|code| kebab(&format!("{code:?}"))))
            }
            Version::P3 => {
                let func = self.instance.get_typed_func::<P, Answer<LaterCode>>(&mut self.store, name)?;
                let (answer,) = in_tokio(func.call_async(&mut self.store, params))?;
                Ok(answer.map_err(|code| kebab(&format!("{code:?}"))))
            }
        }
    }

    /// What the guest was given, in the host's hands: the bytes of the range.
    pub(crate) fn taken(&mut self, bytes: Bytes) -> Vec<u8> {
        let frozen = self.store.data_mut().mappable.remove_frozen(bytes.bytes).unwrap();
        assert_eq!(frozen.len() as u64, u64::from(bytes.start) + bytes.len);
        frozen[bytes.start as usize..].to_vec()
    }

    /// What a guest is told of a range that it asks for.
    pub(crate) fn refused(&mut self, file: u32, offset: u64, len: u64) -> String {
        match self.freeze(file, offset, len).unwrap() {
            Ok(bytes) => panic!("{} bytes were given", bytes.len),
            Err(code) => code,
        }
    }
}

/// The name of a code: one version shows it in Rust's case, among other things, and the other in WIT's.
fn kebab(shown: &str) -> String {
    let words = shown.chars().map(|c| if c.is_uppercase() { format!("-{}", c.to_lowercase()) } else { c.to_string() });
    words.collect()
}

pub(crate) fn runtime(mode: MappingMode) -> Runtime {
    mappable::install_fault_handler().unwrap();
    Runtime::builder().mapping(mode).build().unwrap()
}

fn component(version: Version, runtime: &Runtime) -> Component {
    let (interface, wasi) = version.names();
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wit")).unwrap();
    let world = format!(
        "package mappable:test;
        world guest {{
          use mappable:files/{interface}@0.1.0.{{file-bytes}};
          use wasi:filesystem/types@{wasi}.{{descriptor, error-code, path-flags}};
          import mappable:memory/types@0.1.0;
          import mappable:files/{interface}@0.1.0;
          export freeze: func(file: borrow<descriptor>, offset: u64, len: u64) -> result<file-bytes, error-code>;
          export freeze-at: func(directory: borrow<descriptor>, path-flags: path-flags, path: string, offset: u64, len: u64)
            -> result<file-bytes, error-code>;
        }}"
    );
    let package = resolve.push_str("test.wit", &world).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    // A result is at 1,024, and what is passed in behind it. Nothing of it is needed any more when the next call comes.
    let module = format!(
        r#"(module
          (import "mappable:files/{interface}@0.1.0" "freeze" (func $freeze (param i32 i64 i64 i32)))
          (import "mappable:files/{interface}@0.1.0" "freeze-at"
            (func $freeze-at (param i32 i32 i32 i32 i64 i64 i32)))
          (import "wasi:filesystem/types@{wasi}" "[resource-drop]descriptor" (func $drop (param i32)))
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2048))
          (func (export "freeze") (param $file i32) (param i64 i64) (result i32)
            (call $freeze (local.get $file) (local.get 1) (local.get 2) (i32.const 1024))
            (call $drop (local.get $file))
            (i32.const 1024))
          (func (export "freeze-at") (param $directory i32) (param i32 i32 i32 i64 i64) (result i32)
            (call $freeze-at (local.get $directory) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
              (i32.const 1024))
            (call $drop (local.get $directory))
            (i32.const 1024)))"#
    );
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
    runtime.compile(&component).unwrap()
}
