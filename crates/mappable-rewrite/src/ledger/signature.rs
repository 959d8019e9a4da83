//! Functions' types as the canonical ABI sees them: what trusted modules need to know to find each handle and list.
//!
//! Source: *Canonical ABI*, `alignment`, `elem_size`, `flatten_functype`.

use std::hash::{Hash, Hasher};

use wasm_encoder::ValType;
use wasmparser::PrimitiveValType as Primitive;

#[cfg_attr(
    not(feature = "internals"),
    allow(unreachable_pub, reason = "public where the project's own tools ask for it")
)]
pub use super::kind::Kind;
pub(crate) use super::kind::name_of_each;

/// How a value is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// As a parameter, in registers.
    Flat,
    /// As a parameter, in memory: there are too many for registers.
    Spilled,
    /// As a result.
    Returned,
}

/// A value's type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Bool,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
    F32,
    F64,
    Char,
    String,
    /// `own` of a resource of ours.
    Own(Kind),
    /// `borrow` of a resource of ours.
    Borrow(Kind),
    /// Any other handle: of somebody else's resource, a stream, a future or an error context.
    Other,
    List(Box<Value>),
    /// A record or tuple.
    Record(Vec<Value>),
    /// A variant, enum, option or result: each case's payload.
    Variant(Vec<Option<Value>>),
    /// Of so many labels.
    Flags(u32),
}

/// A function's type, names left out.
#[derive(Clone, Debug, Eq)]
pub(crate) struct Signature {
    pub(crate) params: Vec<Value>,
    pub(crate) result: Option<Value>,
}

#[cfg(test)]
std::thread_local! {
    /// How often all of a signature was looked at, to compare, hash, erase or go through it.
    pub(crate) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// It is large where a guest wants that, and at as many functions.
fn looked_at() {
    #[cfg(test)]
    LOOKS.set(LOOKS.get() + 1);
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        looked_at();
        self.params == other.params && self.result == other.result
    }
}

impl Hash for Signature {
    fn hash<H: Hasher>(&self, state: &mut H) {
        looked_at();
        (&self.params, &self.result).hash(state);
    }
}

/// As in the canonical ABI.
pub(crate) const MAX_FLAT_PARAMS: usize = 16;
pub(crate) const MAX_FLAT_ASYNC_PARAMS: usize = 4;
pub(crate) const MAX_FLAT_RESULTS: usize = 1;

impl Value {
    pub(crate) fn of_primitive(ty: Primitive) -> Self {
        match ty {
            Primitive::Bool => Self::Bool,
            Primitive::S8 => Self::S8,
            Primitive::U8 => Self::U8,
            Primitive::S16 => Self::S16,
            Primitive::U16 => Self::U16,
            Primitive::S32 => Self::S32,
            Primitive::U32 => Self::U32,
            Primitive::S64 => Self::S64,
            Primitive::U64 => Self::U64,
            Primitive::F32 => Self::F32,
            Primitive::F64 => Self::F64,
            Primitive::Char => Self::Char,
            Primitive::String => Self::String,
            Primitive::ErrorContext => Self::Other,
        }
    }

    /// How many values it is made of, itself included.
    pub(crate) fn nodes(&self) -> usize {
        1 + match self {
            Self::List(element) => element.nodes(),
            Self::Record(fields) => fields.iter().map(Value::nodes).sum(),
            Self::Variant(cases) => cases.iter().flatten().map(Value::nodes).sum(),
            _ => 0,
        }
    }

    /// In bytes, as an element of a list or a field.
    pub(crate) fn size(&self) -> u32 {
        match self {
            Self::Bool | Self::U8 | Self::S8 => 1,
            Self::U16 | Self::S16 => 2,
            Self::U32 | Self::S32 | Self::F32 | Self::Char => 4,
            Self::Own(_) | Self::Borrow(_) | Self::Other => 4,
            Self::U64 | Self::S64 | Self::F64 | Self::String | Self::List(_) => 8,
            Self::Record(fields) => {
                let end = fields.iter().fold(0, |end, field| align_to(end, field.align()) + field.size());
                align_to(end, self.align())
            }
            Self::Variant(cases) => {
                let payload = cases.iter().flatten().map(Value::size).max().unwrap_or(0);
                align_to(payload_offset(cases) + payload, self.align())
            }
            Self::Flags(labels) => match labels {
                0..=8 => 1,
                9..=16 => 2,
                more => more.div_ceil(32) * 4,
            },
        }
    }

