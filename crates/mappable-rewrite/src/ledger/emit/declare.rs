//! Types where they stand: those of a component, and what an instance's type declares.

use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{ComponentTypeRef as NewRef, InstanceType, TypeBounds as NewBounds};
use wasmparser::{
    ComponentAlias, ComponentExternalKind as Kind, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    InstanceTypeDeclaration, TypeBounds,
};

use super::scope::{Body, Scope, Type, What};
use super::{EmitResult, Emitter, user};
use crate::error::broken;
use crate::ledger::analysis::Version;

impl<'a> Emitter<'a> {
    /// A type of a component.
    pub(super) fn component_type_at_top(&mut self, ty: ComponentType<'a>) -> EmitResult {
        let depth = self.depth()?;
        let ty = match ty {
            ComponentType::Instance(declarations) => {
                let number = u32::try_from(self.scopes.last().map_or(0, |scope| scope.types.len())).unwrap_or(u32::MAX);
                let instance = self.instance_type(number, declarations)?;
                let (new, encoder) = self.encoder(depth)?;
                encoder.instance(&instance);
                Type::new(new, What::One)
            }
            other => self.type_of(depth, other)?,
        };
        self.push_type(depth, ty)
    }

    /// A type of a component or of an instance's type.
    fn type_of(&mut self, depth: usize, ty: ComponentType<'a>) -> EmitResult<Type<'a>> {
        let new = match ty {
            ComponentType::Defined(ty) => return self.define(depth, &ty),
            ComponentType::Func(ty) => return self.define_func(depth, ty),
            ComponentType::Component(declarations) => {
                let ty = self.component_type(declarations)?;
                let (new, encoder) = self.encoder(depth)?;
                encoder.component(&ty);
                new
            }
            ComponentType::Instance(declarations) => {
                let ty = self.component_instance_type(declarations)?;
                let (new, encoder) = self.encoder(depth)?;
                encoder.instance(&ty);
                new
            }
            ComponentType::Resource { rep, dtor } => {
                let rep = self.val_type(rep)?;
                self.named(dtor)?;
                let dtor = dtor.map(|func| self.function_index(func)).transpose()?;
                let (new, encoder) = self.encoder(depth)?;
                encoder.resource(rep, dtor);
                new
            }
        };
        self.found()?;
        Ok(Type::new(new, What::One))
    }

    /// The next type of a scope.
    pub(super) fn push_type(&mut self, depth: usize, ty: Type<'a>) -> EmitResult {
        let scope = self.scopes.get_mut(depth).ok_or_else(|| user(broken!("a type is outside of any component")))?;
        scope.types.push(ty);
        Ok(())
    }

    /// An instance's type, which is type `number` of the component around it.
    fn instance_type(
        &mut self,
        number: u32,
        declarations: Box<[InstanceTypeDeclaration<'a>]>,
    ) -> EmitResult<InstanceType> {
        let roles = self.roles()?;
        self.scopes.push(Scope::new(Body::Instance(InstanceType::new())));
        let depth = self.depth()?;
        for declaration in Vec::from(declarations) {
            match declaration {
                InstanceTypeDeclaration::CoreType(ty) => {
                    let mut instance = self.take_instance_type()?;
                    self.parse_component_core_type(instance.core_type(), ty)?;
                    self.put_instance_type(instance)?;
                }
                InstanceTypeDeclaration::Type(ty) => {
                    let ty = self.type_of(depth, ty)?;
                    self.push_type(depth, ty)?;
                }
                InstanceTypeDeclaration::Alias(alias) => self.alias_in_type(depth, alias)?,
                InstanceTypeDeclaration::Export { name, ty } => {
                    let version = roles.closed_exports.get(&number).and_then(|exports| exports.get(name.name));
                    let new = self.type_ref(depth, ty, version.cloned().unwrap_or_default())?;
                    let mut instance = self.take_instance_type()?;
                    let index = instance.type_count();
                    instance.export(name, new);
                    self.put_instance_type(instance)?;
                    if let ComponentTypeRef::Type(bounds) = ty {
                        let ty = self.bound(depth, bounds, index)?;
                        self.push_type(depth, ty)?;
                    }
                }
            }
        }
        let instance = self.take_instance_type()?;
        self.scopes.pop();
        Ok(instance)
    }

    /// The instance's type that is the innermost scope, for as long as the pass writes to it.
    fn take_instance_type(&mut self) -> EmitResult<InstanceType> {
        match self.scopes.last_mut().map(|scope| &mut scope.body) {
            Some(Body::Instance(ty)) => Ok(std::mem::replace(ty, InstanceType::new())),
            _ => Err(user(broken!("a declaration is outside of an instance's type"))),
        }
    }

    fn put_instance_type(&mut self, instance: InstanceType) -> EmitResult {
        match self.scopes.last_mut().map(|scope| &mut scope.body) {
            Some(Body::Instance(ty)) => *ty = instance,
            _ => return Err(user(broken!("a declaration is outside of an instance's type"))),
        }
        self.found()
    }

    fn alias_in_type(&mut self, depth: usize, alias: ComponentAlias<'a>) -> EmitResult {
        if let ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, count, index } = alias {
            return self.alias_type(depth, count, index);
        }
        let is_type = matches!(alias, ComponentAlias::InstanceExport { kind: Kind::Type, .. });
        let new = self.component_alias(alias)?;
        let mut instance = self.take_instance_type()?;
        let index = instance.type_count();
        instance.alias(new);
        self.put_instance_type(instance)?;
        if is_type {
            self.push_type(depth, Type::new(index, What::One))?;
        }
        Ok(())
    }

    /// An alias of a type further out.
    pub(super) fn alias_type(&mut self, depth: usize, count: u32, index: u32) -> EmitResult {
        let outer = self.outer_depth(depth, count)?;
        let ty = self.type_at(outer, index)?;
        let original = ty.original;
        let new = self.alias_outer_type(depth, count, original)?;
        self.push_type(depth, Type::new(new, What::Outer { count, index }))
    }

    /// The new form of a reference to a type.
    pub(super) fn type_ref(&mut self, depth: usize, ty: ComponentTypeRef, version: Version) -> EmitResult<NewRef> {
        Ok(match ty {
            ComponentTypeRef::Func(index) => NewRef::Func(self.version(depth, index, version)?),
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => {
                NewRef::Type(NewBounds::Eq(self.type_at(depth, index)?.original))
            }
            other => self.component_type_ref(other)?,
        })
    }

    /// The type that an import or export of a type adds, given its new index.
    pub(super) fn bound(&mut self, depth: usize, bounds: TypeBounds, new: u32) -> EmitResult<Type<'a>> {
        match bounds {
            TypeBounds::Eq(index) => self.name(depth, index, new),
            TypeBounds::SubResource => Ok(Type::new(new, What::One)),
        }
    }
}
