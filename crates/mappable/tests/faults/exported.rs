//! What is to go to another process when a system call fails on the way: it comes back, with its bytes.

use mappable::injection::{self, Call};
use mappable::{Frozen, GRANULE, Mappable, Runtime, Trust};

use crate::support::{Setup, all_are};
use crate::{alone, had};

const SIZE: u64 = 2 * GRANULE;
const CALLS: [Call; 7] = [Call::Create, Call::Truncate, Call::Seal, Call::Read, Call::Write, Call::Reserve, Call::Map];

/// Has each system call of `act` fail at each place, once and from there on. Returns how often `act` failed.
fn at_each_place<T, D, E>(
    make: impl Fn() -> T,
    act: impl Fn(T) -> Result<D, E>,
    check: impl Fn(Result<D, E>),
) -> usize {
    let mut failures = 0;
    for (call, goes_on) in CALLS.into_iter().flat_map(|call| [(call, false), (call, true)]) {
        for place in 0.. {
            let given = make();
            if goes_on {
                injection::fail_from(call, place);
            } else {
                injection::fail(call, place);
            }
            let answer = act(given);
            let refused = injection::stop();
            assert!(refused || answer.is_ok(), "{call:?}: nothing was refused");
            failures += usize::from(answer.is_err());
            check(answer);
            if !refused {
                break;
            }
        }
    }
    failures
}

/// A region of threes, alone in a file or not.
fn threes(runtime: &Runtime, is_exportable: bool) -> Mappable {
    let region = if is_exportable { runtime.allocate_exportable(SIZE) } else { runtime.allocate(SIZE) };
    let mut region = region.unwrap();
    region.bytes_mut().unwrap().fill(3);
    region
}

fn runtime() -> Runtime {
    Setup::Swap.runtime_that_keeps_none(Setup::Swap.config())
}

#[test]
fn a_region_that_is_not_exported_comes_back() {
    let _alone = alone();
    let runtime = runtime();
    for is_exportable in [false, true] {
        let before = had();
        let make = || threes(&runtime, is_exportable);
        let failures = at_each_place(
            make,
            |region: Mappable| region.export(Trust::SEALS).map_err(Box::new),
            |answer| {
                let region = match answer {
                    Ok(exported) => Mappable::import(&runtime, exported, Trust::SEALS, SIZE).unwrap(),
                    Err(failed) => failed.region,
                };
                assert!(region.len() == SIZE && all_are(region.bytes().unwrap(), 3));
            },
        );
        assert!(failures > 0);
        assert_eq!(had(), before);
    }
}

#[test]
fn frozen_bytes_that_are_not_sealed_come_back() {
    let _alone = alone();
    let runtime = runtime();
    // Of a part there is another reference, so it is copied.
    for (is_exportable, is_part) in [(false, false), (true, false), (true, true)] {
        let before = had();
        let make = || {
            let all = threes(&runtime, is_exportable).freeze().unwrap();
            if is_part { (all.slice(GRANULE..SIZE).unwrap(), Some(all)) } else { (all, None) }
        };
        let failures = at_each_place(
            make,
            |(frozen, rest)| frozen.seal().map_err(|failed| (failed, rest)),
            |answer| {
                let frozen: Frozen = answer.unwrap_or_else(|(failed, _)| failed.frozen);
                assert!(frozen.len() as u64 == if is_part { GRANULE } else { SIZE } && all_are(&frozen, 3));
                // And can be sealed now.
                let exported = frozen.seal().unwrap().export(Trust::SEALS).unwrap();
                assert!(!exported.was_copied);
            },
        );
        assert!(failures > 0);
        assert_eq!(had(), before);
    }
}
