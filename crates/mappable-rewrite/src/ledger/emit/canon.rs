//! Canonical functions, by role: a wrapper behind each lower and before each lift that needs one, a guard around what
//! the engine calls back, a may-leave check before what that may not call.

use std::rc::Rc;

use wasm_encoder::CanonicalOption as NewOption;
use wasm_encoder::reencode::{ReencodeComponent, component_utils};
use wasmparser::{CanonicalFunction, CanonicalOption};

use super::generated::Made;
use super::scope::ComponentBody;
use super::trusted::Wrapped;
use super::{EmitResult, Emitter, user};
use crate::error::broken;
use crate::ledger::analysis::CanonRole;
use crate::tree::read::options;

impl<'a> Emitter<'a> {
    pub(super) fn canon(&mut self, canon: CanonicalFunction) -> EmitResult {
        let roles = self.roles()?;
        let body = self.body()?;
        let role = roles.canons.get(body.canons).ok_or_else(|| user(broken!("a canonical function has no role")))?;
        let number = body.canons as u32;
        body.canons = body.canons.saturating_add(1);
        self.named_by(&canon)?;
        self.guard_options(options(&canon))?;
        let wrapper = self.wrapper(number)?;
        match (role, canon) {
            (
                CanonRole::Untouched | CanonRole::Lift { .. } | CanonRole::Crossing(_),
                CanonicalFunction::Lift { core_func_index, type_index, options },
            ) => self.lift(number, core_func_index, type_index, &options, wrapper),
            (CanonRole::Lower { .. } | CanonRole::Crossing(_), CanonicalFunction::Lower { func_index, options }) => {
                let func = self.component_func_index(func_index);
                self.lower(func, None, &options, wrapper)
            }
            (CanonRole::Builtin { builtin, .. }, CanonicalFunction::Lower { func_index, options }) => {
                let engine = (roles.crosses && builtin.borrows()).then(|| self.component_func_index(func_index));
                let func = self.body()?.interface_func(&builtin.ledger_name()).map_err(user)?;
                self.lower(func, engine, &options, wrapper)
            }
            (CanonRole::Crossing(_), canon) => {
                let (_, wrapped) = self.options(options(&canon))?;
                let func = self.written(canon)?;
                let wrapper = wrapper.ok_or_else(|| user(broken!("a crossing has no wrapper")))?;
                self.wrap(&wrapper, Wrapped { callee: Some(func), ..wrapped })
            }
            (CanonRole::Drop(kind), CanonicalFunction::ResourceDrop { .. }) => {
                let body = self.body()?;
                let func = body.drop_func(*kind).map_err(user)?;
                body.maps.core_funcs.push(func);
                Ok(())
            }
            (CanonRole::Untouched, canon) => self.untouched(canon),
            _ => Err(user(broken!("a canonical function has the role of another kind"))),
        }
    }

    /// Anything but a lift, as it stands but for indices.
    fn untouched(&mut self, canon: CanonicalFunction) -> EmitResult {
        let func = self.written(canon)?;
        self.barred(func)
    }

    /// Writes a canonical function. Gives the index of the core function that it makes.
    fn written(&mut self, canon: CanonicalFunction) -> EmitResult<u32> {
        let mut canons = self.body()?.sections.take_canons();
        use CanonicalFunction as C;
        // `wasm-encoder` leaves the types of these four what they were.
        match canon {
            C::StreamCancelRead { ty, async_ } => {
                canons.stream_cancel_read(self.component_type_index(ty), async_);
            }
            C::StreamCancelWrite { ty, async_ } => {
                canons.stream_cancel_write(self.component_type_index(ty), async_);
            }
            C::FutureCancelRead { ty, async_ } => {
                canons.future_cancel_read(self.component_type_index(ty), async_);
            }
            C::FutureCancelWrite { ty, async_ } => {
                canons.future_cancel_write(self.component_type_index(ty), async_);
            }
            canon => component_utils::parse_component_canonical(self, &mut canons, canon)?,
        }
        self.found()?;
        Ok(self.body()?.sections.put_canons(canons))
    }

    /// The next core function: a may-leave check in front of it, if it leaves the component and a wrapper of this calls
    /// `realloc`.
    fn barred(&mut self, func: u32) -> EmitResult {
        let leaving = &self.component_facts()?.leaving;
        let body = self.body()?;
        let (old, may_leave) = (body.maps.core_funcs.len(), body.trusted.may_leave);
        let Some(ty) = u32::try_from(old).ok().and_then(|old| leaving.get(&old)).filter(|_| may_leave) else {
            body.maps.core_funcs.push(func);
            return Ok(());
        };
        let may_leave = self.generated.may_leave_of(ty).map_err(user)?;
        let body = self.body()?;
        let piece = body.piece(&may_leave, Wrapped { callee: Some(func), ..Wrapped::default() }).map_err(user)?;
        body.push_wrapper(piece);
        Ok(())
    }

