//! `mappable:data/bodies`: the bodies of the request that an instance serves and of its response, as regions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use mappable::bindings::types::AllocateError;
use mappable::{FrozenHandle, GRANULE, Handle, HandleError, MappableCtx, MappableView};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};
use wasmtime_wasi_http::Error;

use super::body::Requested;
use super::instance::Request;
use super::pieces::Pieces;

/// The bodies of one request.
#[derive(Default)]
pub(super) struct Bodies {
    /// `None` in a store that serves none.
    pub(super) requested: Option<Requested>,
    pub(super) pieces: Pieces,
    /// Pieces that may not be sent yet, which count against the store's limits until they are.
    unsent: Vec<(FrozenHandle, Arc<AtomicBool>)>,
}

#[derive(Debug, ComponentType, Lower)]
#[component(variant)]
enum ReadError {
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "cut-off")]
    CutOff,
    #[component(name = "no-region")]
    NoRegion(AllocateError),
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        match error {
            Error::HttpRequestBodySize(_) => Self::TooLarge,
            _ => Self::CutOff,
        }
    }
}

/// Adds the interface.
pub(super) fn add_to_linker(linker: &mut Linker<Request>) -> wasmtime::Result<()> {
    let mut bodies = linker.instance("mappable:data/bodies@0.1.0")?;
    bodies.func_wrap_async("read", |store: StoreContextMut<'_, Request>, (len,): (u64,)| {
        Box::new(async move { Ok((read(store, len).await?,)) })
    })?;
    bodies.func_wrap_async("write", |store: StoreContextMut<'_, Request>, (piece,): (FrozenHandle,)| {
        Box::new(async move { Ok((write(store, piece).await?,)) })
    })
}

type Read = Result<Option<Handle>, ReadError>;

async fn read(mut store: StoreContextMut<'_, Request>, len: u64) -> wasmtime::Result<Read> {
    let Some(body) = store.data().bodies.requested.clone() else { return Ok(Ok(None)) };
    // There is no region before there are bytes for it.
    let first = match body.next().await {
        Ok(Some(first)) => first,
        Ok(None) => return Ok(Ok(None)),
        Err(error) => return Ok(Err(error.into())),
    };
    let most = body.most() + first.len() as u64;
    let region = match allocate(store.data_mut().mappable(), len.min(most)) {
        Ok(Ok(region)) => region,
        refused => {
            body.put_back(first);
            return refused.map(|refused| refused.map(Some).map_err(ReadError::NoRegion));
        }
    };
    let filled = fill(&mut store, &region, &body, first).await;
    let context = store.data_mut().mappable();
    match filled {
        Ok(Ok(filled)) => Ok(Ok(Some(trim(context, region, filled)?))),
        failed => {
            context.remove(region)?;
            failed.map(|failed| Err(failed.map_or_else(ReadError::from, |_| ReadError::CutOff)))
        }
    }
}

/// A region that the store has room for.
fn allocate(context: &mut MappableCtx, len: u64) -> wasmtime::Result<Result<Handle, AllocateError>> {
    let region = match context.allocate(len) {
        Ok(region) => region,
        Err(error) => return Ok(Err(error.into())),
    };
    match context.try_insert(region) {
        Ok(handle) => Ok(Ok(handle)),
        Err(HandleError::OverQuota) => Ok(Err(AllocateError::RegionOverQuota)),
        Err(error) => Err(error.into()),
    }
}

/// Fills a region with what comes, and returns how many bytes that was: fewer than it has at the body's end alone.
async fn fill(
    store: &mut StoreContextMut<'_, Request>,
    region: &Handle,
    body: &Requested,
    first: Bytes,
) -> wasmtime::Result<Result<u64, Error>> {
    let (mut filled, mut next) = (0, Some(first));
    while let Some(mut bytes) = next {
        let into = &mut store.data_mut().mappable().bytes_mut(region)?[filled..];
        let now = bytes.split_to(bytes.len().min(into.len()));
        into[..now.len()].copy_from_slice(&now);
        let is_full = now.len() == into.len();
        filled += now.len();
        if is_full {
            body.put_back(bytes);
            break;
        }
        next = match body.next().await {
            Ok(next) => next,
            Err(error) => return Ok(Err(error)),
        };
    }
    Ok(Ok(filled as u64))
}

/// Frees what of a region is not filled.
fn trim(context: &mut MappableCtx, handle: Handle, filled: u64) -> wasmtime::Result<Handle> {
    let size = filled.next_multiple_of(GRANULE);
    context.set_len(&handle, filled)?;
    if context.get(&handle)?.size() == size {
        return Ok(handle);
    }
    let (region, _) = context.remove(handle)?.split(size).map_err(wasmtime::Error::from)?;
    Ok(context.try_insert(region)?)
}

async fn write(
    mut store: StoreContextMut<'_, Request>,
    piece: FrozenHandle,
) -> wasmtime::Result<Result<(), FrozenHandle>> {
    let bytes = store.data_mut().mappable().get_frozen(&piece)?;
    let Some(is_gone) = store.data().bodies.pieces.give(bytes) else { return Ok(Err(piece)) };
    let pieces = store.data().bodies.pieces.clone();
    pieces.room().await;
    let request = store.data_mut();
    request.bodies.unsent.push((piece, is_gone));
    let gone = request.bodies.unsent.extract_if(.., |(_, is_gone)| is_gone.load(Ordering::Acquire));
    let gone: Vec<_> = gone.map(|(piece, _)| piece).collect();
    request.mappable().remove_all_frozen(gone)?;
    Ok(Ok(()))
}
