//! Which values go by window, and the types without names that are passed in place of theirs.

use wasm_encoder::ValType;

use super::signature::{Passed, Value, discriminant_size};

impl Value {
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

    /// Whether lists of plain data in it go by window, if it is passed so.
    pub(crate) fn goes_by_window(&self, passed: Passed) -> bool {
        if self.is_plain_list() {
            return true;
        }
        self.reaches(&Value::is_plain_list)
            && match passed {
                Passed::Flat => self.has_nameless_form(),
                Passed::Spilled => self.has_nameless_form() && !self.reaches(&Value::is_opaque),
                Passed::Returned => self.is_carried() || self.has_nameless_form() && !self.reaches(&Value::is_opaque),
            }
    }

    /// Whether it is returned by wrappers alone, field by field, since a variant in it is nothing to the engine.
    pub(crate) fn is_carried(&self) -> bool {
        self.reaches(&Value::is_opaque) && self.can_be_carried()
    }

    /// Whether wrappers can do with it all that the engine does: there is no string in it, no handle, and no list that has to
    /// be looked at.
    fn can_be_carried(&self) -> bool {
        match self {
            Self::String | Self::Own(_) | Self::Borrow(_) | Self::Other => false,
            Self::List(_) => self.is_plain_list(),
            Self::Record(fields) => !fields.is_empty() && fields.iter().all(Value::can_be_carried),
            Self::Variant(cases) => !cases.is_empty() && cases.iter().flatten().all(Value::can_be_carried),
            Self::Flags(labels) => (1..=32).contains(labels),
            _ => true,
        }
    }

    /// Whether it is an enum that is passed as a number where names can't be written.
    pub(crate) fn is_numbered(&self) -> bool {
        matches!(self, Self::Variant(cases) if cases.len() != 2 && cases.iter().all(Option::is_none))
    }

    /// Whether it is a variant that nothing without names is laid out like in memory: with a payload, and not of two cases.
    pub(crate) fn is_opaque(&self) -> bool {
        matches!(self, Self::Variant(cases) if cases.len() != 2 && cases.iter().any(Option::is_some))
    }

    /// Whether there is a type without names that is passed in the same form: see [`Self::nameless`]. An opaque variant has
    /// one in registers alone.
    pub(crate) fn has_nameless_form(&self) -> bool {
        self.is_nameless(self.has_handles(), false)
    }

    /// `walked`: a value with handles is walked through, elements of lists too, by whoever passes it and by whoever gets it.
    fn is_nameless(&self, walked: bool, in_list: bool) -> bool {
        let is_so = |value: &Value| value.is_nameless(walked, in_list);
        match self {
            Self::Other => false,
            Self::List(element) => element.is_nameless(walked, true),
            Self::Record(fields) => !fields.is_empty() && fields.iter().all(is_so),
            Self::Variant(cases) if cases.len() == 2 => cases.iter().flatten().all(is_so),
            Self::Variant(_) if self.is_opaque() => !walked && !in_list && self.can_be_carried(),
            // Whoever passes it has to look at the number.
            Self::Variant(_) => (walked || !in_list) && self.is_numbered(),
            // Whoever gets it clears the bits that are no label's.
            Self::Flags(labels) => walked && (1..=32).contains(labels),
            _ => true,
        }
    }

    /// The type that is passed in place of one with handles, or one that goes by window: without names, with `u32` for each
    /// handle of ours, a number for an enum and for flags, and with `windows` two `u32` for each list of plain data. All is
    /// in the same place. An opaque variant is what it is in registers.
    pub(crate) fn nameless(&self, windows: bool) -> Value {
        match self {
            Self::Own(_) | Self::Borrow(_) => Self::U32,
            list if windows && list.is_plain_list() => Self::Record(vec![Self::U32; 2]),
            Self::List(element) => Self::List(Box::new(element.nameless(false))),
            Self::Record(fields) => Self::Record(fields.iter().map(|field| field.nameless(windows)).collect()),
            Self::Variant(cases) if self.is_numbered() => number(discriminant_size(cases.len())),
            Self::Variant(_) if self.is_opaque() => {
                let mut flat = Vec::new();
                self.flatten(&mut flat);
                Self::Record(flat.into_iter().map(register).collect())
            }
            Self::Variant(cases) => {
                let nameless = |case: &Option<Value>| case.as_ref().map(|case| case.nameless(windows));
                Self::Variant(cases.iter().map(nameless).collect())
            }
            Self::Flags(_) => number(self.size()),
            other => other.clone(),
        }
    }

    /// What takes its place in the type of a function that has a wrapper. `None` if it stays.
    pub(crate) fn erased(&self, windows: bool, passed: Passed) -> Option<Value> {
        let windows = windows && self.goes_by_window(passed);
        if windows && passed == Passed::Returned && self.is_carried() {
            return Some(carried());
        }
        (windows || self.has_handles()).then(|| self.nameless(windows))
    }
}

/// What the engine returns in place of a value that is carried: the least that it returns in memory, as it does any such
/// value.
pub(crate) fn carried() -> Value {
    Value::Record(vec![Value::U8; 2])
}

/// The unsigned number of so many bytes.
fn number(size: u32) -> Value {
    match size {
        1 => Value::U8,
        2 => Value::U16,
        _ => Value::U32,
    }
}

/// What is passed in such a register, all bits of it.
fn register(ty: ValType) -> Value {
    match ty {
        ValType::I64 => Value::U64,
        ValType::F32 => Value::F32,
        ValType::F64 => Value::F64,
        _ => Value::U32,
    }
}
