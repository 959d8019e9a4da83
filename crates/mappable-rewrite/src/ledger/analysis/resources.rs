//! Which resources of a tree are ours, and what disagrees about that.

use std::collections::{BTreeMap, HashMap};

use super::Stop;
use super::graph::{Graph, Origin};
use crate::ledger::obstacle::Reason;
use crate::ledger::signature::Kind;

/// By number of a resource: which of ours it is.
pub(super) type Kinds = Vec<Option<Kind>>;

pub(super) fn kinds(graph: &mut Graph) -> Result<Kinds, Stop> {
    let origins = std::mem::take(&mut graph.origins);
    let mut classes: BTreeMap<u32, Vec<&Origin>> = BTreeMap::new();
    for (number, origin) in origins.iter().enumerate() {
        classes.entry(graph.resources.find(number as u32)).or_default().push(origin);
    }
    let mut ours: HashMap<u32, Kind> = HashMap::new();
    let mut stop: Option<Stop> = None;
    for (&class, members) in &classes {
        let mut found = None;
        let (mut other, mut unknown) = (false, None);
        for origin in members {
            match origin {
                Origin::Ours(kind) => {
                    other |= found.is_some_and(|found| found != *kind);
                    found = Some(*kind);
                }
                Origin::Foreign => other = true,
                Origin::Unknown(number) => unknown = unknown.or(origins.get(*number as usize)),
                Origin::Abstract(..) => {}
            }
        }
        let Some(kind) = found else { continue };
        if other || unknown.is_some() {
            let first = unknown.into_iter().chain(members.iter().copied()).find_map(|origin| match origin {
                Origin::Abstract(component, import) => Some((*component, import.clone())),
                _ => None,
            });
            let (component, import) = first.unwrap_or_default();
            if stop.as_ref().is_none_or(|(earlier, ..)| component < *earlier) {
                let reason = match other {
                    true => Reason::ResourcesDisagree { import, kind },
                    false => Reason::ResourceUnknown { import, kind },
                };
                stop = Some((component, None, reason));
            }
        } else {
            ours.insert(class, kind);
        }
    }
    match stop {
        Some(stop) => Err(stop),
        None => Ok((0..origins.len() as u32).map(|number| ours.get(&graph.resources.find(number)).copied()).collect()),
    }
}
