//! The rules of streams and futures, one by one.

use crate::rules::{A, B, HOST, allocate, map, plain, run, unmap};
use crate::{End, Ended, GRANULE as G, Op, Outcome, World};
use End::{Readable, Writable};
use Ended::{Cancelled, Completed, Dropped};
use Outcome::{Done, HandedOver, Handle, Stream, Trap, Waits};

fn send(by: usize, handles: &[usize]) -> Op {
    Op::Send { by, stream: 0, handles: handles.to_vec() }
}

fn receive(by: usize, room: usize) -> Op {
    Op::Receive { by, stream: 0, room }
}

fn poll(by: usize, end: End) -> Op {
    Op::Poll { by, stream: 0, end }
}

fn cancel(by: usize, end: End) -> Op {
    Op::Cancel { by, stream: 0, end }
}

fn close(by: usize, end: End) -> Op {
    Op::Close { by, stream: 0, end }
}

fn ended(moved: usize, how: Ended) -> Outcome {
    Outcome::Ended(moved, how)
}

/// The first instance writes, the second reads; and the first has regions.
fn with(future: bool, regions: usize) -> World {
    let mut world = plain();
    for number in 0..regions {
        run(&mut world, [(allocate(A, 1), Handle(number))]);
    }
    let open = Op::Open { by: 0, future, frozen: false };
    run(&mut world, [(open, Stream(0)), (Op::PassEnd { from: 0, stream: 0, to: 1 }, Done)]);
    world
}

#[test]
fn an_element_is_the_writers_until_it_is_read_r52_r54_r55() {
    let mut world = with(false, 3);
    run(
        &mut world,
        [
            (send(0, &[2, 0, 1]), Waits),
            (Op::SetLen { by: A, handle: 0, len: 7 }, Done),
            (receive(1, 2), HandedOver(vec![0, 1])),
            (Op::Len { by: B, handle: 1 }, Outcome::Length(7)),
            (map(1, 0, 2, 1), Handle(0)),
            (Op::Len { by: A, handle: 0 }, Trap),
        ],
    );
    let mut world = with(false, 3);
    run(
        &mut world,
        [
            (send(0, &[2, 0, 1]), Waits),
            (receive(1, 2), HandedOver(vec![0, 1])),
            (cancel(0, Writable), ended(2, Cancelled)),
            (receive(1, 1), Waits),
            (cancel(1, Readable), ended(0, Cancelled)),
            (Op::Drop { by: A, handle: 1 }, Done),
            (close(0, Writable), Done),
            (receive(1, 1), ended(0, Dropped)),
            (close(1, Readable), Done),
        ],
    );
    assert_eq!(world.usage(0).regions, 2);
}

#[test]
fn a_read_that_waits_gets_what_is_written() {
    let mut world = with(false, 3);
    run(
        &mut world,
        [
            (receive(1, 2), Waits),
            (poll(1, Readable), Waits),
            (send(0, &[0]), HandedOver(vec![0])),
            (send(0, &[1, 2]), HandedOver(vec![1])),
            (send(0, &[2]), Waits),
            (poll(1, Readable), ended(2, Completed)),
            (receive(1, 3), HandedOver(vec![2])),
            (poll(0, Writable), ended(1, Completed)),
        ],
    );
}

#[test]
fn an_element_that_is_mapped_gone_or_of_another_type_traps_the_meeting_r53() {
    let spoils = [
        map(0, 0, 2, 1),
        Op::Drop { by: A, handle: 0 },
        Op::Freeze { by: A, handle: 0 },
        Op::Pass { from: A, handle: 0, to: B },
    ];
    for spoil in spoils {
        let mut world = with(false, 2);
        run(&mut world, [(send(0, &[1, 0]), Waits)]);
        assert!(!world.apply(&spoil).failed());
        let held = world.usage(0);
        run(&mut world, [(receive(1, 2), Trap), (send(0, &[1]), Outcome::Refused)]);
        assert_eq!(world.usage(0), held);
        // The good one alone can be read, and where the read was first the write traps.
        let mut world = with(false, 2);
        run(&mut world, [(send(0, &[1, 0]), Waits)]);
        world.apply(&spoil);
        assert!(matches!(world.apply(&receive(1, 1)), HandedOver(_)));
        let mut world = with(false, 2);
        run(&mut world, [(receive(1, 2), Waits)]);
        world.apply(&spoil);
        run(&mut world, [(send(0, &[1, 0]), Trap)]);
    }
    // What was mapped and unmapped is not what was named, whatever its number.
    let mut world = with(false, 1);
    run(&mut world, [(send(0, &[0]), Waits), (map(0, 0, 2, 1), Handle(0)), (unmap(0, 0, 2), Handle(0))]);
    run(&mut world, [(receive(1, 1), Trap)]);
    let mut world = with(false, 1);
    run(&mut world, [(send(0, &[0, 0]), Waits), (receive(1, 2), Trap)]);
}

