//! The methods that `counts` can run.

use std::sync::LazyLock;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Serialize, Serializer};

use crate::driver;
use crate::hop::Kind as Hop;
use crate::lists::Kind as Engine;
use crate::method::{self, Element, List, Method, Within};
use crate::tier::Concurrency;

/// A method of `mappable-bench hop`, or a `list<u8>` as an argument, as in `mappable-bench lists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Hop(Hop),
    List(Engine),
}

const LISTS: [(Engine, &str, &str); 3] = [
    (Engine::Stock, "list-stock", "A `list<u8>` as an argument, on an engine with default settings"),
    (Engine::Baseline, "list-baseline", "The same on our engine, the baseline tier"),
    (Engine::Ledger, "list-ledger", "The same on our engine, the ledger tier"),
];

impl ValueEnum for Subject {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Subject>> = LazyLock::new(|| {
            let hops = Hop::value_variants().iter().map(|hop| Subject::Hop(*hop));
            hops.chain(LISTS.map(|(engine, ..)| Subject::List(engine))).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Hop(hop) => hop.to_possible_value(),
            Self::List(_) => self.list().map(|(_, name, help)| PossibleValue::new(*name).help(*help)),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&driver::name(*self))
    }
}

impl Subject {
    fn list(self) -> Option<&'static (Engine, &'static str, &'static str)> {
        let Self::List(engine) = self else { return None };
        LISTS.iter().find(|(of, ..)| *of == engine)
    }

    /// How many hops, or calls, a round has.
    pub(super) fn per_round(self) -> u32 {
        match self {
            Self::Hop(_) => 2,
            Self::List(_) => 1,
        }
    }

    /// `None` where there is no such thing.
    pub(super) fn make(self, bytes: u64, concurrency: Concurrency) -> Result<Option<Box<dyn Method>>> {
        match self {
            Self::Hop(hop) => hop.make(bytes, concurrency),
            Self::List(engine) => {
                let list = List { element: Element::U8, within: Within::Nothing, direction: "argument", bytes };
                method::elements(engine.tier(), concurrency == Concurrency::On, list).map(Some)
            }
        }
    }
}
