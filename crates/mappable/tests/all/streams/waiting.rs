//! Who is woken when a channel has room: one for each place, and nobody is forgotten.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use mappable::{Mappable, Receiver, Runtime, Sender};

use super::channels::{into, turn};
use super::ends::*;
use crate::support::*;

type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), Mappable>> + 'a>>;

/// A task that sends an element, polled by hand.
struct Sending<'a> {
    future: Option<Sent<'a>>,
    woken: Arc<Count>,
    /// How often it had been woken when it was polled last.
    seen: usize,
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl<'a> Sending<'a> {
    /// One that was polled once.
    fn new(sender: &'a Sender<Mappable>, runtime: &Runtime) -> Self {
        let future = sender.send(runtime.allocate(1).unwrap());
        let mut sending = Self { future: Some(Box::pin(future)), woken: Arc::default(), seen: 0 };
        sending.poll();
        sending
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }

    fn waits(&self) -> bool {
        self.future.is_some()
    }

    /// Returns whether it is done.
    fn poll(&mut self) -> bool {
        self.seen = self.woken();
        let Some(future) = &mut self.future else { return true };
        let waker = Waker::from(Arc::clone(&self.woken));
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        if poll.is_ready() {
            self.future = None;
        }
        poll.is_ready()
    }
}

/// A channel that is full, for so many.
fn full(runtime: &Runtime, bound: usize) -> (Sender<Mappable>, Receiver<Mappable>) {
    mappable::ring(runtime, bound, 1).unwrap()
}

fn woken<const N: usize>(all: &[Sending<'_>; N]) -> [usize; N] {
    all.each_ref().map(Sending::woken)
}

#[test]
fn a_receive_wakes_the_first_that_waits() {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = full(&runtime, 2);
    let mut all = [(); 4].map(|()| Sending::new(&sender, &runtime));
    receiver.try_recv().unwrap();
    assert_eq!(woken(&all), [1, 0, 0, 0]);
    receiver.try_recv().unwrap();
    assert_eq!(woken(&all), [1, 1, 0, 0]);
    assert!(all[1].poll() && all[0].poll());
    assert_eq!(woken(&all), [1, 1, 0, 0]);
    receiver.try_recv().unwrap();
    assert_eq!(woken(&all), [1, 1, 1, 0]);
}

#[test]
fn one_that_was_woken_and_goes_has_the_next_woken() {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = full(&runtime, 1);
    let mut all = [(); 3].map(|()| Sending::new(&sender, &runtime));
    // Not woken yet: nobody has to be told.
    all[1].future = None;
    assert_eq!(woken(&all), [0, 0, 0]);
    receiver.try_recv().unwrap();
    assert_eq!(woken(&all), [1, 0, 0]);
    all[0].future = None;
    assert_eq!(woken(&all), [1, 0, 1]);
    assert!(all[2].poll());
}

#[test]
fn one_that_was_woken_in_vain_is_the_first_again() {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = full(&runtime, 1);
    let mut all = [(); 2].map(|()| Sending::new(&sender, &runtime));
    receiver.try_recv().unwrap();
    sender.try_send(runtime.allocate(1).unwrap()).unwrap();
    assert!(!all[0].poll());
    receiver.try_recv().unwrap();
    assert_eq!(woken(&all), [2, 0]);
    assert!(all[0].poll());
}

#[test]
fn all_that_wait_are_woken_when_the_receiver_goes() {
    let runtime = Runtime::new().unwrap();
    let (sender, receiver) = full(&runtime, 1);
    let mut all = [(); 3].map(|()| Sending::new(&sender, &runtime));
    drop(receiver);
    assert_eq!(woken(&all), [1, 1, 1]);
    let Some(mut sent) = all[1].future.take() else { panic!("it waits") };
    let Poll::Ready(sent) = sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) else { panic!("it waits") };
    sent.unwrap_err();
}

#[test]
fn while_there_is_room_nobody_waits_who_is_not_woken() {
    // Tasks come, are polled when they were woken, and go; elements are received. Whenever no task has anything to do, the channel
    // is full or nobody waits.
    let runtime = Runtime::new().unwrap();
    let mut random = 1_u64;
    let mut draw = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for bound in 1..=3 {
        let (sender, receiver) = full(&runtime, bound);
        let (mut tasks, mut held, mut rested) = (Vec::<Sending<'_>>::new(), bound, 0);
        for _ in 0..3000 {
            tasks.retain(Sending::waits);
            match draw(8) {
                0 if tasks.len() < 6 => {
                    tasks.push(Sending::new(&sender, &runtime));
                    held += usize::from(tasks.last().is_some_and(|task| !task.waits()));
                }
                1 => held += usize::from(sender.try_send(runtime.allocate(1).unwrap()).is_ok()),
                2 if !tasks.is_empty() => drop(tasks.swap_remove(draw(tasks.len()))),
                // An executor may poll what was not woken.
                3 if !tasks.is_empty() => {
                    let at = draw(tasks.len());
                    held += usize::from(tasks[at].poll());
                }
                4 | 5 => held -= usize::from(receiver.try_recv().is_some()),
                _ => {
                    let ready: Vec<usize> = (0..tasks.len()).filter(|&at| tasks[at].woken() > tasks[at].seen).collect();
                    match ready.is_empty() {
                        true => {
                            rested += 1;
                            assert!(held == bound || tasks.is_empty(), "{held} of {bound}, {} wait", tasks.len());
                        }
                        false => held += usize::from(tasks[ready[draw(ready.len())]].poll()),
                    }
                }
            }
            assert!(held <= bound);
        }
        assert!(rested > 100, "{rested}");
    }
}

on_every_setup! {
    fn a_write_that_is_cancelled_waits_no_longer(setup) {
        let mut scene = Scene::new(setup, "(own $mappable)");
        let a = scene.guest();
        let runtime = scene.runtime.clone();
        let (sender, receiver) = full(&runtime, 1);
        let writer = into(&mut scene, &a, sender.clone());
        let mut regions = [scene.region(&a, 2)];
        assert_eq!(scene.write(&a, writer, &mut regions).unwrap(), BLOCKED);
        let mut sending = Sending::new(&sender, &runtime);
        scene.does(&a, "stream-cancel-write", writer).unwrap();
        turn(&mut scene.store).unwrap();
        receiver.try_recv().unwrap();
        assert_eq!(sending.woken(), 1);
        assert!(sending.poll());
        scene.expect(&a, regions[0], 2);
    }

    fn a_store_that_does_not_run_keeps_nobody_else_waiting(setup) {
        let mut scene = Scene::new(setup, "(own $mappable)");
        let a = scene.guest();
        let runtime = scene.runtime.clone();
        let (sender, mut receiver) = full(&runtime, 1);
        let writer = into(&mut scene, &a, sender.clone());
        let region = scene.region(&a, 2);
        assert_eq!(scene.write(&a, writer, &mut [region]).unwrap(), BLOCKED);
        let mut sending = [(); 2].map(|()| Sending::new(&sender, &runtime));
        receiver.try_recv().unwrap();
        // The guest's turn, but its store does not run.
        assert_eq!(woken(&sending), [0, 0]);
        let mut receive = Box::pin(receiver.recv());
        assert!(receive.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(woken(&sending), [1, 1]);
        assert!(sending[0].poll());
        assert!(receive.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        drop(receive);
        // When it runs, it goes on.
        turn(&mut scene.store).unwrap();
        assert_eq!(receiver.try_recv().unwrap().bytes().unwrap()[0], 2);
        scene.expect_held(0);
    }
}