    fn lift(
        &mut self,
        canon: u32,
        core_func: u32,
        ty: u32,
        options: &[CanonicalOption],
        wrapper: Option<Rc<Made>>,
    ) -> EmitResult {
        let depth = self.depth()?;
        let roles = self.roles()?;
        let version = roles.closed_funcs.get(self.body()?.maps.funcs.len()).cloned().unwrap_or_default();
        let ty = self.version(depth, ty, version)?;
        let (options, wrapped) = self.options(options)?;
        let mut func = wasm_encoder::reencode::Reencode::function_index(self, core_func)?;
        if let Some(wrapper) = wrapper {
            func = self.wrap_lifted(canon, &wrapper, Wrapped { callee: Some(func), ..wrapped })?;
        }
        self.found()?;
        let body = self.body()?;
        let lifted = body.sections.lift(|canons| _ = canons.lift(func, ty, options));
        body.maps.funcs.push(lifted);
        Ok(())
    }

    /// Lowers a function, by its new index, and puts a wrapper behind it. `engine` is the package's own, if the wrapper has
    /// that too.
    fn lower(
        &mut self,
        func: u32,
        engine: Option<u32>,
        options: &[CanonicalOption],
        wrapper: Option<Rc<Made>>,
    ) -> EmitResult {
        let (options, wrapped) = self.options(options)?;
        self.found()?;
        let sections = &mut self.body()?.sections;
        let mut lower = |func| sections.canon(|canons| _ = canons.lower(func, options.iter().copied()));
        let (lowered, engine) = (lower(func), engine.map(&mut lower));
        let wrapper = wrapper.ok_or_else(|| user(broken!("a lower of the ledger's has no wrapper")))?;
        self.wrap(&wrapper, Wrapped { callee: Some(lowered), engine, ..wrapped })
    }

    /// The next core function: a wrapper.
    fn wrap(&mut self, made: &Rc<Made>, wrapped: Wrapped) -> EmitResult {
        let body = self.body()?;
        let piece = body.piece(made, wrapped).map_err(user)?;
        body.push_wrapper(piece);
        Ok(())
    }

    /// What takes the place of a function that is lifted.
    fn wrap_lifted(&mut self, canon: u32, made: &Rc<Made>, wrapped: Wrapped) -> EmitResult<u32> {
        let ahead = |body: &ComponentBody<'_>| body.bundles.as_ref().and_then(|bundles| bundles.lift(canon));
        if ahead(self.body()?).is_none() {
            self.wrap_ahead()?;
        }
        if let Some(func) = ahead(self.body()?) {
            return Ok(func);
        }
        let body = self.body()?;
        let piece = body.piece(made, wrapped).map_err(user)?;
        Ok(body.wrap(&piece))
    }

    /// The new options, and what a wrapper needs of them.
    fn options(&mut self, options: &[CanonicalOption]) -> EmitResult<(Vec<NewOption>, Wrapped)> {
        let mut wrapped = Wrapped::default();
        let mut new = Vec::with_capacity(options.len());
        for option in options {
            let option = self.canonical_option(*option)?;
            match option {
                NewOption::Memory(memory) => wrapped.memory = Some(memory),
                NewOption::Realloc(func) => wrapped.realloc = Some(func),
                _ => {}
            }
            new.push(option);
        }
        Ok((new, wrapped))
    }

    /// Puts a guard around each `realloc` and `post-return` that has none yet, if the component has a handle table and they could
    /// call anything.
    fn guard_options(&mut self, options: &[CanonicalOption]) -> EmitResult {
        if !self.body()?.has_table() || !self.component_facts()?.can_call_out() {
            return Ok(());
        }
        for option in options {
            let (CanonicalOption::Realloc(old) | CanonicalOption::PostReturn(old)) = *option else {
                continue;
            };
            if !self.body()?.maps.guards.contains_key(&old) {
                self.wrap_ahead()?;
            }
            if self.body()?.maps.guards.contains_key(&old) {
                continue;
            }
            let facts = self.component_facts()?;
            let (ty, slots) = (facts.called_back.get(&old), &facts.slots);
            let ty = ty.ok_or_else(|| user(broken!("a function that is called back has no type")))?;
            let func = wasm_encoder::reencode::Reencode::function_index(self, old)?;
            let guard = self.generated.guard_of(ty, slots).map_err(user)?;
            let body = self.body()?;
            let guard = body.guarded(func, &guard).map_err(user)?;
            body.maps.guards.insert(old, guard);
        }
        Ok(())
    }
}
