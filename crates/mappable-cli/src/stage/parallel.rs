//! A stage on more than one core: instances on threads, each of which owns a part of the picture. For components of the world
//! `parallel-stage`, which say themselves how a picture may be cut.

use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};
use mappable::workers::{MapError, Parts, PartsError, Workers};
use mappable::{FrozenHandle, Handle, Mappable, Runtime};
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lift, TypedFunc};

use super::mapped::State;
use super::wasi::Printing;
use super::{Header, Pixels};
use crate::failure::{Exit, fail};
use crate::limiter::not_begun;

/// What such a stage exports.
pub(crate) const PARALLEL: &str = "mappable:stage/parallel@0.1.0";

/// How a picture may be cut.
#[allow(dead_code, reason = "only ever lifted")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
enum Cut {
    #[component(name = "whole")]
    Whole,
    #[component(name = "pixels")]
    Pixels,
    #[component(name = "rows")]
    Rows,
}

type Plan = TypedFunc<(Header, Vec<String>), (Result<(Cut, Header), String>,)>;
type ChangePixels = TypedFunc<(Handle, Header, u64, u64, Vec<String>), (Result<Handle, String>,)>;
type MakeRows = TypedFunc<(FrozenHandle, Header, Handle, u64, u32, u32, Vec<String>), (Result<Handle, String>,)>;

/// One instance, in a sandbox of its own.
struct Worker {
    store: Store<State>,
    plan: Plan,
    change_pixels: ChangePixels,
    make_rows: MakeRows,
}

/// The instances of one stage.
pub(super) struct Parallel {
    runtime: Runtime,
    workers: Workers<Worker>,
    limit_bytes: u64,
}

impl Parallel {
    /// So many instances of a component; `None` if it can't be shared out.
    pub(super) fn new(
        runtime: &Runtime,
        guest: &InstancePre<State>,
        limit_bytes: u64,
        count: usize,
        printing: &Printing,
    ) -> Result<Option<Self>> {
        let component = guest.component();
        let Some(exported) = component.get_export_index(None, PARALLEL) else { return Ok(None) };
        let functions = ["plan", "change-pixels", "make-rows"].map(|name| function(component, &exported, name));
        let [plan, change_pixels, make_rows] = functions;
        let (plan, change_pixels, make_rows) = (plan?, change_pixels?, make_rows?);
        let (guest, made_with, printing) = (guest.clone(), runtime.clone(), printing.clone());
        let make = move || {
            let mut store = State::store(&made_with, limit_bytes, &printing)?;
            let instance = guest.instantiate(&mut store)?;
            let plan = instance.get_typed_func(&mut store, plan)?;
            let change_pixels = instance.get_typed_func(&mut store, change_pixels)?;
            let make_rows = instance.get_typed_func(&mut store, make_rows)?;
            Ok(Worker { store, plan, change_pixels, make_rows })
        };
        let workers = Workers::new(count, make).map_err(|error| match error {
            mappable::workers::WorkersError::NotMade { source, .. } => not_begun(&source),
            error => fail(Exit::Work, error),
        })?;
        Ok(Some(Self { runtime: runtime.clone(), workers, limit_bytes }))
    }

