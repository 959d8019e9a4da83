//! The type of the ledger's host interface, as rewritten components import it.

use std::collections::BTreeMap;

use wasm_encoder::{
    Alias, ComponentDefinedTypeEncoder, ComponentOuterAliasKind, ComponentTypeRef, ComponentValType as Val,
    InstanceType, PrimitiveValType as Primitive, TypeBounds,
};

use crate::ledger::interface::{Builtin, leave};
use crate::ledger::signature::Kind;

/// An instance's type while it is written.
struct Writer {
    ty: InstanceType,
}

/// The enums of the package, by index in the instance's type. Those that no function mentions are left out.
#[derive(Default)]
struct Enums {
    map: Option<Val>,
    allocate: Option<Val>,
    part: Option<Val>,
    access: Option<Val>,
}

const HANDLE: Val = Val::Primitive(Primitive::U32);
const U32: Val = Val::Primitive(Primitive::U32);
const U64: Val = Val::Primitive(Primitive::U64);

/// The type of the instance: those of the package's functions that are `used`, with `u32` for handles, and their enums;
/// what makes the engine's handles the ledger's, if there are `types` of them in the component, and the other way; and the
/// helpers. Every component of a tree imports it, so what nobody uses would cost each of them.
pub(super) fn interface(used: &[Builtin], types: Option<&BTreeMap<Kind, u32>>) -> InstanceType {
    let mut writer = Writer { ty: InstanceType::new() };
    if let Some(types) = types {
        for kind in Kind::ALL {
            writer.crossing(kind, types.get(&kind).copied());
        }
    }
    writer.interface(used)
}

impl Enums {
    fn map(&mut self, writer: &mut Writer) -> Val {
        *self.map.get_or_insert_with(|| writer.enumeration("map-error", crate::package::MARK))
    }

    fn allocate(&mut self, writer: &mut Writer) -> Val {
        let cases = ["invalid-region-size", "region-over-quota", "regions-exhausted"];
        *self.allocate.get_or_insert_with(|| writer.enumeration("allocate-error", &cases))
    }

    fn part(&mut self, writer: &mut Writer) -> Val {
        let cases = ["part-misaligned", "part-outside-region", "region-over-quota"];
        *self.part.get_or_insert_with(|| writer.enumeration("part-error", &cases))
    }

    fn access(&mut self, writer: &mut Writer) -> Val {
        let cases = ["range-outside-region", "list-too-long"];
        *self.access.get_or_insert_with(|| writer.enumeration("access-error", &cases))
    }
}

impl Writer {
    fn interface(mut self, used: &[Builtin]) -> InstanceType {
        let mut enums = Enums::default();
        for builtin in Builtin::ALL.into_iter().filter(|builtin| used.contains(builtin)) {
            self.builtin(builtin, &mut enums);
        }
        self.helpers();
        self.ty
    }

    /// What gives the engine's handles of one kind, which is a type of that index in the component, or one of
    /// the instance's own.
    fn crossing(&mut self, kind: Kind, known: Option<u32>) {
        let bounds = match known {
            Some(index) => {
                let outer = self.ty.type_count();
                self.ty.alias(Alias::Outer { kind: ComponentOuterAliasKind::Type, count: 1, index });
                TypeBounds::Eq(outer)
            }
            None => TypeBounds::SubResource,
        };
        let resource = self.ty.type_count();
        self.ty.export(kind.package_name(), ComponentTypeRef::Type(bounds));
        let own = self.define(|ty| ty.own(resource));
        self.func(leave(kind), &[("region", U32)], Some(own));
    }

