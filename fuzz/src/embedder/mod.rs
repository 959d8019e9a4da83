//! The embedder of an open tree: what it answers when the tree calls it, how it calls the tree, and what it holds
//! meanwhile.
//!
//! What it does is decided by random numbers of its own, so it does the same to two trees that do the same to it. What
//! it holds nobody else may change: it knows the bytes of all of that ([`Kept`]), and says where they are others
//! ([`Embedder::hurt`]).

mod held;

use wasmtime::component::{Func, ResourceAny, Val};
use wasmtime::{StoreContextMut, Trap};

pub use held::Left;
pub(crate) use held::left;
use held::{Handle, Kept, Region, hash};

use crate::tiers::Host;
use crate::trees::types::{Function, Kind, Type};

/// A store, as the embedder has it.
pub(crate) type Cx<'a> = StoreContextMut<'a, Host>;

/// What the embedder may do wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lapse {
    /// A function fails before it has touched what it was given.
    FailsAtOnce,
    /// A function fails when it has done all but answer.
    FailsLate,
    /// It gives a string where a handle is meant.
    AnotherValue,
    /// It gives a handle of another kind.
    OtherKind,
    /// It lends a handle where an owned one is meant.
    Lent,
    /// The limits of what guests may hold become such that they may hold nothing more.
    NoMore,
    /// A trap of a call of its own is swallowed.
    Swallows,
    /// It gives a handle that it has just taken the region of.
    Stale,
    /// It gives a handle, and keeps the same.
    Twice,
    /// It gives a handle that never was.
    NotHere,
    /// It takes a region that a guest has, by the number of its handle.
    Stolen,
}

impl Lapse {
    /// All of them.
    pub const ALL: [Lapse; 11] = [
        Lapse::FailsAtOnce,
        Lapse::FailsLate,
        Lapse::AnotherValue,
        Lapse::OtherKind,
        Lapse::Lent,
        Lapse::NoMore,
        Lapse::Swallows,
        Lapse::Stale,
        Lapse::Twice,
        Lapse::NotHere,
        Lapse::Stolen,
    ];

    /// Whether it is beyond what the engine or the library says anything of: a handle that is made up, or a trap that
    /// is swallowed. What becomes of the tree then is not said, but that what is in no store stays as it is.
    pub fn is_beyond(self) -> bool {
        self >= Lapse::Swallows
    }
}

/// No tree is called more often while it calls: each such call may have as many in it.
const MOST_ENTERED: usize = 4;

/// What is shown when the embedder does what is beyond the rules.
pub const BEYOND: u32 = 888;
/// What the embedder shows: that it is called, what a value is, what is held, that a call of its own failed.
const CALLED: u32 = 900_000;
const SEEN: u32 = 910_000;
const HELD: u32 = 920_000;
pub(crate) const FAILED: u32 = 930_000;

/// The embedder of one store.
#[derive(Default)]
pub(crate) struct Embedder {
    random: u64,
    lapse: Option<(Lapse, u32)>,
    /// What it can call.
    calls: Vec<(Func, Function)>,
    /// How many of its functions are running, and how many of its own calls within them; and how many of those there
    /// were.
    answering: usize,
    depth: usize,
    entered: usize,
    /// What is in no store.
    regions: Vec<Kept<Region>>,
    /// What is in the store, and no guest has a handle for.
    handles: Vec<Kept<Handle>>,
    /// What it found changed.
    pub(crate) hurt: Vec<String>,
}

impl Embedder {
    pub(crate) fn new(seed: u32, lapse: Option<(Lapse, u32)>) -> Self {
        let random = u64::from(seed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { random, lapse, ..Self::default() }
    }

    /// It can call this, too.
    pub(crate) fn learn(&mut self, func: Func, function: Function) {
        self.calls.push((func, function));
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.random() >> 33) as usize % end
    }

