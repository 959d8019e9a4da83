//! The validator's types as signatures, and whether they mention ours.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::rc::Rc;

use wasmparser::component_types::{
    ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentFuncTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

use crate::ledger::signature::{Kind, Signature, Value};
use crate::tree::shape::Occurrences;

/// How many types within types are looked at for one function, and for all.
pub(crate) const MAX_NODES: usize = 10_000;
const MAX_ALL_NODES: usize = 1 << 22;

/// How deep types may be nested.
const MAX_DEPTH: usize = 100;
const TOO_LARGE: &str = "is of a type that is too large";

/// What a function's type is to the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Converted {
    /// The signature, or why there is none. Equal ones of a converter are one.
    pub(crate) signature: Result<Rc<Signature>, &'static str>,
    /// Whether calls of it may be async.
    pub(crate) is_async: bool,
    /// A kind of handle of ours that is in it, streams and futures too.
    pub(crate) mentions: Option<Kind>,
}

/// What the type of a value with a handle of ours is to the ledger.
#[derive(Clone, Debug)]
pub(crate) struct ConvertedValue {
    /// The value, or why there is none. Equal ones of a converter are one.
    pub(crate) value: Result<Rc<Value>, &'static str>,
    /// Whether a handle of ours is in that.
    pub(crate) has_handles: bool,
    /// A kind of handle of ours that is in it, streams and futures too.
    pub(crate) mentions: Kind,
}

/// The types that were converted.
#[derive(Default)]
pub(crate) struct Conversions {
    pub(crate) funcs: HashMap<ComponentFuncTypeId, Converted>,
    /// `None` where no handle of ours is in it.
    pub(crate) values: HashMap<ComponentDefinedTypeId, Option<ConvertedValue>>,
}

/// Converts types, each once.
pub(crate) struct Converter<'t, K> {
    types: TypesRef<'t>,
    /// Which resources are ours.
    kind: K,
    converted: Conversions,
    /// A kind of handle of ours that is in a type.
    mentions: Occurrences<Kind>,
    signatures: HashSet<Rc<Signature>>,
    values: HashSet<Rc<Value>>,
    /// How many types are looked at for a function at the most, and how many more for this one and for all.
    max: usize,
    left: usize,
    depth: usize,
    all_left: usize,
}

impl<'t, K: FnMut(ResourceId) -> Option<Kind>> Converter<'t, K> {
    pub(crate) fn new(types: TypesRef<'t>, kind: K) -> Self {
        Self::up_to(MAX_NODES, MAX_ALL_NODES, types, kind)
    }

    /// A converter of the output's types. A list that goes by window is three types there, and may be two in the input.
    pub(crate) fn of_output(types: TypesRef<'t>, kind: K) -> Self {
        Self::up_to(MAX_NODES / 2 * 3, MAX_ALL_NODES / 2 * 3, types, kind)
    }

    fn up_to(max: usize, all_left: usize, types: TypesRef<'t>, kind: K) -> Self {
        let (converted, mentions) = (Conversions::default(), Occurrences::default());
        let (signatures, values) = (HashSet::new(), HashSet::new());
        Converter { types, kind, converted, mentions, signatures, values, max, left: 0, depth: 0, all_left }
    }

    /// What was converted. `None` if that was too much.
    pub(crate) fn finish(self) -> Option<Conversions> {
        (self.all_left > 0).then_some(self.converted)
    }

    pub(crate) fn func(&mut self, id: ComponentFuncTypeId) -> Converted {
        if let Some(known) = self.converted.funcs.get(&id) {
            return known.clone();
        }
        let converted = match self.types.get(id) {
            Some(ty) => {
                let mut mentions = None;
                for ty in ty.params.iter().map(|(_, ty)| ty).chain(&ty.result) {
                    mentions = mentions.or_else(|| self.mentioned(ty));
                }
                self.left = self.max.min(self.all_left);
                let before = self.left;
                let params = ty.params.iter().map(|(_, ty)| self.value_of(ty)).collect();
                let result = ty.result.as_ref().map(|ty| self.value_of(ty)).transpose();
                self.all_left -= before - self.left;
                let signature = match (params, result) {
                    (Ok(params), Ok(result)) => Ok(Self::one(&mut self.signatures, Signature { params, result })),
                    (Err(why), _) | (_, Err(why)) => Err(why),
                };
                Converted { signature, is_async: ty.async_, mentions }
            }
            None => Converted { signature: Err("is of an unknown type"), is_async: false, mentions: None },
        };
        self.converted.funcs.insert(id, converted.clone());
        converted
    }