    /// Has all instances work on a picture. `Err` of a region is one that can't be cut.
    pub(super) fn call(
        &mut self,
        mut region: Mappable,
        header: Header,
        args: &[String],
    ) -> Result<Result<(Mappable, Header), Mappable>> {
        let failure = FirstFailure::default();
        let planned = self.workers.map(vec![()], |worker, _, ()| {
            let planned = worker.plan.call(&mut worker.store, (header, args.to_vec()));
            failure.answer(&worker.store, planned)
        });
        let planned = planned.map_err(|failed| failure.or(failed.reason))?;
        let [(cut, made)] = planned[..] else { return Ok(Err(region)) };
        made.check(self.limit_bytes)?;
        if !may_be_cut(cut, header, made) {
            return Ok(Err(region));
        }
        region.set_len(header.size)?;
        let (region, _) = match cut {
            Cut::Pixels => {
                let pixel = header.size / (u64::from(header.width) * u64::from(header.height));
                self.workers.map_parts(region, &Parts::of_rows(pixel), |Worker { store, change_pixels, .. }, part| {
                    let bytes = part.bytes();
                    let handle = store.data_mut().mappable.insert(part.region)?;
                    let size = bytes.end - bytes.start;
                    let changed = change_pixels.call(&mut *store, (handle, header, bytes.start, size, args.to_vec()));
                    let handle = failure.answer(store, changed)?;
                    Ok((store.data_mut().mappable.remove(handle)?, ()))
                })
            }
            Cut::Whole | Cut::Rows => {
                let picture = region.freeze()?;
                let output = self.workers.allocate(&self.runtime, made.size)?;
                let rows = Parts::of_rows(made.size / u64::from(made.height));
                self.workers.map_parts(output, &rows, |Worker { store, make_rows, .. }, part| {
                    let offset = part.bytes().start;
                    let [first, end] = [part.rows.start, part.rows.end].map(u32::try_from);
                    let (first, end) = (first?, end?);
                    let picture = store.data_mut().mappable.insert_frozen(picture.clone())?;
                    let handle = store.data_mut().mappable.insert(part.region)?;
                    let passed = (picture, header, handle, offset, first, end - first, args.to_vec());
                    let rows = make_rows.call(&mut *store, passed);
                    let handle = failure.answer(store, rows)?;
                    Ok((store.data_mut().mappable.remove(handle)?, ()))
                })
            }
        }
        .map_err(|failed| match failed.reason {
            PartsError::Map(reason) => failure.or(reason),
            reason => fail(Exit::Work, reason),
        })?;
        Ok(Ok((region, made)))
    }
}

/// Whether a picture can be cut as a stage says. A stage may say what it likes; the headers are checked.
fn may_be_cut(cut: Cut, header: Header, made: Header) -> bool {
    // A file has no pixels, and an empty picture no rows.
    let has_pixels = |header: Header| header.pixels != Pixels::Encoded && header.size > 0;
    cut != Cut::Whole && has_pixels(header) && has_pixels(made)
}

fn function(component: &Component, exported: &ComponentExportIndex, name: &str) -> Result<ComponentExportIndex> {
    let missing = || fail(Exit::Load, format!("not a stage: its `{PARALLEL}` has no function `{name}`"));
    component.get_export_index(Some(exported), name).ok_or_else(missing)
}

/// Why a guest failed, in the words for people, beside the error that goes by way of the workers.
#[derive(Default)]
struct FirstFailure(Mutex<Option<anyhow::Error>>);

impl FirstFailure {
    /// What a call into a guest gave.
    fn answer<R>(&self, store: &Store<State>, given: wasmtime::Result<(Result<R, String>,)>) -> wasmtime::Result<R> {
        let limiter = &store.data().limiter;
        let error = match given {
            Ok((Ok(made),)) => return Ok(made),
            Ok((Err(text),)) => limiter.explain_answer(&text),
            Err(error) => limiter.explain(&error),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        Err(wasmtime::Error::msg("the stage failed"))
    }

    /// The first failure of a guest's, or what the workers say.
    fn or(&self, reason: MapError) -> anyhow::Error {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        found.unwrap_or_else(|| match reason {
            MapError::Failed { source, .. } => anyhow!("{source:#}"),
            reason => fail(Exit::Work, reason),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_pixels_is_not_cut_whatever_the_stage_says() {
        let (picture, file, empty) = (Header::rgba8(4, 2), Header::encoded(32), Header::rgba8(0, 2));
        for cut in [Cut::Pixels, Cut::Rows] {
            assert!(may_be_cut(cut, picture, picture));
            for none in [file, empty] {
                assert!(!may_be_cut(cut, none, picture) && !may_be_cut(cut, picture, none), "{cut:?}, {none:?}");
            }
        }
        assert!(!may_be_cut(Cut::Whole, picture, picture));
    }
}