    /// Whether nobody else has a handle that it has. Who makes one up may have given it, too.
    fn knows_its_handles(&self) -> bool {
        !self.lapse.is_some_and(|(lapse, _)| lapse.is_beyond())
    }

    /// Whether it is time to do this wrong.
    fn errs(&mut self, what: Lapse) -> bool {
        let Some((lapse, countdown)) = &mut self.lapse else { return false };
        if *lapse != what {
            return false;
        }
        *countdown = countdown.wrapping_sub(1);
        *countdown == 0
    }
}

/// A function of the embedder's was called: the so-manyth that it offers.
pub(crate) fn answer(
    mut cx: Cx<'_>,
    nth: usize,
    function: &Function,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    cx.data_mut().embedder.answering += 1;
    let answered = try_answer(&mut cx, nth, function, params, results);
    cx.data_mut().embedder.answering -= 1;
    answered
}

fn try_answer(
    cx: &mut Cx<'_>,
    nth: usize,
    function: &Function,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let depth = cx.data().embedder.depth as u64;
    cx.data_mut().show(CALLED + nth as u32, depth);
    if cx.data_mut().embedder.errs(Lapse::FailsAtOnce) {
        return Err(wasmtime::Error::msg("the embedder fails"));
    }
    for (ty, value) in function.params.iter().zip(params) {
        receive(cx, ty, value)?;
    }
    mind(cx)?;
    let embedder = &mut cx.data_mut().embedder;
    if embedder.depth < 2 && embedder.entered < MOST_ENTERED && !embedder.calls.is_empty() && embedder.below(4) == 0 {
        let nth = embedder.below(embedder.calls.len());
        embedder.depth += 1;
        embedder.entered += 1;
        let called = call(cx, nth);
        cx.data_mut().embedder.depth -= 1;
        if let Err(error) = called {
            cx.data_mut().show(FAILED, 0);
            // Where nothing ran it may go on. After a trap it must not.
            let ran = !matches!(error.downcast_ref(), Some(Trap::CannotEnterComponent));
            let swallowed = cx.data_mut().embedder.errs(Lapse::Swallows);
            if swallowed {
                cx.data_mut().show(BEYOND, 0);
            } else if ran || cx.data_mut().embedder.below(4) == 0 {
                return Err(error);
            }
        }
    }
    for (ty, value) in function.result.iter().zip(results) {
        *value = make(cx, ty)?;
    }
    if cx.data_mut().embedder.errs(Lapse::FailsLate) {
        return Err(wasmtime::Error::msg("the embedder fails"));
    }
    show_held(cx);
    Ok(())
}

/// How many functions there are to call.
pub(crate) fn calls(cx: &Cx<'_>) -> usize {
    cx.data().embedder.calls.len()
}

/// Calls one.
pub(crate) fn call(cx: &mut Cx<'_>, nth: usize) -> wasmtime::Result<()> {
    mind(cx)?;
    let (func, function) = cx.data().embedder.calls[nth].clone();
    let params = function.params.iter().map(|ty| make(cx, ty)).collect::<wasmtime::Result<Vec<_>>>()?;
    let mut results = vec![Val::Bool(false); function.result.iter().count()];
    func.call(&mut *cx, &params, &mut results)?;
    for (ty, value) in function.result.iter().zip(&results) {
        receive(cx, ty, value)?;
    }
    show_held(cx);
    Ok(())
}

/// Looks after all that it holds: whether it is as it was.
pub(crate) fn look_after(cx: &mut Cx<'_>) {
    let mut hurt = vec![];
    let host = cx.data_mut();
    for kept in &host.embedder.regions {
        hurt.extend(kept.hurt(kept.what.hash()));
    }
    let sure = host.embedder.knows_its_handles();
    for kept in host.embedder.handles.iter().filter(|_| sure) {
        hurt.extend(kept.hurt(kept.what.hash(host.context())));
    }
    host.embedder.hurt.extend(hurt);
}

