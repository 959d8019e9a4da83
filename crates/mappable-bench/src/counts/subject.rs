//! The methods that `counts` can run.

use std::sync::LazyLock;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Serialize, Serializer};

use crate::driver;
use crate::hop::Kind as Hop;
use crate::lists::Kind as Engine;
use crate::method::{self, List, Method};
use crate::stream::Kind as Stream;
use crate::tier::Concurrency;

/// A method of `mappable-bench hop`, a list, as in `mappable-bench lists`, or an element of a stream that goes there and back, as
/// in `mappable-bench stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Hop(Hop),
    List(Engine),
    Stream(Stream),
}

const LISTS: [(Engine, &str, &str); 3] = [
    (Engine::Stock, "list-stock", "A list (see `--elements`, `--direction`), on an engine with default settings"),
    (Engine::Baseline, "list-baseline", "The same on our engine, the baseline tier"),
    (Engine::Ledger, "list-ledger", "The same on our engine, the ledger tier"),
];

const STREAMS: [(Stream, &str, &str); 4] = [
    (Stream::Ledger, "element-ledger", "A region in a stream there and back, the ledger tier"),
    (Stream::Baseline, "element-baseline", "The same in the baseline tier"),
    (Stream::StreamU32, "element-u32", "A number in a stream there and back, on an engine with default settings"),
    (Stream::StreamOwn, "element-own", "A handle in a stream there and back, on an engine with default settings"),
];

impl ValueEnum for Subject {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Subject>> = LazyLock::new(|| {
            let hops = Hop::value_variants().iter().map(|hop| Subject::Hop(*hop));
            let lists = LISTS.map(|(engine, ..)| Subject::List(engine));
            hops.chain(lists).chain(STREAMS.map(|(kind, ..)| Subject::Stream(kind))).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Hop(hop) => hop.to_possible_value(),
            Self::List(of) => named(&LISTS, of),
            Self::Stream(of) => named(&STREAMS, of),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&driver::name(*self))
    }
}

fn named<T: Copy + PartialEq>(all: &[(T, &'static str, &'static str)], wanted: &T) -> Option<PossibleValue> {
    let (_, name, help) = all.iter().find(|(of, ..)| of == wanted)?;
    Some(PossibleValue::new(*name).help(*help))
}

impl Subject {
    /// How many hops, calls or elements a round has.
    pub(super) fn per_round(self) -> u32 {
        match self {
            Self::Hop(_) => 2,
            Self::List(_) | Self::Stream(_) => 1,
        }
    }

    /// `None` where there is no such thing. Only lists differ by their element, direction and inlining.
    pub(super) fn make(self, list: List, concurrency: Concurrency, inlining: bool) -> Result<Option<Box<dyn Method>>> {
        match self {
            Self::Hop(hop) => hop.make(list.bytes, concurrency),
            Self::List(engine) => {
                method::elements(engine.tier(), concurrency == Concurrency::On, inlining, list).map(Some)
            }
            // Streams need it.
            Self::Stream(_) if concurrency == Concurrency::Off => Ok(None),
            Self::Stream(kind) => kind.touched(list.bytes),
        }
    }
}