    /// In bytes.
    pub(crate) fn align(&self) -> u32 {
        match self {
            Self::String | Self::List(_) => 4,
            Self::Record(fields) => fields.iter().map(Value::align).max().unwrap_or(1),
            Self::Variant(cases) => {
                let payload = cases.iter().flatten().map(Value::align).max().unwrap_or(1);
                payload.max(discriminant_size(cases.len()))
            }
            Self::Flags(labels) if *labels > 16 => 4,
            scalar => scalar.size(),
        }
    }

    /// How many core parameters the value is.
    pub(crate) fn flat_len(&self) -> u32 {
        let mut flat = Vec::new();
        self.flatten(&mut flat);
        flat.len() as u32
    }

    /// Appends what the value is in core parameters.
    pub(crate) fn flatten(&self, flat: &mut Vec<ValType>) {
        match self {
            Self::U64 | Self::S64 => flat.push(ValType::I64),
            Self::F32 => flat.push(ValType::F32),
            Self::F64 => flat.push(ValType::F64),
            Self::String | Self::List(_) => flat.extend([ValType::I32; 2]),
            Self::Record(fields) => fields.iter().for_each(|field| field.flatten(flat)),
            Self::Variant(cases) => {
                flat.push(ValType::I32);
                let begin = flat.len();
                for case in cases.iter().flatten() {
                    let mut payload = Vec::new();
                    case.flatten(&mut payload);
                    for (index, ty) in payload.into_iter().enumerate() {
                        match flat.get_mut(begin + index) {
                            Some(joined) => *joined = join(*joined, ty),
                            None => flat.push(ty),
                        }
                    }
                }
            }
            Self::Flags(labels) => flat.extend((0..labels.div_ceil(32).max(1)).map(|_| ValType::I32)),
            _ => flat.push(ValType::I32),
        }
    }

    /// Whether it or something in it is such a value.
    pub(crate) fn any(&self, is: &impl Fn(&Value) -> bool) -> bool {
        is(self)
            || match self {
                Self::List(element) => element.any(is),
                Self::Record(fields) => fields.iter().any(|field| field.any(is)),
                Self::Variant(cases) => cases.iter().flatten().any(|case| case.any(is)),
                _ => false,
            }
    }

    /// Whether a handle of ours may be in it.
    pub(crate) fn has_handles(&self) -> bool {
        self.any(&|value| matches!(value, Self::Own(_) | Self::Borrow(_)))
    }
}

impl Signature {
    /// The flat parameters as a lowered function takes them and a lifted one does, and whether they are spilled.
    pub(crate) fn flat_params(&self) -> (Vec<ValType>, bool) {
        flat_params(&self.params, MAX_FLAT_PARAMS)
    }

    /// The flat results, and whether they are spilled to a return area.
    pub(crate) fn flat_results(&self) -> (Vec<ValType>, bool) {
        let mut flat = Vec::new();
        self.result.iter().for_each(|result| result.flatten(&mut flat));
        let spilled = flat.len() > MAX_FLAT_RESULTS;
        (flat, spilled)
    }

    /// Whether a handle of ours may be in it.
    pub(crate) fn has_handles(&self) -> bool {
        self.any(|value| matches!(value, Value::Own(_) | Value::Borrow(_)))
    }

    /// Whether a handle of ours may be in what its lift gives, or else its lower.
    pub(crate) fn gives_handles(&self, lift: bool) -> bool {
        looked_at();
        let mut given = if lift { self.result.as_slice() } else { &self.params }.iter();
        given.any(Value::has_handles)
    }