/// What it does of its own accord.
fn mind(cx: &mut Cx<'_>) -> wasmtime::Result<()> {
    let host = cx.data_mut();
    if host.embedder.errs(Lapse::NoMore) {
        let none = mappable::Limits::default().regions(0).mappings(0);
        host.context_mut().set_limits(none);
    }
    if host.embedder.errs(Lapse::Stolen) {
        host.show(BEYOND, 0);
        let known = |handle: &Handle| host.embedder.handles.iter().any(|kept| kept.what.rep == handle.rep);
        let all = (0..64).flat_map(|rep| [Kind::Mappable, Kind::Frozen].map(|kind| Handle { kind, rep }));
        let others: Vec<_> = all.filter(|handle| !known(handle)).collect();
        let stolen = others.into_iter().find_map(|handle| handle.take(host.context_mut()).ok());
        host.embedder.regions.extend(stolen.map(Kept::region));
    }
    let embedder = &mut host.embedder;
    // A change of what is at hand, or not.
    if !embedder.regions.is_empty() && embedder.below(3) == 0 {
        let nth = embedder.below(embedder.regions.len());
        let kept = embedder.regions.swap_remove(nth);
        embedder.hurt.extend(kept.hurt(kept.what.hash()));
        let word = embedder.random();
        embedder.regions.extend(kept.what.changed(word)?.into_iter().map(Kept::region));
    }
    if embedder.regions.len() > 12 {
        let kept = embedder.regions.swap_remove(0);
        embedder.hurt.extend(kept.hurt(kept.what.hash()));
    }
    Ok(())
}

/// How much is held, by whomever.
fn show_held(cx: &mut Cx<'_>) {
    let (regions, bytes) = cx.data().context().held();
    cx.data_mut().show(HELD, (regions as u64) << 32 | bytes >> 16);
}

/// Looks at a value that came from the tree, and has it from now on.
fn receive(cx: &mut Cx<'_>, ty: &Type, value: &Val) -> wasmtime::Result<()> {
    match (ty, value) {
        (Type::Own(kind), Val::Resource(resource)) => receive_handle(cx, *kind, *resource),
        (Type::Scalar(_), value) => {
            cx.data_mut().show(SEEN, bits(value));
            Ok(())
        }
        other => Err(wasmtime::Error::msg(format!("a value of another type came: {other:?}"))),
    }
}

fn receive_handle(cx: &mut Cx<'_>, kind: Kind, resource: ResourceAny) -> wasmtime::Result<()> {
    let act = cx.data_mut().embedder.below(6);
    if act == 0 {
        cx.data_mut().show(SEEN, kind as u64);
        return resource.resource_drop(&mut *cx);
    }
    let handle = Handle::of(cx, kind, resource)?;
    let seen = handle.hash(cx.data().context());
    cx.data_mut().show(SEEN, seen.unwrap_or(0));
    let host = cx.data_mut();
    match act {
        1 | 2 => host.embedder.handles.push(Kept { what: handle, hash: seen }),
        3 => drop(handle.take(host.context_mut())?),
        4 => {
            handle.write(host.context_mut(), seen.unwrap_or(0))?;
            let hash = handle.hash(host.context());
            host.embedder.handles.push(Kept { what: handle, hash });
        }
        _ => {
            let region = handle.take(host.context_mut())?;
            host.embedder.regions.push(Kept::region(region));
        }
    }
    Ok(())
}