#[test]
fn what_was_not_handed_over_stays_the_writers_when_an_end_is_closed_r54() {
    let mut world = with(false, 2);
    run(
        &mut world,
        [
            (send(0, &[0, 1]), Waits),
            (receive(1, 1), HandedOver(vec![0])),
            (close(1, Readable), Done),
            (poll(0, Writable), ended(1, Dropped)),
            (map(0, 1, 2, 1), Handle(0)),
            (close(0, Writable), Done),
        ],
    );
    let mut world = with(false, 2);
    run(&mut world, [(receive(1, 2), Waits), (send(0, &[0]), HandedOver(vec![0])), (close(0, Writable), Done)]);
    run(&mut world, [(cancel(1, Readable), ended(1, Dropped)), (receive(1, 1), Trap)]);
}

#[test]
fn an_end_in_use_is_not_closed_and_not_passed_on_r56() {
    for (op, after) in [(close(0, Writable), true), (close(1, Readable), false)] {
        let mut world = with(false, 1);
        run(&mut world, [(if after { send(0, &[0]) } else { receive(1, 1) }, Waits), (op, Trap)]);
    }
    let mut world = with(false, 1);
    run(&mut world, [(receive(1, 1), Waits), (Op::PassEnd { from: 1, stream: 0, to: 0 }, Trap)]);
    let mut world = with(false, 1);
    run(&mut world, [(cancel(0, Writable), Trap)]);
    let mut world = with(false, 1);
    run(&mut world, [(send(1, &[0]), Trap)]);
}

#[test]
fn a_future_hands_over_one_and_needs_it_r56() {
    let mut world = with(true, 2);
    run(&mut world, [(close(0, Writable), Trap)]);
    let mut world = with(true, 2);
    run(
        &mut world,
        [
            (send(0, &[0, 1]), Outcome::Impossible),
            (send(0, &[0]), Waits),
            (cancel(0, Writable), ended(0, Cancelled)),
            (send(0, &[1]), Waits),
            (receive(1, 1), HandedOver(vec![0])),
            (close(1, Readable), Done),
            (cancel(0, Writable), ended(1, Completed)),
            (close(0, Writable), Done),
        ],
    );
    let mut world = with(true, 2);
    run(&mut world, [(send(0, &[0]), Waits), (receive(1, 1), HandedOver(vec![0])), (receive(1, 1), Trap)]);
    // The writer has to have been told that nobody reads it.
    let mut world = with(true, 2);
    run(&mut world, [(close(1, Readable), Done), (close(0, Writable), Trap)]);
    let mut world = with(true, 2);
    run(&mut world, [(close(1, Readable), Done), (send(0, &[0]), ended(0, Dropped)), (close(0, Writable), Done)]);
    assert_eq!(world.usage(0).regions, 2);
}

#[test]
fn both_ends_in_one_instance_do_not_meet() {
    let mut world = plain();
    let open = Op::Open { by: 0, future: false, frozen: false };
    run(&mut world, [(allocate(A, 1), Handle(0)), (open, Stream(0)), (send(0, &[0]), Waits), (receive(0, 1), Trap)]);
}

#[test]
fn a_reference_keeps_its_block_and_a_store_that_ends_frees_all_r57() {
    let mut world = plain();
    run(
        &mut world,
        [
            (allocate(A, 2), Handle(0)),
            (Op::Freeze { by: A, handle: 0 }, Handle(0)),
            (Op::Slice { by: A, handle: 0, offset: G, size: 5 }, Handle(1)),
            (Op::Open { by: 0, future: false, frozen: true }, Stream(0)),
            (Op::PassEnd { from: 0, stream: 0, to: 1 }, Done),
            (send(0, &[1]), Waits),
            (receive(1, 1), HandedOver(vec![0])),
            (Op::Len { by: B, handle: 0 }, Outcome::Length(5)),
            (Op::Thaw { by: A, handle: 0 }, Outcome::GivenBack),
            (send(0, &[0]), Trap),
            (Op::DropStore { store: 0 }, Done),
        ],
    );
    assert_eq!(world.usage(0), Default::default());
}