    /// A kind of handle of ours that is in it.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::ALL
            .into_iter()
            .find(|kind| self.any(|value| matches!(value, Value::Own(of) | Value::Borrow(of) if of == kind)))
    }

    /// Whether a value in it, however deep, is such a one.
    pub(crate) fn any(&self, is: impl Fn(&Value) -> bool) -> bool {
        looked_at();
        self.params.iter().chain(&self.result).any(|value| value.any(&is))
    }

    /// How its parameters are passed.
    pub(crate) fn params_passed(&self) -> Passed {
        if self.flat_params().1 { Passed::Spilled } else { Passed::Flat }
    }

    /// Whether lists in parameters go by window.
    pub(crate) fn sends_by_window(&self) -> bool {
        let passed = self.params_passed();
        self.params.iter().any(|param| param.goes_by_window(passed))
    }

    /// Whether lists in the result do.
    pub(crate) fn returns_by_window(&self) -> bool {
        self.result.as_ref().is_some_and(|result| result.goes_by_window(Passed::Returned))
    }

    /// Whether lists of it go by window.
    pub(crate) fn has_windows(&self) -> bool {
        self.sends_by_window() || self.returns_by_window()
    }

    /// Why none of its lists of plain data go by window. `None` if it has none, or if some do.
    pub(crate) fn why_not_by_window(&self) -> Option<&'static str> {
        if self.has_windows() || !self.any(Value::is_plain_list) {
            return None;
        }
        let mut values = self.params.iter().chain(&self.result);
        Some(if values.any(|value| value.reaches(&Value::is_plain_list)) {
            "only the engine can pass what is beside it"
        } else {
            "it is an element of another list"
        })
    }

    /// Whether the ledger can carry each value with handles: it has none that is borrowed, and a form without names.
    pub(crate) fn cannot_be_closed(&self) -> Option<&'static str> {
        let mut values = self.params.iter().chain(&self.result).filter(|value| value.has_handles());
        if self.any(|value| matches!(value, Value::Borrow(_))) {
            Some("has a borrowed handle in its type")
        } else if !values.all(Value::has_nameless_form) {
            Some("has a handle in its type beside what has no form without names")
        } else {
            None
        }
    }

    /// What the function's type is in the output, with or without lists by window.
    pub(crate) fn erased(&self, lists: bool) -> Signature {
        looked_at();
        let (params, result) = self.erased_values(lists);
        let params = self.params.iter().zip(params).map(|(param, erased)| erased.unwrap_or_else(|| param.clone()));
        let result = self.result.as_ref().map(|own| result.unwrap_or_else(|| own.clone()));
        Signature { params: params.collect(), result }
    }

    /// What takes the place of each parameter there, and of the result. `None` where that stays.
    pub(crate) fn erased_values(&self, lists: bool) -> (Vec<Option<Value>>, Option<Value>) {
        let passed = self.params_passed();
        let params = self.params.iter().map(|param| param.erased(lists, passed)).collect();
        (params, self.result.as_ref().and_then(|result| result.erased(lists, Passed::Returned)))
    }
}

/// The flat form of parameters, of which there may be so many, and whether they are spilled.
pub(crate) fn flat_params(params: &[Value], max: usize) -> (Vec<ValType>, bool) {
    let mut flat = Vec::new();
    params.iter().for_each(|param| param.flatten(&mut flat));
    if flat.len() > max { (vec![ValType::I32], true) } else { (flat, false) }
}

/// Where a variant's payload begins.
pub(crate) fn payload_offset(cases: &[Option<Value>]) -> u32 {
    let align = cases.iter().flatten().map(Value::align).max().unwrap_or(1);
    align_to(discriminant_size(cases.len()), align)
}

/// In bytes.
pub(crate) fn discriminant_size(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// As the canonical ABI joins the payloads of two cases.
fn join(a: ValType, b: ValType) -> ValType {
    match (a, b) {
        _ if a == b => a,
        (ValType::I32, ValType::F32) | (ValType::F32, ValType::I32) => ValType::I32,
        _ => ValType::I64,
    }
}

pub(crate) fn align_to(offset: u32, align: u32) -> u32 {
    offset.next_multiple_of(align)
}
