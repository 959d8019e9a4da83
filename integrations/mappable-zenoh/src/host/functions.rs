//! The functions of `mappable:bus/values`. They are called synchronously, and each waits for a bounded time.

use std::str::FromStr as _;

use mappable::{Frozen, HandleError, Mappable, MappableCtx};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};

use super::{BusCtx, BusView};
use crate::key::{Key, Pattern};
use crate::liveliness::Token;
use crate::payload::{Message, ReceiveError};
use crate::publisher::{PublishError, Publisher, SendFailed};
use crate::query::{Offer, QueryError};
use crate::subscriber::{Subscriber, Subscription};

/// The interface that is offered.
const VALUES: &str = "mappable:bus/values@0.1.0";

/// The enum `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Error {
    #[component(name = "invalid-key")]
    InvalidKey,
    #[component(name = "not-granted")]
    NotGranted,
    #[component(name = "over-quota")]
    OverQuota,
    #[component(name = "no-subscriber")]
    NoSubscriber,
    #[component(name = "congested")]
    Congested,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "no-memory")]
    NoMemory,
    #[component(name = "damaged")]
    Damaged,
    #[component(name = "closed")]
    Closed,
}

/// The record `message`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Received {
    key: String,
    payload: Resource<Frozen>,
}

/// What a call returns: the outer error is a trap.
type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;
type Sent = wasmtime::Result<(Result<(), (Resource<Mappable>, Error)>,)>;

/// Adds `mappable:bus` to a linker. Needs [`mappable::add_to_linker`] besides. Calls wait on the thread that called the component,
/// for at most [`Quota::wait`](super::Quota), and for as long as a publisher may wait ([`Congestion`](crate::Congestion)).
///
/// # Errors
///
/// The linker's, if it has the interface already.
pub fn add_to_linker<T: BusView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut values = linker.instance(VALUES)?;
    resource::<T, Publisher>(&mut values, "publisher")?;
    resource::<T, Subscriber>(&mut values, "subscriber")?;
    resource::<T, Offer>(&mut values, "offer")?;
    resource::<T, Token>(&mut values, "token")?;

    values.func_wrap("[static]publisher.open", |mut store: StoreContextMut<'_, T>, (key,): (String,)| {
        let bus = store.data_mut().bus();
        open(bus, |bus| {
            let key = key_to_send(bus, &key)?;
            bus.bus.publisher(&key, bus.quota.congestion).map_err(of_publish)
        })
    })?;
    values.func_wrap(
        "[method]publisher.has-subscriber",
        |store: StoreContextMut<'_, T>, (this,): This<Publisher>| {
            let mut store = store;
            Ok((store.data_mut().bus().table.get(&this)?.has_subscriber(),))
        },
    )?;
    values.func_wrap(
        "[method]publisher.wait-for-subscriber",
        |mut store: StoreContextMut<'_, T>, (this, wait): (Resource<Publisher>, u32)| {
            let bus = store.data_mut().bus();
            Ok((bus.table.get(&this)?.wait_for_subscriber(bus.wait(wait)),))
        },
    )?;
    values.func_wrap(
        "[method]publisher.publish",
        |mut store: StoreContextMut<'_, T>, (this, value): (Resource<Publisher>, Resource<Frozen>)| -> Answer<()> {
            let value = store.data_mut().mappable().get_frozen(&value)?;
            let published = store.data_mut().bus().table.get(&this)?.publish(&value);
            Ok((published.map_err(of_publish),))
        },
    )?;
    values.func_wrap("[method]publisher.send", |store: StoreContextMut<'_, T>, of: (Resource<Publisher>, _)| {
        send(store, &of.0, of.1)
    })?;

    values.func_wrap("[static]subscriber.open", |mut store: StoreContextMut<'_, T>, (keys,): (String,)| {
        let bus = store.data_mut().bus();
        open(bus, |bus| {
            let pattern = pattern_to_receive(bus, &keys)?;
            let how = Subscription::new().messages(bus.quota.queued_messages).bytes(bus.quota.queued_bytes);
            bus.bus.subscriber(&pattern, how.overflow(bus.quota.overflow)).map_err(of_receive)
        })
    })?;
    values
        .func_wrap("[method]subscriber.receive", |store: StoreContextMut<'_, T>, of: (Resource<Subscriber>, u32)| {
            receive(store, &of.0, of.1)
        })?;
    values.func_wrap(
        "[method]subscriber.dropped",
        |mut store: StoreContextMut<'_, T>, (this,): This<Subscriber>| {
            Ok((store.data_mut().bus().table.get(&this)?.dropped(),))
        },
    )?;

    values.func_wrap(
        "[static]offer.open",
        |mut store: StoreContextMut<'_, T>, (key, value): (String, Resource<Frozen>)| {
            let value = store.data_mut().mappable().remove_frozen(value)?;
            open(store.data_mut().bus(), |bus| {
                let key = key_to_send(bus, &key)?;
                bus.bus.offer(&key, value).map_err(of_query)
            })
        },
    )?;
    values.func_wrap("get", |store: StoreContextMut<'_, T>, (keys, wait): (String, u32)| get(store, &keys, wait))?;

    values.func_wrap("[static]token.open", |mut store: StoreContextMut<'_, T>, (key,): (String,)| {
        open(store.data_mut().bus(), |bus| {
            let key = key_to_send(bus, &key)?;
            bus.bus.token(&key).map_err(of_query)
        })
    })?;
    values.func_wrap("alive", |mut store: StoreContextMut<'_, T>, (keys, wait): (String, u32)| -> Answer<Vec<String>> {
        let bus = store.data_mut().bus();
        let wait = bus.wait(wait);
        Ok((pattern_to_receive(bus, &keys).and_then(|keys| bus.bus.alive(&keys, wait).map_err(of_query)),))
    })
}