#[test]
fn the_host_takes_what_its_channel_has_room_for_r58_r59() {
    let (collect, abandon) = (Op::Collect { channel: 0 }, Op::Abandon { channel: 0 });
    let consume = |by, bound| Op::Consume { by, stream: 0, bound };
    let mut world = with(false, 3);
    run(&mut world, [(consume(0, 2), Trap)]);
    let mut world = with(false, 3);
    run(&mut world, [(consume(1, 2), Outcome::Channel(0)), (collect.clone(), Waits)]);
    run(&mut world, [(Op::SetLen { by: A, handle: 2, len: 9 }, Done), (send(0, &[2, 0, 1]), ended(2, Completed))]);
    assert_eq!(world.usage(0).regions, 1);
    let full = world.clone();
    // A write that waits moves on when there is room, and is over then.
    run(
        &mut world,
        [
            (send(0, &[1]), Waits),
            (poll(0, Writable), Waits),
            (collect.clone(), Handle(0)),
            (Op::Len { by: HOST, handle: 0 }, Outcome::Length(9)),
            (poll(0, Writable), ended(1, Completed)),
            (close(0, Writable), Done),
            (collect.clone(), Handle(1)),
            (Op::DropStore { store: 0 }, Done),
            (collect.clone(), Handle(2)),
            (collect.clone(), ended(0, Dropped)),
        ],
    );
    // What is in the channel goes with it, and what waits stays the writer's.
    let mut world = full.clone();
    run(
        &mut world,
        [
            (send(0, &[1]), Waits),
            (abandon.clone(), Done),
            (poll(0, Writable), ended(0, Dropped)),
            (Op::Len { by: A, handle: 1 }, Outcome::Length(G)),
            (close(0, Writable), Done),
        ],
    );
    assert_eq!(world.usage(0).regions, 1);
    let mut world = full.clone();
    run(&mut world, [(send(0, &[1]), Waits), (cancel(0, Writable), ended(0, Cancelled)), (abandon.clone(), Done)]);
    run(&mut world, [(send(0, &[1]), ended(0, Dropped))]);
    // One that was mapped meanwhile ends the store when there is room for it.
    let mut world = full;
    run(&mut world, [(send(0, &[1]), Waits), (map(0, 1, 2, 1), Handle(0)), (collect, Handle(0))]);
    assert!(!world.is_alive(0));
}

#[test]
fn a_future_that_the_host_does_not_want_is_taken_and_freed_r58() {
    let consume = Op::Consume { by: 1, stream: 0, bound: 1 };
    let mut world = with(true, 1);
    run(&mut world, [(send(0, &[0]), Waits), (consume.clone(), Outcome::Channel(0))]);
    run(&mut world, [(poll(0, Writable), ended(1, Completed)), (close(0, Writable), Done)]);
    run(&mut world, [(Op::Collect { channel: 0 }, Handle(0)), (Op::Collect { channel: 0 }, ended(0, Dropped))]);
    let mut world = with(true, 1);
    run(&mut world, [(consume, Outcome::Channel(0)), (Op::Abandon { channel: 0 }, Done)]);
    run(&mut world, [(send(0, &[0]), ended(1, Completed)), (close(0, Writable), Done)]);
    assert_eq!(world.usage(0), Default::default());
}

#[test]
fn the_host_inserts_what_is_read_and_frees_the_rest_r58() {
    let produce = |future| Op::Produce { handles: if future { vec![2] } else { vec![2, 0, 1] }, future, to: 0 };
    let mut world = plain();
    for number in 0..3 {
        run(&mut world, [(allocate(HOST, 1), Handle(number))]);
    }
    let mut other = world.clone();
    run(&mut world, [(Op::SetLen { by: HOST, handle: 2, len: 9 }, Done), (produce(false), Stream(0))]);
    assert_eq!(world.usage(0).regions, 0);
    run(&mut world, [(receive(0, 2), HandedOver(vec![0, 1])), (Op::Len { by: A, handle: 0 }, Outcome::Length(9))]);
    assert_eq!(world.usage(0).regions, 2);
    let mut closed = world.clone();
    run(&mut closed, [(close(0, Readable), Done), (allocate(HOST, 1), Handle(0))]);
    run(&mut world, [(receive(0, 2), Outcome::Last(vec![2])), (receive(0, 1), Trap)]);
    run(&mut other, [(produce(true), Stream(0)), (Op::PassEnd { from: 0, stream: 0, to: 1 }, Done)]);
    run(&mut other, [(receive(1, 1), HandedOver(vec![0])), (close(1, Readable), Done)]);
}
