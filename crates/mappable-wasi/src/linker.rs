//! The functions of `mappable:files/p2` and `p3`, which differ in the types of WASI's errors and flags alone: the host has one
//! type for the descriptors of both.

use mappable::{Frozen, MappableCtx};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower, Resource};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{Descriptor, File, WasiFilesystemView as _};
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::bindings::filesystem::types::{ErrorCode as LaterCode, PathFlags as LaterFlags};
use wasmtime_wasi::runtime::{in_tokio, spawn_blocking};

use crate::error::{later, of_file, of_handle};
use crate::files::FilesView;
use crate::sys::open_below;

/// The version of the WIT package that is offered.
const P2: &str = "mappable:files/p2@0.1.0";
const P3: &str = "mappable:files/p3@0.1.0";

/// The record `file-bytes`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Bytes {
    bytes: Resource<Frozen>,
    start: u32,
    len: u64,
}

/// Parameters of the two functions.
type Of = (Resource<Descriptor>, u64, u64);
type At<Flags> = (Resource<Descriptor>, Flags, String, u64, u64);

/// Results of either, in the two versions.
type Answer = Result<Bytes, FsError>;
type Result2 = wasmtime::Result<(Result<Bytes, ErrorCode>,)>;
type Result3 = wasmtime::Result<(Result<Bytes, LaterCode>,)>;

/// Adds `mappable:files` to a linker, for stores that are called asynchronously. Files are read on another thread. Needs
/// [`mappable::add_to_linker`], and WASI by [`wasmtime_wasi::p2::add_to_linker_async`] or [`wasmtime_wasi::p3::add_to_linker`],
/// besides.
///
/// # Errors
///
/// The linker's, if it has the interfaces already.
pub fn add_to_linker_async<T: FilesView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut p2 = linker.instance(P2)?;
    p2.func_wrap_async("freeze", |mut store: StoreContextMut<'_, T>, of: Of| {
        Box::new(async move { now(freeze(&mut store, of).await) })
    })?;
    p2.func_wrap_async("freeze-at", |mut store: StoreContextMut<'_, T>, at: At<PathFlags>| {
        Box::new(async move { now(freeze_at(&mut store, at).await) })
    })?;
    let mut p3 = linker.instance(P3)?;
    p3.func_wrap_async("freeze", |mut store: StoreContextMut<'_, T>, of: Of| {
        Box::new(async move { then(freeze(&mut store, of).await) })
    })?;
    p3.func_wrap_async("freeze-at", |mut store: StoreContextMut<'_, T>, at: At<LaterFlags>| {
        Box::new(async move { then(freeze_at(&mut store, earlier(at)).await) })
    })
}

/// Adds `mappable:files/p2` to a linker, for stores that are called synchronously. Needs [`mappable::add_to_linker`] and
/// [`wasmtime_wasi::p2::add_to_linker_sync`] besides. (Components of WASI 0.3 are called asynchronously.) [The first
/// example](crate) does the same for an asynchronous store.
///
/// # Errors
///
/// The linker's, if it has the interface already.
pub fn add_to_linker_sync<T: FilesView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut p2 = linker.instance(P2)?;
    p2.func_wrap("freeze", |mut store: StoreContextMut<'_, T>, of: Of| now(in_tokio(freeze(&mut store, of))))?;
    p2.func_wrap("freeze-at", |mut store: StoreContextMut<'_, T>, at: At<PathFlags>| {
        now(in_tokio(freeze_at(&mut store, at)))
    })
}

async fn freeze<T: FilesView>(store: &mut StoreContextMut<'_, T>, (file, offset, len): Of) -> Answer {
    let file = match store.data_mut().filesystem().table.get(&file)? {
        Descriptor::File(file) => file.clone(),
        Descriptor::Dir(_) => return Err(ErrorCode::IsDirectory.into()),
    };
    give(store, file, offset, len).await
}

async fn freeze_at<T: FilesView>(store: &mut StoreContextMut<'_, T>, at: At<PathFlags>) -> Answer {
    let (directory, path_flags, path, offset, len) = at;
    let mut filesystem = store.data_mut().filesystem();
    // What has no bytes to map is not opened: that may have effects.
    let folder = Resource::new_borrow(directory.rep());
    match filesystem.stat_at(folder, path_flags, path.clone()).await?.type_ {
        DescriptorType::RegularFile => {}
        DescriptorType::Directory => return Err(ErrorCode::IsDirectory.into()),
        DescriptorType::SymbolicLink => return Err(ErrorCode::Loop.into()),
        _ => return Err(ErrorCode::NoDevice.into()),
    }
    let folder = match filesystem.table.get(&directory)? {
        Descriptor::Dir(folder) => folder.clone(),
        Descriptor::File(_) => return Err(ErrorCode::NotDirectory.into()),
    };
    // It may have become a pipe since.
    let (permissions, follow, at) = (folder.perms, path_flags.contains(PathFlags::SYMLINK_FOLLOW), path.clone());
    if let Some(opened) = spawn_blocking(move || open_below(&folder.dir, &at, follow)).await {
        let file = File::new(opened?, permissions, OpenMode::READ, false);
        return give(store, file, offset, len).await;
    }
    let opened = filesystem.open_at(directory, path_flags, path, OpenFlags::empty(), DescriptorFlags::READ).await?;
    // The guest has no handle of it.
    match filesystem.table.delete(opened)? {
        Descriptor::File(file) => give(store, file, offset, len).await,
        Descriptor::Dir(_) => Err(ErrorCode::IsDirectory.into()),
    }
}

/// Gives the store's guest bytes of a file. Another thread waits for the disk.
async fn give<T: FilesView>(store: &mut StoreContextMut<'_, T>, file: File, offset: u64, len: u64) -> Answer {
    if !file.open_mode.contains(OpenMode::READ) {
        return Err(ErrorCode::Access.into());
    }
    let (files, limit) = (store.data_mut().files().clone(), room(store.data_mut().mappable()));
    let range = offset..offset.saturating_add(len);
    let bytes = spawn_blocking(move || files.bytes(&file.file, file.perms, range, limit)).await;
    let bytes = bytes.map_err(|error| of_file(&error))?;
    let (start, len) = (bytes.start() as u32, bytes.len());
    let bytes = store.data_mut().mappable().try_insert_file_bytes(bytes).map_err(of_handle)?;
    Ok(Bytes { bytes, start, len })
}

/// How many bytes the store may hold besides those that it holds: asked before anything is read.
fn room(context: &MappableCtx) -> u64 {
    let (regions, bytes) = context.held();
    let limits = context.limits();
    if regions < limits.regions { limits.region_bytes.saturating_sub(bytes) } else { 0 }
}

/// What a guest of WASI 0.2 is told. A trap is nobody's error code.
fn now(answer: Answer) -> Result2 {
    match answer {
        Ok(bytes) => Ok((Ok(bytes),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// What a guest of WASI 0.3 is told.
fn then(answer: Answer) -> Result3 {
    now(answer).map(|(answer,)| (answer.map_err(later),))
}

fn earlier((directory, flags, path, offset, len): At<LaterFlags>) -> At<PathFlags> {
    let follows = flags.contains(LaterFlags::SYMLINK_FOLLOW);
    let flags = if follows { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() };
    (directory, flags, path, offset, len)
}