type This<R> = (Resource<R>,);

fn resource<T: BusView + 'static, R: Send + 'static>(
    values: &mut LinkerInstance<'_, T>,
    name: &str,
) -> wasmtime::Result<()> {
    values.resource(name, ResourceType::host::<R>(), |mut store, index| {
        let bus = store.data_mut().bus();
        drop(bus.table.delete(Resource::<R>::new_own(index))?);
        bus.resources -= 1;
        Ok(())
    })
}

/// Makes a resource if there is room for another.
fn open<R: Send + 'static>(bus: &mut BusCtx, make: impl FnOnce(&BusCtx) -> Result<R, Error>) -> Answer<Resource<R>> {
    if bus.resources >= bus.quota.resources {
        return Ok((Err(Error::OverQuota),));
    }
    let made = match make(bus) {
        Ok(made) => made,
        Err(error) => return Ok((Err(error),)),
    };
    let handle = bus.table.push(made)?;
    bus.resources += 1;
    Ok((Ok(handle),))
}

fn key_to_send(bus: &BusCtx, text: &str) -> Result<Key, Error> {
    let key = Key::from_str(text).map_err(|_| Error::InvalidKey)?;
    if bus.grants.may_send(&Pattern::from(&key)) { Ok(key) } else { Err(Error::NotGranted) }
}

fn pattern_to_receive(bus: &BusCtx, text: &str) -> Result<Pattern, Error> {
    let pattern = Pattern::from_str(text).map_err(|_| Error::InvalidKey)?;
    if bus.grants.may_receive(&pattern) { Ok(pattern) } else { Err(Error::NotGranted) }
}

fn send<T: BusView>(mut store: StoreContextMut<'_, T>, this: &Resource<Publisher>, region: Resource<Mappable>) -> Sent {
    let region = store.data_mut().mappable().remove(region)?;
    let sent = store.data_mut().bus().table.get(this)?.send(region);
    let Err(SendFailed { region, error }) = sent else { return Ok((Ok(()),)) };
    // It counts as much as before.
    let region = store.data_mut().mappable().insert(region)?;
    Ok((Err((region, of_publish(error))),))
}

fn receive<T: BusView>(
    mut store: StoreContextMut<'_, T>,
    this: &Resource<Subscriber>,
    milliseconds: u32,
) -> Answer<Option<Received>> {
    // Before a message is taken.
    if room(store.data_mut().mappable()) == 0 {
        return Ok((Err(Error::OverQuota),));
    }
    let bus = store.data_mut().bus();
    let received = bus.table.get(this)?.receive(bus.wait(milliseconds));
    match received {
        Ok(None) => Ok((Ok(None),)),
        Ok(Some(message)) => Ok((give(store.data_mut().mappable(), message)?.map(Some),)),
        Err(error) => Ok((Err(of_receive(error)),)),
    }
}

fn get<T: BusView>(mut store: StoreContextMut<'_, T>, keys: &str, milliseconds: u32) -> Answer<Vec<Received>> {
    let room = room(store.data_mut().mappable());
    let bus = store.data_mut().bus();
    let wait = bus.wait(milliseconds);
    let got = pattern_to_receive(bus, keys).and_then(|keys| bus.bus.get_at_most(room, &keys, wait).map_err(of_query));
    let messages = match got.and_then(|messages| messages.ok_or(Error::OverQuota)) {
        Ok(messages) => messages,
        Err(error) => return Ok((Err(error),)),
    };
    let mut all = Vec::new();
    for message in messages {
        match give(store.data_mut().mappable(), message)? {
            Ok(received) => all.push(received),
            Err(error) => {
                // All or none.
                for Received { payload, .. } in all {
                    store.data_mut().mappable().remove_frozen(payload)?;
                }
                return Ok((Err(error),));
            }
        }
    }
    Ok((Ok(all),))
}

/// How many regions more the store may hold.
fn room(context: &MappableCtx) -> usize {
    context.limits().regions.saturating_sub(context.held().0)
}

fn give(context: &mut MappableCtx, message: Message) -> wasmtime::Result<Result<Received, Error>> {
    match context.try_insert_frozen(message.payload) {
        Ok(payload) => Ok(Ok(Received { key: message.key, payload })),
        Err(HandleError::OverQuota) => Ok(Err(Error::OverQuota)),
        Err(HandleError::NotShown(_)) => Ok(Err(Error::NoMemory)),
        Err(error) => Err(error.into()),
    }
}

fn of_publish(error: PublishError) -> Error {
    match error {
        PublishError::NoSubscriber(_) => Error::NoSubscriber,
        PublishError::Congested => Error::Congested,
        PublishError::Freeze(_) => Error::NoMemory,
        PublishError::Bus(_) => Error::Closed,
    }
}

fn of_receive(error: ReceiveError) -> Error {
    match error {
        ReceiveError::TooLarge { .. } => Error::TooLarge,
        ReceiveError::Allocate(_) | ReceiveError::Io(_) => Error::NoMemory,
        ReceiveError::Damaged(_) => Error::Damaged,
        ReceiveError::Closed => Error::Closed,
    }
}

fn of_query(error: QueryError) -> Error {
    match error {
        QueryError::Receive(error) => of_receive(error),
        QueryError::TooManyKeys { .. } => Error::TooLarge,
        QueryError::Bus(_) => Error::Closed,
    }
}
