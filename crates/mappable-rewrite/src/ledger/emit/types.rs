//! The versions of a function's type: the original, and the closed one, in which a value with handles of ours, or one that
//! goes by window, is of a type without names. All other types have one version.
//!
//! Originals are written where they stand, others when something first asks for them, in the scope where the type is.

use std::collections::BTreeMap;

use wasm_encoder::{
    Alias, ComponentDefinedTypeEncoder, ComponentFuncTypeEncoder, ComponentOuterAliasKind, ComponentTypeEncoder,
    ComponentValType as NewVal, PrimitiveValType,
};
use wasmparser::{ComponentDefinedType as Defined, ComponentFuncType, ComponentValType as Val};

use super::scope::{Body, Type, What};
use super::{EmitResult, Emitter, user};
use crate::error::{ReadError, broken};
use crate::ledger::analysis::Version;
use crate::ledger::signature::{Signature, Value};
use crate::tree::read::MAX_DEPTH;

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
        let original = ty.original;
        let Version::Closed(signature, lists) = &version else { return Ok(original) };
        if let Some(written) = ty.closed {
            return Ok(written);
        }
        let new = match ty.what.clone() {
            What::Outer { count, index } => {
                let outer = self.outer_depth(depth, count)?;
                let index = self.version_within(outer, index, version, nesting + 1)?;
                self.alias_outer_type(depth, count, index)?
            }
            What::Same(of) => self.version_within(depth, of, version, nesting + 1)?,
            What::Func(ty) => self.put_func(depth, &ty, Some((signature, *lists)))?,
            What::One => original,
        };
        if let Some(ty) = self.scopes.get_mut(depth).and_then(|scope| scope.types.get_mut(index as usize)) {
            ty.closed = Some(new);
        }
        Ok(new)
    }

    /// A new name of a type: its versions, given the new index of the name.
    pub(super) fn name(&self, depth: usize, index: u32, new: u32) -> EmitResult<Type<'a>> {
        Ok(match self.type_at(depth, index)?.what {
            What::One => Type::new(new, What::One),
            _ => Type::new(new, What::Same(index)),
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

    /// The type of a value that takes the place of another, in the scope at `depth`: one without names.
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

    /// Writes a defined type of the scope at `depth` as it stands.
    pub(super) fn define(&mut self, depth: usize, ty: &Defined<'a>) -> EmitResult<Type<'a>> {
        let original = |part| Ok((part, self.type_at(depth, part)?.original));
        let originals = parts(ty).into_iter().map(original).collect::<EmitResult<_>>()?;
        let (new, encoder) = self.encoder(depth)?;
        encode(encoder.defined_type(), ty, &originals);
        Ok(Type::new(new, What::One))
    }

    /// Likewise, of a function's type.
    pub(super) fn define_func(&mut self, depth: usize, ty: ComponentFuncType<'a>) -> EmitResult<Type<'a>> {
        let new = self.put_func(depth, &ty, None)?;
        Ok(Type::new(new, What::Func(ty)))
    }

    /// With what takes the place of values of the signature's, if there is one.
    fn put_func(
        &mut self,
        depth: usize,
        ty: &ComponentFuncType<'_>,
        closed: Option<(&Signature, bool)>,
    ) -> EmitResult<u32> {
        let mut originals = BTreeMap::new();
        for index in ty.params.iter().map(|(_, ty)| *ty).chain(ty.result).filter_map(index_of) {
            originals.insert(index, self.type_at(depth, index)?.original);
        }
        let (sent, returned) = closed.map(|(signature, lists)| signature.erased_values(lists)).unwrap_or_default();
        let mut value = |ty: Val, erased: Option<&Value>| match erased {
            Some(erased) => self.erased(depth, erased),
            None => Ok(value_of(ty, &originals)),
        };
        let params = ty.params.iter().enumerate();
        let params = params.map(|(nth, (name, ty))| Ok((*name, value(*ty, sent.get(nth).and_then(Option::as_ref))?)));
        let params = params.collect::<EmitResult<Vec<_>>>()?;
        let result = ty.result.map(|ty| value(ty, returned.as_ref())).transpose()?;
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
