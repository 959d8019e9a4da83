//! Functions' types as the canonical ABI sees them: what trusted modules need to know to find each handle and list.
//!
//! Source: *Canonical ABI*, `alignment`, `elem_size`, `flatten_functype`.

use wasm_encoder::ValType;
use wasmparser::PrimitiveValType as Primitive;

/// How many borrowed handles of others there may be in the type of a bridge's function: it drops each of them.
pub(crate) const MAX_OTHER_BORROWS: usize = 8;

/// What a handle of ours stands for. The numbers are those of table entries and flight items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// `mappable`.
    Mappable = 1,
    /// `mapping`.
    Mapping = 2,
    /// `frozen`.
    Frozen = 3,
    /// `frozen-mapping`.
    FrozenMapping = 4,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Mappable, Kind::Mapping, Kind::Frozen, Kind::FrozenMapping];

    /// What the package calls the resource type.
    pub(crate) fn package_name(self) -> &'static str {
        match self {
            Kind::Mappable => "mappable",
            Kind::Mapping => "mapping",
            Kind::Frozen => "frozen",
            Kind::FrozenMapping => "frozen-mapping",
        }
    }
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
    /// `own` of somebody else's resource.
    OtherOwn,
    /// `borrow` of somebody else's resource.
    OtherBorrow,
    List(Box<Value>),
    /// A record or tuple.
    Record(Vec<Value>),
    /// A variant, enum, option or result: each case's payload.
    Variant(Vec<Option<Value>>),
    /// Of so many labels.
    Flags(u32),
}

/// A function's type, names left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Signature {
    pub(crate) params: Vec<Value>,
    pub(crate) result: Option<Value>,
}

/// As in the canonical ABI.
pub(crate) const MAX_FLAT_PARAMS: usize = 16;
pub(crate) const MAX_FLAT_RESULTS: usize = 1;

impl Value {
    /// None of an error context.
    pub(crate) fn of_primitive(ty: Primitive) -> Option<Self> {
        Some(match ty {
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
            Primitive::ErrorContext => return None,
        })
    }

