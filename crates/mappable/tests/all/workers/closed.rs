//! Workers whose guest is a whole composition, put together by `wac`: its components hand regions to one another, and the host has none of
//! them. It is closed, so in the ledger tier the handles are the ledger's.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mappable::workers::{Cancel, MapError, Parts, Workers};
use mappable::{GRANULE, Runtime};
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower};
use wasmtime::{Store, Trap};

use super::cancelling::{Calls, however_called, with_clock};
use super::support::{G, Guest, Setup, State, linker, on_every_setup, swapped};
use crate::ledger::trees::put_together;

/// An instance of the composition in a store of its own.
struct Tree {
    store: Store<State>,
    parties: [Guest; 2],
    calls: Calls,
}

/// The component that the host gives bytes to, and its peer.
const A: usize = 0;
const B: usize = 1;

impl Tree {
    fn new(runtime: &Runtime, guest: &InstancePre<State>, cancel: &Cancel, calls: &Calls) -> wasmtime::Result<Self> {
        let mut store = runtime.store(State::new(runtime));
        let instance = calls.instantiate(guest, &mut store, cancel)?;
        let parties = Guest::pair(instance, &mut store);
        Ok(Self { store, parties, calls: calls.clone() })
    }

    fn call<P, R>(&mut self, party: usize, name: &'static str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let func = self.parties[party].func(&mut self.store, name).typed::<P, R>(&self.store)?;
        match &self.calls {
            Calls::Sync => func.call(&mut self.store, params),
            Calls::Async(tokio) => tokio.block_on(func.call_async(&mut self.store, params)),
        }
    }

    fn map(&mut self, party: usize, handle: u32, at: u32) -> wasmtime::Result<u32> {
        let (answer,) = self.call(party, "map", (handle, at, G))?;
        Ok(swapped(answer).unwrap())
    }

    fn unmap(&mut self, party: usize, mapping: u32, at: u32) -> wasmtime::Result<u32> {
        let (answer,) = self.call(party, "unmap", (mapping, at, G))?;
        Ok(swapped(answer).unwrap())
    }

    /// A granule of bytes that are all `byte` goes into a region of the one component, which the other has, sees and fills with the
    /// next byte, and gives back. Returns what the first one sees then. The other traps if it is to.
    fn go(&mut self, bytes: Vec<u8>, byte: u8, trap: bool) -> wasmtime::Result<u8> {
        let (handle,): (i64,) = self.call(A, "allocate", (GRANULE,))?;
        let mapping = self.map(A, u32::try_from(handle)?, 4 * G)?;
        self.call::<_, ()>(A, "set-buffer", (4 * G,))?;
        self.call::<_, ()>(A, "deliver", (bytes,))?;
        let region = self.unmap(A, mapping, 4 * G)?;
        let (there,): (u32,) = self.call(A, "pass", (region,))?;
        let mapping = self.map(B, there, 6 * G)?;
        assert_eq!(self.call::<_, (u32,)>(B, "run-of", (6 * G, G, u32::from(byte)))?, (G,));
        let at = if trap { u32::MAX } else { 6 * G };
        self.call::<_, ()>(B, "fill", (at, u32::from(byte) + 1, G))?;
        let there = self.unmap(B, mapping, 6 * G)?;
        let (back,): (u32,) = self.call(A, "fetch", (there,))?;
        let mapping = self.map(A, back, 5 * G)?;
        let (seen,): (u32,) = self.call(A, "load8", (6 * G - 1,))?;
        let region = self.unmap(A, mapping, 5 * G)?;
        self.call::<_, ()>(A, "drop-mappable", (region,))?;
        Ok(u8::try_from(seen)?)
    }

    fn held(&self) -> (usize, u64) {
        self.store.data().mappable.held()
    }
}

