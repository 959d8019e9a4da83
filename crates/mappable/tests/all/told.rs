//! What an embedder is told of a component's tier as it is compiled.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use mappable::rewrite::{Tier, TierReport};
use mappable::{MappingMode, Runtime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::wat::{self, TYPES};

/// Keeps all events of this crate's, each with its level and fields.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(Level, String)>>>);

impl Subscriber for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("mappable")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, "{field}: {value:?}; ").unwrap();
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What is told of a component of that text, and its report's tier.
fn told(tier: Tier, text: &str) -> (Vec<(Level, String)>, TierReport) {
    let runtime = Runtime::builder().mapping(MappingMode::Auto).tier(tier).build().unwrap();
    let told = Told::default();
    let compiled =
        tracing::subscriber::with_default(told.clone(), || runtime.compile_with_report(text.as_bytes()).unwrap());
    let events = told.0.lock().unwrap().clone();
    (events, compiled.1.tier)
}

#[test]
fn the_first_obstacle_of_a_component_that_maps_is_told_at_info() {
    let late = format!(
        r#"(component
            (component $none) (instance (instantiate $none))
            (import "{TYPES}" (instance $types (export "mappable" (type (sub resource)))))
            (alias export $types "mappable" (type $mappable))
            (core module $m (func (export "give") (result i32) unreachable))
            (core instance $m (instantiate $m))
            (func (export "give") (result (own $mappable)) (canon lift (core func $m "give"))))"#
    );
    let (events, tier) = told(Tier::Auto, &late);
    let TierReport::Baseline { obstacle: Some(obstacle) } = tier else { panic!("{tier:?}") };
    let [(level, text)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*level, Level::INFO);
    assert!(text.contains(&obstacle.to_string()), "{text}");
}

#[test]
fn nothing_is_told_where_nothing_stands_in_the_way() {
    let plain = "(component (core module (memory 1)))";
    for (tier, text) in [(Tier::Auto, plain), (Tier::Baseline, plain), (Tier::Baseline, &wat::guest("1"))] {
        assert_eq!(told(tier, text).0, []);
    }
}