    /// In bytes, as an element of a list or a field.
    pub(crate) fn size(&self) -> u32 {
        match self {
            Self::Bool | Self::U8 | Self::S8 => 1,
            Self::U16 | Self::S16 => 2,
            Self::U32 | Self::S32 | Self::F32 | Self::Char => 4,
            Self::Own(_) | Self::Borrow(_) | Self::OtherOwn | Self::OtherBorrow => 4,
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

    /// In how many places of the type there is a borrowed handle of somebody else's resource.
    fn other_borrows(&self) -> usize {
        match self {
            Self::OtherBorrow => 1,
            Self::List(element) => element.other_borrows(),
            Self::Record(fields) => fields.iter().map(Self::other_borrows).sum(),
            Self::Variant(cases) => cases.iter().flatten().map(Self::other_borrows).sum(),
            _ => 0,
        }
    }

    /// Whether a handle of ours may be in it.
    pub(crate) fn has_handles(&self) -> bool {
        self.any(&|value| matches!(value, Self::Own(_) | Self::Borrow(_)))
    }

    /// Whether it is plain data: any bytes are a value of it. Integers, floats (which keep their bits), records of such.
    fn is_plain(&self) -> bool {
        match self {
            Self::U8 | Self::S8 | Self::U16 | Self::S16 | Self::U32 | Self::S32 => true,
            Self::U64 | Self::S64 | Self::F32 | Self::F64 => true,
            Self::Record(fields) => fields.iter().all(Value::is_plain),
            _ => false,
        }
    }

    /// Whether it is a list of plain data, which can be copied without a look.
    pub(crate) fn is_plain_list(&self) -> bool {
        matches!(self, Self::List(element) if element.is_plain())
    }

    /// Whether it is such a value, or has one that is not an element of a list.
    pub(crate) fn reaches(&self, is: &impl Fn(&Value) -> bool) -> bool {
        is(self)
            || match self {
                Self::Record(fields) => fields.iter().any(|field| field.reaches(is)),
                Self::Variant(cases) => cases.iter().flatten().any(|case| case.reaches(is)),
                _ => false,
            }
    }

    /// Whether lists of plain data in it go by window, if it is a parameter in registers or a result.
    pub(crate) fn goes_by_window(&self) -> bool {
        self.is_plain_list() || self.reaches(&Value::is_plain_list) && self.has_nameless_form(false)
    }

    /// Whether it is an enum that is passed as a number where names can't be written.
    pub(crate) fn is_numbered(&self) -> bool {
        matches!(self, Self::Variant(cases) if cases.len() != 2 && cases.iter().all(Option::is_none))
    }

    /// Whether there is a type without names, but for resources', that is passed in the same form: see [`Self::erased`].
    fn has_nameless_form(&self, in_list: bool) -> bool {
        match self {
            Self::Flags(_) | Self::OtherOwn | Self::OtherBorrow => false,
            Self::List(element) => element.has_nameless_form(true),
            Self::Record(fields) => !fields.is_empty() && fields.iter().all(|field| field.has_nameless_form(in_list)),
            Self::Variant(cases) if cases.len() == 2 => {
                cases.iter().flatten().all(|case| case.has_nameless_form(in_list))
            }
            // Whoever passes it has to look at the number, and doesn't look at lists' elements.
            Self::Variant(_) => !in_list && self.is_numbered(),
            _ => true,
        }
    }

    /// The type that is passed in place of one that goes by window: without names, with two `u32` for each list of plain
    /// data, `u32` for each handle of ours, and a number for an enum. All else is in the same place.
    pub(crate) fn erased(&self) -> Value {
        match self {
            list if list.is_plain_list() => Self::Record(vec![Self::U32; 2]),
            Self::Record(fields) => Self::Record(fields.iter().map(Value::erased).collect()),
            Self::Variant(cases) if self.is_numbered() => match discriminant_size(cases.len()) {
                1 => Self::U8,
                2 => Self::U16,
                _ => Self::U32,
            },
            Self::Variant(cases) => Self::Variant(cases.iter().map(|case| case.as_ref().map(Value::erased)).collect()),
            other => other.closed(),
        }
    }

    /// With `u32` for each handle of ours.
    fn closed(&self) -> Value {
        match self {
            Self::Own(_) | Self::Borrow(_) => Self::U32,
            Self::List(element) => Self::List(Box::new(element.closed())),
            Self::Record(fields) => Self::Record(fields.iter().map(Value::closed).collect()),
            Self::Variant(cases) => Self::Variant(cases.iter().map(|case| case.as_ref().map(Value::closed)).collect()),
            other => other.clone(),
        }
    }
}

impl Signature {
    /// The flat parameters as a lowered function takes them and a lifted one does, and whether they are spilled.
    pub(crate) fn flat_params(&self) -> (Vec<ValType>, bool) {
        let mut flat = Vec::new();
        self.params.iter().for_each(|param| param.flatten(&mut flat));
        if flat.len() > MAX_FLAT_PARAMS { (vec![ValType::I32], true) } else { (flat, false) }
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

    /// Whether a value in it, however deep, is such a one.
    pub(crate) fn any(&self, is: impl Fn(&Value) -> bool) -> bool {
        self.params.iter().chain(&self.result).any(|value| value.any(&is))
    }

    /// Why a function of that type can't have a bridge to the embedder: the handles of ours that cross are owned ones
    /// of what is not mapped.
    pub(crate) fn cannot_cross(&self) -> Option<&'static str> {
        let is_mapping = |value: &Value| matches!(value, Value::Own(Kind::Mapping | Kind::FrozenMapping));
        let others: usize = self.params.iter().map(Value::other_borrows).sum();
        let faults = [
            self.any(is_mapping).then_some("has a mapping in its type"),
            self.any(|value| matches!(value, Value::Borrow(_))).then_some("has a borrowed handle in its type"),
            (others > MAX_OTHER_BORROWS).then_some("has more borrowed handles in its type than a bridge can drop"),
        ];
        faults.into_iter().flatten().next()
    }

    /// Whether a canonical function of the type has parts of its parameters in memory, and of its result.
    pub(crate) fn in_memory(&self) -> (bool, bool) {
        let has_lists = |value: &Value| value.any(&|value| matches!(value, Value::String | Value::List(_)));
        let params = self.flat_params().1 || self.params.iter().any(has_lists);
        (params, self.flat_results().1)
    }

    /// Whether lists in parameters go by window: some are in such, and none is spilled. What is spilled lies in the
    /// receiver's memory while its `realloc` runs, which could have any of the sender's memory read.
    pub(crate) fn sends_by_window(&self) -> bool {
        self.params.iter().any(Value::goes_by_window) && !self.flat_params().1
    }

    /// Whether lists in the result do.
    pub(crate) fn returns_by_window(&self) -> bool {
        self.result.as_ref().is_some_and(Value::goes_by_window)
    }

    /// Whether lists of it go by window.
    pub(crate) fn has_windows(&self) -> bool {
        self.sends_by_window() || self.returns_by_window()
    }

    /// What the function's type is in the output, with or without lists by window.
    pub(crate) fn erased(&self, lists: bool) -> Signature {
        let erase = |by_window: bool| {
            move |value: &Value| if by_window && value.goes_by_window() { value.erased() } else { value.closed() }
        };
        let params = self.params.iter().map(erase(lists && self.sends_by_window())).collect();
        Signature { params, result: self.result.as_ref().map(erase(lists)) }
    }
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