    /// A value's type. `None` if no handle of ours is in it.
    pub(crate) fn value(&mut self, id: ComponentDefinedTypeId) -> Option<ConvertedValue> {
        if let Some(known) = self.converted.values.get(&id) {
            return known.clone();
        }
        let ty = ComponentValType::Type(id);
        let converted = self.mentioned(&ty).map(|mentions| {
            self.left = self.max.min(self.all_left);
            let before = self.left;
            let value = self.value_of(&ty).map(|value| Self::one(&mut self.values, value));
            self.all_left -= before - self.left;
            let has_handles = value.as_ref().is_ok_and(|value| value.has_handles());
            ConvertedValue { value, has_handles, mentions }
        });
        self.converted.values.insert(id, converted.clone());
        converted
    }

    fn value_of(&mut self, ty: &ComponentValType) -> Result<Value, &'static str> {
        if self.depth >= MAX_DEPTH {
            return Err(TOO_LARGE);
        }
        self.depth += 1;
        let value = self.shallow_value(ty);
        self.depth -= 1;
        value
    }

    fn shallow_value(&mut self, ty: &ComponentValType) -> Result<Value, &'static str> {
        self.left = self.left.checked_sub(1).ok_or(TOO_LARGE)?;
        let id = match ty {
            ComponentValType::Primitive(primitive) => return Ok(Value::of_primitive(*primitive)),
            ComponentValType::Type(id) => *id,
        };
        Ok(match self.types.get(id).ok_or("is of an unknown type")? {
            Defined::Primitive(primitive) => Value::of_primitive(*primitive),
            Defined::Record(record) => Value::Record(self.values(record.fields.values())?),
            Defined::Tuple(tuple) => Value::Record(self.values(tuple.types.iter())?),
            Defined::Variant(variant) => {
                Value::Variant(self.cases(variant.cases.values().map(|case| case.ty.as_ref()))?)
            }
            Defined::Enum(cases) => Value::Variant(self.cases(cases.iter().map(|_| None))?),
            Defined::Option { ty, .. } => Value::Variant(self.cases([None, Some(ty)].into_iter())?),
            Defined::Result { ok, err, .. } => Value::Variant(self.cases([ok.as_ref(), err.as_ref()].into_iter())?),
            Defined::List { element, .. } => Value::List(Box::new(self.value_of(element)?)),
            Defined::Flags(labels) => Value::Flags(labels.len() as u32),
            Defined::Own(id) => (self.kind)(id.resource()).map_or(Value::Other, Value::Own),
            Defined::Borrow(id) => (self.kind)(id.resource()).map_or(Value::Other, Value::Borrow),
            Defined::FixedLengthList { element, length, .. } => {
                let element = self.value_of(element)?;
                let nodes = element.nodes().saturating_mul(*length as usize);
                self.left = self.left.checked_sub(nodes).ok_or(TOO_LARGE)?;
                Value::Record(vec![element; *length as usize])
            }
            Defined::Map { key, value, .. } => {
                let entry = vec![self.value_of(key)?, self.value_of(value)?];
                Value::List(Box::new(Value::Record(entry)))
            }
            Defined::Future { .. } | Defined::Stream { .. } => Value::Other,
        })
    }

    fn values<'v>(&mut self, all: impl Iterator<Item = &'v ComponentValType>) -> Result<Vec<Value>, &'static str> {
        all.map(|ty| self.value_of(ty)).collect()
    }

    fn cases<'v>(
        &mut self,
        all: impl Iterator<Item = Option<&'v ComponentValType>>,
    ) -> Result<Vec<Option<Value>>, &'static str> {
        let mut cases = Vec::new();
        for case in all {
            self.left = self.left.checked_sub(1).ok_or(TOO_LARGE)?;
            cases.push(case.map(|ty| self.value_of(ty)).transpose()?);
        }
        Ok(cases)
    }

    /// A kind of handle of ours that is anywhere in a type, in streams and futures too.
    pub(crate) fn mentioned(&mut self, ty: &ComponentValType) -> Option<Kind> {
        let Self { types, kind, mentions, .. } = self;
        mentions.within(*types, ty, |ty| match ty {
            Some(Defined::Own(id) | Defined::Borrow(id)) => kind(id.resource()),
            _ => None,
        })
    }

    /// One of all that are equal.
    fn one<T: Eq + Hash>(all: &mut HashSet<Rc<T>>, new: T) -> Rc<T> {
        if let Some(known) = all.get(&new) {
            return Rc::clone(known);
        }
        let new = Rc::new(new);
        all.insert(Rc::clone(&new));
        new
    }
}