    fn define(&mut self, write: impl FnOnce(ComponentDefinedTypeEncoder<'_>)) -> Val {
        let index = self.ty.type_count();
        write(self.ty.ty().defined_type());
        Val::Type(index)
    }

    fn enumeration(&mut self, name: &str, cases: &[&str]) -> Val {
        let index = self.ty.type_count();
        self.define(|ty| ty.enum_type(cases.iter().copied()));
        self.ty.export(name, ComponentTypeRef::Type(TypeBounds::Eq(index)));
        Val::Type(index + 1)
    }

    fn bytes(&mut self) -> Val {
        self.define(|ty| ty.list(Val::Primitive(Primitive::U8)))
    }

    fn tuple<const N: usize>(&mut self, types: [Val; N]) -> Val {
        self.define(|ty| ty.tuple(types))
    }

    fn result(&mut self, ok: Option<Val>, err: Val) -> Option<Val> {
        Some(self.define(|ty| ty.result(ok, Some(err))))
    }

    fn func(&mut self, name: &str, params: &[(&str, Val)], result: Option<Val>) {
        let index = self.ty.type_count();
        self.ty.ty().function().params(params.iter().copied()).result(result);
        self.ty.export(name, ComponentTypeRef::Func(index));
    }

    fn builtin(&mut self, builtin: Builtin, enums: &mut Enums) {
        let this = ("this", HANDLE);
        let (params, result): (Vec<(&str, Val)>, _) = match builtin {
            Builtin::MappableAllocate => {
                let error = enums.allocate(self);
                (vec![("size", U64)], self.result(Some(HANDLE), error))
            }
            Builtin::MappableSize | Builtin::MappableLen | Builtin::FrozenSize | Builtin::FrozenLen => {
                (vec![this], Some(U64))
            }
            Builtin::MappableSetLen => {
                let error = enums.access(self);
                (vec![this, ("len", U64)], self.result(None, error))
            }
            Builtin::MappableMap
            | Builtin::MappingUnmap
            | Builtin::FrozenMap
            | Builtin::FrozenMapPrivate
            | Builtin::FrozenMappingUnmap => {
                let at = self.bytes();
                let error = enums.map(self);
                let error = self.tuple([HANDLE, error]);
                (vec![this, ("at", at)], self.result(Some(HANDLE), error))
            }
            Builtin::MappableRead | Builtin::FrozenRead => {
                let bytes = self.bytes();
                let error = enums.access(self);
                (vec![this, ("offset", U64), ("len", U32)], self.result(Some(bytes), error))
            }
            Builtin::MappableWrite => {
                let bytes = self.bytes();
                let error = enums.access(self);
                (vec![this, ("offset", U64), ("bytes", bytes)], self.result(None, error))
            }
            Builtin::MappableFreeze => (vec![this], Some(HANDLE)),
            Builtin::MappableSplit => {
                let parts = self.tuple([HANDLE; 2]);
                let error = enums.part(self);
                let error = self.tuple([HANDLE, error]);
                (vec![this, ("at", U64)], self.result(Some(parts), error))
            }
            Builtin::MappableJoin => {
                let parts = self.tuple([HANDLE; 2]);
                (vec![("low", HANDLE), ("high", HANDLE)], self.result(Some(HANDLE), parts))
            }
            Builtin::FrozenClone | Builtin::FrozenCopy => {
                let error = enums.allocate(self);
                (vec![this], self.result(Some(HANDLE), error))
            }
            Builtin::FrozenSlice => {
                let error = enums.part(self);
                (vec![this, ("offset", U64), ("size", U64)], self.result(Some(HANDLE), error))
            }
            Builtin::FrozenThaw => (vec![this], self.result(Some(HANDLE), HANDLE)),
        };
        self.func(&builtin.ledger_name(), &params, result);
    }

    fn helpers(&mut self) {
        let bytes = self.bytes();
        self.func("join", &[("memory", bytes), ("name", bytes)], Some(U32));
        self.func("more", &[("table", U32)], None);
        self.func("drop", &[("region", U32), ("kind", U32)], None);
        self.func("fail", &[("table", U32), ("code", U32), ("first", U32), ("second", U32)], None);
        self.func("memory-number", &[("memory", bytes)], Some(U32));
        self.func("window", &[("table", U32), ("memory", bytes)], None);
        self.func("free-bounce", &[], None);
    }
}