/// Makes a value to give to the tree.
fn make(cx: &mut Cx<'_>, ty: &Type) -> wasmtime::Result<Val> {
    let kind = match ty {
        Type::Own(kind) => *kind,
        Type::Scalar(name) => return Ok(scalar(name, cx.data_mut().embedder.random())),
        other => return Err(wasmtime::Error::msg(format!("a value of another type is meant: {other:?}"))),
    };
    let embedder = &mut cx.data_mut().embedder;
    if embedder.errs(Lapse::AnotherValue) {
        return Ok(Val::String("another".into()));
    }
    let kind = match (embedder.errs(Lapse::OtherKind), kind) {
        (true, Kind::Mappable) => Kind::Frozen,
        (true, _) => Kind::Mappable,
        _ => kind,
    };
    let handle = handle(cx, kind)?;
    let host = cx.data_mut();
    // Outside of all calls the engine has nothing to lend it for.
    if host.embedder.answering > 0 && host.embedder.errs(Lapse::Lent) {
        let hash = handle.hash(host.context());
        host.embedder.handles.push(Kept { what: handle, hash });
        return handle.lend(cx);
    }
    if host.embedder.errs(Lapse::Stale) {
        host.show(BEYOND, 0);
        let region = handle.take(host.context_mut())?;
        host.embedder.regions.push(Kept::region(region));
    }
    let host = cx.data_mut();
    if host.embedder.errs(Lapse::Twice) {
        host.show(BEYOND, 0);
        host.embedder.handles.push(Kept { what: handle, hash: None });
    }
    if host.embedder.errs(Lapse::NotHere) {
        host.show(BEYOND, 0);
        return Handle { kind, rep: 0xf_ffff }.give(cx);
    }
    handle.give(cx)
}

/// A handle of a kind that no guest has, from now on not the embedder's either.
fn handle(cx: &mut Cx<'_>, kind: Kind) -> wasmtime::Result<Handle> {
    let host = cx.data_mut();
    let from = host.embedder.below(4);
    if from == 0
        && let Some(nth) = host.embedder.handles.iter().position(|kept| kept.what.kind == kind)
    {
        let kept = host.embedder.handles.swap_remove(nth);
        let hurt = kept.hurt(kept.what.hash(host.context()));
        host.embedder.hurt.extend(hurt.filter(|_| host.embedder.knows_its_handles()));
        return Ok(kept.what);
    }
    if from < 3
        && let Some(nth) = host.embedder.regions.iter().position(|kept| kept.what.kind() == kind)
    {
        let kept = host.embedder.regions.swap_remove(nth);
        let hurt = kept.hurt(kept.what.hash());
        host.embedder.hurt.extend(hurt);
        // Others may read what is frozen, and it is as it was all the same.
        if host.embedder.below(2) == 0 {
            host.embedder.regions.extend(kept.what.again().map(Kept::region));
        }
        return kept.what.insert(host.context_mut());
    }
    let (granules, word) = (1 + host.embedder.below(8) / 7, host.embedder.random());
    let region = Region::new(host.runtime(), kind, granules, word)?;
    region.insert(host.context_mut())
}

fn scalar(name: &str, word: u64) -> Val {
    match name {
        "bool" => Val::Bool(word & 1 == 1),
        "u8" => Val::U8(word as u8),
        "s8" => Val::S8(word as i8),
        "u16" => Val::U16(word as u16),
        "s16" => Val::S16(word as i16),
        "u32" => Val::U32(word as u32),
        "s32" => Val::S32(word as i32),
        "u64" => Val::U64(word),
        "s64" => Val::S64(word as i64),
        "f32" => Val::Float32(f32::from_bits(word as u32)),
        "f64" => Val::Float64(f64::from_bits(word)),
        _ => Val::Char(char::from_u32(word as u32 % 0xd800).unwrap_or('a')),
    }
}

fn bits(value: &Val) -> u64 {
    match value {
        Val::Bool(value) => u64::from(*value),
        Val::U8(value) => u64::from(*value),
        Val::S8(value) => *value as u64,
        Val::U16(value) => u64::from(*value),
        Val::S16(value) => *value as u64,
        Val::U32(value) => u64::from(*value),
        Val::S32(value) => *value as u64,
        Val::U64(value) => *value,
        Val::S64(value) => *value as u64,
        Val::Float32(value) => u64::from(value.to_bits()),
        Val::Float64(value) => value.to_bits(),
        Val::Char(value) => u64::from(*value),
        other => hash(format!("{other:?}").as_bytes()),
    }
}