/// So many workers with a tree each, and how many were made.
fn trees(setup: Setup, count: usize, cancel: &Cancel, calls: &Calls) -> (Runtime, Workers<Tree>, Arc<AtomicUsize>) {
    let mut config = setup.config();
    config.epoch_interruption(true);
    let runtime = setup.runtime_with(config);
    let component = runtime.compile(&put_together(setup.memory())).unwrap();
    let guest = linker(&runtime).instantiate_pre(&component).unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let (made_with, counted, cancelled, calls) = (runtime.clone(), Arc::clone(&made), cancel.clone(), calls.clone());
    let make = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Tree::new(&made_with, &guest, &cancelled, &calls)
    };
    let mut workers = Workers::new(count, make).unwrap();
    workers.set_cancel(cancel);
    (runtime, workers, made)
}

/// Items: what the bytes of each are.
fn bytes(items: Range<u8>) -> Vec<u8> {
    items.collect()
}

on_every_setup! {
    fn a_trees_components_hand_regions_over_on_every_worker(setup) {
        however_called(|calls| {
            let (runtime, mut workers, made) = trees(setup, 2, &Cancel::new(), calls);
            let all: Vec<u8> = (1..=8u8).flat_map(|byte| [byte; GRANULE as usize]).collect();
            let frozen = runtime.allocate_from(&all).unwrap().freeze().unwrap();
            let rows = Parts::of_rows(GRANULE).at_most(8);
            for _ in 0..2 {
                let seen = with_clock(&runtime, || {
                    workers.map_slices(&frozen, &rows, 0, |tree, slice| {
                        let byte = slice.frozen[0];
                        tree.go(slice.frozen.to_vec(), byte, false)
                    })
                });
                assert_eq!(seen.unwrap(), bytes(2..10), "{calls:?}");
            }
            assert_eq!(workers.map(vec![(); 2], |tree, _, ()| Ok(tree.held())).unwrap(), [(0, 0); 2], "{calls:?}");
            assert_eq!(made.load(Ordering::Relaxed), 2);
        });
    }

    fn a_trapped_tree_is_made_anew_and_has_nothing_of_the_one_before(setup) {
        however_called(|calls| {
            let (_, mut workers, made) = trees(setup, 1, &Cancel::new(), calls);
            let go = |tree: &mut Tree, index: usize, byte: u8| {
                // While the peer has the region mapped.
                tree.go(vec![byte; GRANULE as usize], byte, index == 2)
            };
            let failed = workers.map(bytes(1..6), go).unwrap_err();
            let MapError::Failed { index: 2, source } = &failed.reason else { panic!("{calls:?}: {failed:?}") };
            assert_eq!(source.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds), "{calls:?}");
            assert_eq!((failed.done, failed.left, failed.lost), (vec![(0, 2), (1, 3)], vec![(3, 4), (4, 5)], vec![2]));
            assert_eq!(workers.map(vec![()], |tree, _, ()| Ok(tree.held())).unwrap(), [(0, 0)], "{calls:?}");
            assert_eq!(workers.map(vec![4, 5], go).unwrap(), [5, 6], "{calls:?}");
            assert_eq!(made.load(Ordering::Relaxed), 2);
        });
    }

    fn an_interrupted_tree_is_made_anew(setup) {
        however_called(|calls| {
            let cancel = Cancel::new();
            let (runtime, mut workers, made) = trees(setup, 1, &cancel, calls);
            let failed = with_clock(&runtime, || {
                workers.map(vec![(), ()], |tree, _, ()| {
                    tree.go(vec![1; GRANULE as usize], 1, false)?;
                    cancel.cancel();
                    // For as long as it is let.
                    let mut gone = Ok(0);
                    while gone.is_ok() {
                        gone = tree.go(vec![1; GRANULE as usize], 1, false);
                    }
                    gone
                })
            })
            .unwrap_err();
            let MapError::Failed { index: 0, source } = &failed.reason else { panic!("{calls:?}: {failed:?}") };
            assert!(format!("{source:#}").contains("interrupted"), "{calls:?}: {source:#}");
            assert_eq!((failed.left, failed.lost), (vec![(1, ())], vec![0]));
            workers.set_cancel(&Cancel::new());
            assert_eq!(workers.map(vec![()], |tree, _, ()| Ok(tree.held())).unwrap(), [(0, 0)], "{calls:?}");
            assert_eq!(made.load(Ordering::Relaxed), 2);
        });
    }
}
