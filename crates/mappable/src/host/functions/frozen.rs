//! The functions on a reference to a frozen region.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};

use super::super::mappable_view::MappableView;
use super::mappable::read;
use super::{give, owned};
use crate::region::{Frozen, Mappable};

type Reference = Resource<Frozen>;

pub(super) fn add<T: MappableView + 'static>(types: &mut LinkerInstance<'_, T>) -> wasmtime::Result<()> {
    types.func_wrap("[method]frozen.size", |mut store: StoreContextMut<'_, T>, (this,): (Reference,)| {
        Ok((store.data_mut().mappable().known_frozen(this.rep())?.size(),))
    })?;
    types.func_wrap("[method]frozen.len", |mut store: StoreContextMut<'_, T>, (this,): (Reference,)| {
        Ok((store.data_mut().mappable().known_frozen(this.rep())?.len(),))
    })?;
    types.func_wrap("[method]frozen.clone", |mut store: StoreContextMut<'_, T>, (this,): (Reference,)| {
        let answer = store.data_mut().mappable().clone_frozen(this.rep())?;
        Ok((answer.map(give::<Frozen>),))
    })?;
    types.func_wrap(
        "[method]frozen.slice",
        |mut store: StoreContextMut<'_, T>, (this, offset, size): (Reference, u64, u64)| {
            let answer = store.data_mut().mappable().slice(this.rep(), offset, size)?;
            Ok((answer.map(give::<Frozen>),))
        },
    )?;
    types.func_wrap("[static]frozen.thaw", |mut store: StoreContextMut<'_, T>, (this,): (Reference,)| {
        let rep = owned(&this)?;
        let answer = store.data_mut().mappable().thaw(rep)?;
        Ok((answer.map(give::<Mappable>).map_err(give::<Frozen>),))
    })?;
    types.func_wrap("[method]frozen.copy", |mut store: StoreContextMut<'_, T>, (this,): (Reference,)| {
        let answer = store.data_mut().mappable().copy(this.rep())?;
        Ok((answer.map(give::<Mappable>),))
    })?;
    types.func_wrap(
        "[method]frozen.read",
        |mut store: StoreContextMut<'_, T>, (this, offset, len): (Reference, u64, u32)| {
            let frozen = store.data_mut().mappable().known_frozen(this.rep())?;
            Ok((read(frozen.size(), offset, len, |into| frozen.read(offset, into))?,))
        },
    )
}
