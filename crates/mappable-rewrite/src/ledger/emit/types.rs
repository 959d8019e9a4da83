//! The versions of a type: the original, the closed one with `u32` for each handle of ours, and, of a function, the one
//! with two `u32` for each list that goes by window too.
//!
//! Originals are written where they stand, others when something first asks for them, in the scope where the type is.

use std::collections::BTreeMap;

use wasm_encoder::{
    Alias, ComponentDefinedTypeEncoder, ComponentFuncTypeEncoder, ComponentOuterAliasKind, ComponentTypeEncoder,
    ComponentValType as NewVal, PrimitiveValType,
};
use wasmparser::{ComponentDefinedType as Defined, ComponentFuncType, ComponentValType as Val};

use super::scope::{Body, Type, TypeFacts, What};
use super::{EmitResult, Emitter, user};
use crate::error::{ReadError, broken};
use crate::ledger::analysis::Version;
use crate::ledger::signature::{Signature, Value};
use crate::tree::read::MAX_DEPTH;

/// The closed version of anything but a function's type.
pub(super) const CLOSED: Version = Version::Closed;

impl<'a> Emitter<'a> {
    /// The type at `index` of the scope at `depth`.
    pub(super) fn type_at(&self, depth: usize, index: u32) -> EmitResult<&Type<'a>> {
        let ty = self.scopes.get(depth).and_then(|scope| scope.types.get(usize::try_from(index).ok()?));
        ty.ok_or_else(|| user(broken!("type {index} is named and was not read")))
    }

    /// Where in the scopes an outer alias counts to, from the scope at `depth`.
    pub(super) fn outer_depth(&self, depth: usize, count: u32) -> EmitResult<usize> {
        let outer = usize::try_from(count).ok().and_then(|count| depth.checked_sub(count));
        outer.ok_or_else(|| user(broken!("an alias reaches out of the tree")))
    }

    /// The new index of a version of the type at `index` of the scope at `depth`, which is written if it has to be.
    pub(super) fn version(&mut self, depth: usize, index: u32, version: Version) -> EmitResult<u32> {
        self.version_within(depth, index, version, 0)
    }

    fn version_within(&mut self, depth: usize, index: u32, version: Version, nesting: usize) -> EmitResult<u32> {
        // Deeper than that no engine takes a type.
        if nesting > 2 * MAX_DEPTH {
            return Err(user(ReadError::TooDeep { limit: MAX_DEPTH }.into()));
        }
        let ty = self.type_at(depth, index)?;
        let written = match version {
            Version::Original => Some(ty.original),
            Version::Windowed(_) => ty.windowed,
            _ if ty.facts.handles => ty.closed,
            _ => Some(ty.original),
        };
        if let Some(written) = written {
            return Ok(written);
        }
        let (original, what) = (ty.original, ty.what.clone());
        let windowed = matches!(version, Version::Windowed(_));
        let new = match what {
            What::Outer { count, index } => {
                let outer = self.outer_depth(depth, count)?;
                let index = self.version_within(outer, index, version, nesting + 1)?;
                self.alias_outer_type(depth, count, index)?
            }
            What::Same(of) => self.version_within(depth, of, version, nesting + 1)?,
            What::Defined(ty) => {
                let parts = self.parts(depth, parts(&ty), nesting)?;
                self.put_defined(depth, &ty, &parts, true)?
            }
            What::Func(ty) => {
                let values = ty.params.iter().map(|(_, ty)| *ty).chain(ty.result);
                let parts = self.parts(depth, values.filter_map(index_of).collect(), nesting)?;
                let signature = match &version {
                    Version::Windowed(signature) => Some(&**signature),
                    _ => None,
                };
                self.put_func(depth, &ty, &parts, signature)?
            }
            What::One => original,
        };
        if let Some(ty) = self.scopes.get_mut(depth).and_then(|scope| scope.types.get_mut(index as usize)) {
            *(if windowed { &mut ty.windowed } else { &mut ty.closed }) = Some(new);
        }
        Ok(new)
    }

    /// What a new name of a type names: the one version there is of named values, the original of everything else.
    pub(super) fn named(&mut self, depth: usize, index: u32) -> EmitResult<u32> {
        let version = if self.type_at(depth, index)?.facts.func { Version::Original } else { CLOSED };
        self.version(depth, index, version)
    }

    /// A new name of a type: its versions, given the new index of the name.
    pub(super) fn name(&self, depth: usize, index: u32, new: u32) -> EmitResult<Type<'a>> {
        let facts = self.type_at(depth, index)?.facts;
        Ok(if facts.func {
            Type::new(new, facts, What::Same(index))
        } else {
            Type::new(new, TypeFacts { handles: false, ..facts }, What::One)
        })
    }

    /// Writes an alias of a type further out, by its new index there.
    pub(super) fn alias_outer_type(&mut self, depth: usize, count: u32, index: u32) -> EmitResult<u32> {
        let alias = Alias::Outer { kind: ComponentOuterAliasKind::Type, count, index };
        match self.scopes.get_mut(depth).map(|scope| &mut scope.body) {
            Some(Body::Component(body)) => Ok(body.sections.alias(alias)),
            Some(Body::Instance(ty)) => {
                ty.alias(alias);
                Ok(ty.type_count().saturating_sub(1))
            }
            _ => Err(user(broken!("a version of a type that is copied is asked for"))),
        }
    }

    /// The next type of the scope at `depth`.
    pub(super) fn encoder(&mut self, depth: usize) -> EmitResult<(u32, ComponentTypeEncoder<'_>)> {
        match self.scopes.get_mut(depth).map(|scope| &mut scope.body) {
            Some(Body::Component(body)) => Ok(body.sections.ty()),
            Some(Body::Instance(ty)) => Ok((ty.type_count(), ty.ty())),
            _ => Err(user(broken!("a version of a type that is copied is asked for"))),
        }
    }

    /// What takes the place of a value that goes by window, in the scope at `depth`: a type without names.
    fn erased(&mut self, depth: usize, value: &Value) -> EmitResult<NewVal> {
        let primitive = match value {
            Value::Bool => Some(PrimitiveValType::Bool),
            Value::U8 => Some(PrimitiveValType::U8),
            Value::S8 => Some(PrimitiveValType::S8),
            Value::U16 => Some(PrimitiveValType::U16),
            Value::S16 => Some(PrimitiveValType::S16),
            Value::U32 => Some(PrimitiveValType::U32),
            Value::S32 => Some(PrimitiveValType::S32),
            Value::U64 => Some(PrimitiveValType::U64),
            Value::S64 => Some(PrimitiveValType::S64),
            Value::F32 => Some(PrimitiveValType::F32),
            Value::F64 => Some(PrimitiveValType::F64),
            Value::Char => Some(PrimitiveValType::Char),
            Value::String => Some(PrimitiveValType::String),
            _ => None,
        };
        if let Some(primitive) = primitive {
            return Ok(NewVal::Primitive(primitive));
        }
        let known = self.scopes.get(depth).and_then(|scope| scope.erased.get(value));
        if let Some(known) = known {
            return Ok(NewVal::Type(*known));
        }
        let parts: Vec<&Value> = match value {
            Value::List(element) => vec![element],
            Value::Record(fields) => fields.iter().collect(),
            Value::Variant(cases) => cases.iter().flatten().collect(),
            _ => Vec::new(),
        };
        let mut parts =
            parts.into_iter().map(|part| self.erased(depth, part)).collect::<EmitResult<Vec<_>>>()?.into_iter();
        let (new, encoder) = self.encoder(depth)?;
        let encoder = encoder.defined_type();
        match value {
            Value::List(_) => encoder.list(parts.next().unwrap_or(NewVal::Type(u32::MAX))),
            Value::Record(_) => encoder.tuple(parts),
            Value::Variant(cases) if let [ok, error] = &cases[..] => {
                let mut part = |case: &Option<Value>| case.as_ref().and_then(|_| parts.next());
                encoder.result(part(ok), part(error));
            }
            other => return Err(user(broken!("{other:?} has no form without names"))),
        }
        if let Some(scope) = self.scopes.get_mut(depth) {
            scope.erased.insert(value.clone(), new);
        }
        Ok(NewVal::Type(new))
    }

    /// Closed versions by old index.
    fn parts(&mut self, depth: usize, parts: Vec<u32>, nesting: usize) -> EmitResult<BTreeMap<u32, u32>> {
        let close = |part| Ok((part, self.version_within(depth, part, CLOSED, nesting + 1)?));
        parts.into_iter().map(close).collect()
    }

    /// Writes a defined type of the scope at `depth` as it stands, notes it, and what is known of it.
    pub(super) fn define(&mut self, depth: usize, ty: Defined<'a>) -> EmitResult<Type<'a>> {
        let original = |part| Ok((part, self.type_at(depth, part)?.original));
        let originals = parts(&ty).into_iter().map(original).collect::<EmitResult<_>>()?;
        let facts = self.facts_of(depth, &ty)?;
        let new = self.put_defined(depth, &ty, &originals, false)?;
        Ok(Type::new(new, facts, What::Defined(ty)))
    }

    /// Likewise, of a function's type.
    pub(super) fn define_func(&mut self, depth: usize, ty: ComponentFuncType<'a>) -> EmitResult<Type<'a>> {
        let mut facts = TypeFacts { func: true, ..TypeFacts::default() };
        let mut originals = BTreeMap::new();
        for value in ty.params.iter().map(|(_, ty)| *ty).chain(ty.result) {
            if let Val::Type(index) = value {
                let ty = self.type_at(depth, index)?;
                originals.insert(index, ty.original);
                facts.handles |= ty.facts.handles;
            }
        }
        let new = self.put_func(depth, &ty, &originals, None)?;
        Ok(Type::new(new, facts, What::Func(ty)))
    }

    fn facts_of(&self, depth: usize, ty: &Defined<'_>) -> EmitResult<TypeFacts> {
        let mut facts = TypeFacts::default();
        for part in parts(ty) {
            let part = self.type_at(depth, part)?.facts;
            facts.handles |= part.handles || part.kind.is_some();
        }
        Ok(facts)
    }

    fn put_defined(
        &mut self,
        depth: usize,
        ty: &Defined<'_>,
        parts: &BTreeMap<u32, u32>,
        closed: bool,
    ) -> EmitResult<u32> {
        let handle = match ty {
            Defined::Own(resource) | Defined::Borrow(resource) => self.type_at(depth, *resource)?.facts.kind.is_some(),
            _ => false,
        };
        let (new, encoder) = self.encoder(depth)?;
        if closed && handle {
            encoder.defined_type().primitive(PrimitiveValType::U32);
        } else {
            encode(encoder.defined_type(), ty, parts);
        }
        Ok(new)
    }

    /// With other types for what goes by window, if it has such a signature.
    fn put_func(
        &mut self,
        depth: usize,
        ty: &ComponentFuncType<'_>,
        parts: &BTreeMap<u32, u32>,
        signature: Option<&Signature>,
    ) -> EmitResult<u32> {
        let sent =
            signature.filter(|signature| signature.sends_by_window()).map_or(&[][..], |signature| &signature.params);
        let returned = signature.and_then(|signature| signature.result.as_ref());
        let mut value = |ty: Val, value: Option<&Value>| match value.filter(|value| value.goes_by_window()) {
            Some(value) => self.erased(depth, &value.erased()),
            None => Ok(value_of(ty, parts)),
        };
        let params = ty.params.iter().enumerate();
        let params = params.map(|(nth, (name, ty))| Ok((*name, value(*ty, sent.get(nth))?)));
        let params = params.collect::<EmitResult<Vec<_>>>()?;
        let result = ty.result.map(|ty| value(ty, returned)).transpose()?;
        let (new, encoder) = self.encoder(depth)?;
        let mut func: ComponentFuncTypeEncoder<'_> = encoder.function();
        func.async_(ty.async_).params(params).result(result);
        Ok(new)
    }
}

fn index_of(value: Val) -> Option<u32> {
    match value {
        Val::Type(index) => Some(index),
        Val::Primitive(_) => None,
    }
}

fn value_of(value: Val, parts: &BTreeMap<u32, u32>) -> NewVal {
    match value {
        Val::Primitive(primitive) => NewVal::Primitive(primitive.into()),
        Val::Type(index) => NewVal::Type(parts.get(&index).copied().unwrap_or(u32::MAX)),
    }
}

/// The types that a type is directly made of.
fn parts(ty: &Defined<'_>) -> Vec<u32> {
    let several = |values: &mut dyn Iterator<Item = Val>| values.filter_map(index_of).collect();
    match ty {
        Defined::Primitive(_) | Defined::Flags(_) | Defined::Enum(_) => Vec::new(),
        Defined::Record(fields) => several(&mut fields.iter().map(|(_, ty)| *ty)),
        Defined::Variant(cases) => several(&mut cases.iter().filter_map(|case| case.ty)),
        Defined::Tuple(types) => several(&mut types.iter().copied()),
        Defined::List(ty) | Defined::FixedLengthList(ty, _) | Defined::Option(ty) => several(&mut [*ty].into_iter()),
        Defined::Map(key, value) => several(&mut [*key, *value].into_iter()),
        Defined::Result { ok, err } => several(&mut ok.iter().chain(err).copied()),
        Defined::Own(resource) | Defined::Borrow(resource) => vec![*resource],
        Defined::Future(ty) | Defined::Stream(ty) => several(&mut ty.iter().copied()),
    }
}

fn encode(encoder: ComponentDefinedTypeEncoder<'_>, ty: &Defined<'_>, parts: &BTreeMap<u32, u32>) {
    let value = |ty: &Val| value_of(*ty, parts);
    let some = |ty: &Option<Val>| ty.as_ref().map(value);
    let resource = |index: &u32| parts.get(index).copied().unwrap_or(u32::MAX);
    match ty {
        Defined::Primitive(primitive) => encoder.primitive((*primitive).into()),
        Defined::Record(fields) => encoder.record(fields.iter().map(|(name, ty)| (*name, value(ty)))),
        Defined::Variant(cases) => encoder.variant(cases.iter().map(|case| (case.name, some(&case.ty)))),
        Defined::List(ty) => encoder.list(value(ty)),
        Defined::Map(key, of) => encoder.map(value(key), value(of)),
        Defined::FixedLengthList(ty, length) => encoder.fixed_length_list(value(ty), *length),
        Defined::Tuple(types) => encoder.tuple(types.iter().map(value)),
        Defined::Flags(names) => encoder.flags(names.iter().copied()),
        Defined::Enum(names) => encoder.enum_type(names.iter().copied()),
        Defined::Option(ty) => encoder.option(value(ty)),
        Defined::Result { ok, err } => encoder.result(some(ok), some(err)),
        Defined::Own(index) => encoder.own(resource(index)),
        Defined::Borrow(index) => encoder.borrow(resource(index)),
        Defined::Future(ty) => encoder.future(some(ty)),
        Defined::Stream(ty) => encoder.stream(some(ty)),
    }
}
