//! Rule 9, as far as types go: whether what has to do with handles of the package in a bridge is a function over it, of
//! the type that its module was made for.

use std::collections::{HashMap, HashSet};

use wasmparser::component_types::{ComponentAnyTypeId, ComponentValType, ResourceId};
use wasmparser::types::TypesRef;

use crate::error::{Bug, RewriteError};
use crate::ledger::convert::Converter;
use crate::ledger::modules::Crossing;
use crate::ledger::signature::{Kind, Signature};
use crate::ledger::unsound::Unsound;
use crate::path::ComponentPath;

/// What a bridge's module was made for.
type MadeFor = HashSet<(Signature, Crossing)>;

/// The canonical functions of all bridges.
#[derive(Default)]
pub(super) struct Bridges<'t> {
    canons: Vec<(ComponentPath, u32, ComponentAnyTypeId, Option<&'t MadeFor>)>,
}

impl<'t> Bridges<'t> {
    /// A canonical function of a bridge is about a type, and is the end of a module that was made for these.
    pub(super) fn canon(
        &mut self,
        path: &ComponentPath,
        canon: u32,
        about: ComponentAnyTypeId,
        made_for: Option<&'t MadeFor>,
    ) {
        self.canons.push((path.clone(), canon, about, made_for));
    }

    /// Refuses what has to do with the package's resources in another way.
    pub(super) fn finish(self, types: TypesRef<'_>, package: &HashMap<ResourceId, Kind>) -> Result<(), RewriteError> {
        let mut converter = Converter::new(types, |id| package.get(&id).copied());
        for (component, canon, about, made_for) in self.canons {
            let right = match about {
                ComponentAnyTypeId::Func(id) => {
                    let converted = converter.func(id);
                    let is_for = |signature: &Signature| {
                        made_for.is_some_and(|made_for| made_for.iter().any(|(other, _)| other == signature))
                    };
                    converted.mentions.is_none() || converted.signature.is_ok_and(|signature| is_for(&signature))
                }
                ComponentAnyTypeId::Resource(id) => !package.contains_key(&id.resource()),
                ComponentAnyTypeId::Defined(id) => converter.mentioned(&ComponentValType::Type(id)).is_none(),
                _ => false,
            };
            if !right {
                return Err(Bug::Unsound { component, what: Unsound::NotBridged(canon) }.into());
            }
        }
        Ok(())
    }
}
