//! Explores small worlds exhaustively, and wrong ones, which the exploration must find.

mod small;

use small::Small;

use crate::world::Mistake;
use crate::{GRANULE, Way};

const HANDING: &[&str] = &["allocate", "map", "unmap", "store", "pass", "drop", "trap", "end"];
const FROZEN: &[&str] = &["allocate", "map", "unmap", "store", "deliver", "freeze", "clone", "thaw", "pass", "drop"];
const PRIVATE: &[&str] =
    &["allocate", "map", "map-private", "unmap", "store", "deliver", "freeze", "clone", "thaw", "drop", "end"];
const PARTS: &[&str] = &["allocate", "write", "freeze", "slice", "thaw", "split", "join", "map", "unmap", "drop"];
const LENGTHS: &[&str] = &["allocate", "set-len", "freeze", "slice", "thaw", "copy", "split", "join", "map", "unmap"];

const STREAMS: &[&str] =
    &["allocate", "map", "unmap", "drop", "stream", "pass-end", "send", "receive", "poll", "cancel", "close"];
const FUTURES: &[&str] =
    &["allocate", "map", "drop", "future", "pass-end", "send", "receive", "poll", "cancel", "close", "trap", "end"];

const PRODUCED: &[&str] =
    &["allocate", "write", "pass", "host", "map", "drop", "produce", "pass-end", "receive", "close", "trap", "end"];

const CONSUMED: &[&str] = &[
    "allocate", "write", "map", "drop", "stream", "consume", "send", "poll", "cancel", "close", "host", "trap", "end",
];
const FUTURES_CONSUMED: &[&str] = &[
    "allocate", "write", "map", "drop", "future", "consume", "send", "poll", "cancel", "close", "host", "trap", "end",
];

fn two(stores: [usize; 2], ops: &'static [&'static str]) -> Small {
    Small::new(&stores, &[Way::Pages, Way::Copies], ops)
}

fn parts() -> Small {
    let mut small = Small::new(&[0], &[Way::Pages], PARTS);
    (small.granules, small.values, small.sizes) = (3, 2, &[3]);
    small
}

#[test]
fn two_instances_of_a_store_hand_over() {
    let mut small = two([0, 0], HANDING);
    small.values = 2;
    small.check(1_000);
}

#[test]
fn two_stores_hand_over_through_the_host() {
    const OPS: &[&str] = &["allocate", "map", "unmap", "store", "pass", "host", "drop", "trap", "end"];
    let mut small = two([0, 1], OPS);
    small.values = 2;
    small.check(1_000);
}

#[test]
fn frozen_ones_are_shared() {
    let mut small = two([0, 0], FROZEN);
    small.granules = 1;
    small.values = 2;
    small.check(1_000);
}

fn private() -> Small {
    let mut small = two([0, 1], PRIVATE);
    (small.granules, small.values) = (1, 2);
    small
}

#[test]
fn private_mappings_are_written_to() {
    let mut small = two([0, 0], PRIVATE);
    (small.granules, small.values) = (1, 2);
    small.check(1_000);
}

#[test]
fn private_mappings_are_bounded_by_the_quota() {
    let mut small = private();
    // A region, and no byte of it written.
    small.setup.stores[0].region_bytes = GRANULE;
    small.ops = &["allocate", "map-private", "unmap", "store", "deliver", "freeze", "drop", "end"];
    small.check(50);
}

#[test]
fn every_mistake_with_private_ones_is_found() {
    private().finds(Mistake::StoresIntoFrozen, "I2");
    private().finds(Mistake::PrivateWritesAreFree, "quotas");
}

#[test]
fn parts_are_values_of_their_own() {
    parts().check(1_000);
}

#[test]
fn lengths_go_with_their_values() {
    let mut small = parts();
    (small.ops, small.values) = (LENGTHS, 3);
    small.check(300);
}

#[test]
fn streams_hand_over_what_is_read() {
    let mut small = two([0, 0], STREAMS);
    small.values = 2;
    small.check(10_000);
}

#[test]
fn futures_hand_over_what_is_read() {
    let mut small = two([0, 0], FUTURES);
    small.values = 2;
    small.check(10_000);
}

#[test]
fn the_host_hands_over_what_is_read() {
    let mut small = two([0, 0], PRODUCED);
    small.values = 2;
    small.check(10_000);
}

#[test]
fn the_host_reads_streams_into_channels() {
    let mut small = Small::new(&[0], &[Way::Pages], CONSUMED);
    small.values = 2;
    small.check(10_000);
}

#[test]
fn the_host_reads_futures_into_channels() {
    let mut small = Small::new(&[0], &[Way::Pages], FUTURES_CONSUMED);
    small.values = 2;
    small.check(10_000);
}

#[test]
fn every_mistake_with_channels_is_found() {
    for ops in [CONSUMED, FUTURES_CONSUMED] {
        let channels = || Small::new(&[0], &[Way::Pages], ops);
        channels().finds(Mistake::KeepsWhatIsNotRead, "conservation");
        channels().finds(Mistake::ReadsWithoutTaking, "conservation");
        channels().finds(Mistake::HandsOverMapped, "I1");
        channels().finds(Mistake::LiftsBeforeMeeting, "hand-over");
    }
}

#[test]
fn every_mistake_with_streams_is_found() {
    two([0, 0], PRODUCED).finds(Mistake::KeepsWhatIsNotRead, "conservation");
    let streams = || two([0, 0], STREAMS);
    streams().finds(Mistake::LiftsBeforeMeeting, "hand-over");
    streams().finds(Mistake::LiftsBeforeMeeting, "conservation");
    streams().finds(Mistake::HandsOverMapped, "I1");
    streams().finds(Mistake::ReadsWithoutTaking, "hand-over");
    streams().finds(Mistake::ReadsWithoutTaking, "conservation");
}

#[test]
fn every_mistake_is_found() {
    let handing = || two([0, 0], HANDING);
    handing().finds(Mistake::AllocateDoesNotZero, "I3");
    handing().finds(Mistake::UnmapDoesNotHide, "I1");
    handing().finds(Mistake::PassesMapped, "I1");
    handing().finds(Mistake::DropOfMappingFreesAtOnce, "conservation");
    handing().finds(Mistake::ForgetsToDischarge, "quotas");
    handing().finds(Mistake::MapsOverOthers, "placements");
    handing().finds(Mistake::FailureLosesHandle, "nothing half done");
}

#[test]
fn every_mistake_with_frozen_ones_is_found() {
    let frozen = || two([0, 0], FROZEN);
    frozen().finds(Mistake::FreezeKeepsMapping, "I1");
    frozen().finds(Mistake::FreezeKeepsMapping, "I2");
    frozen().finds(Mistake::ThawsShared, "I1");
    frozen().finds(Mistake::StoresIntoFrozen, "I2");
}

#[test]
fn every_mistake_with_parts_is_found() {
    parts().finds(Mistake::ThawKeepsTheRest, "conservation");
    parts().finds(Mistake::JoinsStrangers, "conservation");
    parts().finds(Mistake::PartsKeepTheLength, "lengths");
}
