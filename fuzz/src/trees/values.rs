//! Code that puts a random value into memory, looks at one there, and brings one into core parameters or back.

use std::fmt::Write;

use super::types::{Type, offsets};

/// Core parameters, by name and type.
pub(super) type Slots = [(String, &'static str)];

/// The element types of a guest's lists: each has a function that makes a list of it, and one that looks at one.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) known: Vec<Type>,
}

impl Lists {
    pub(super) fn id(&mut self, ty: &Type) -> usize {
        self.known.iter().position(|known| known == ty).unwrap_or_else(|| {
            self.known.push(ty.clone());
            self.known.len() - 1
        })
    }
}

/// Allocates a record of these.
pub(super) fn area(local: &str, fields: &[Type]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let record = Type::Record(false, fields.to_vec());
    format!("(local.set {local} (call $alloc (i32.const {}) (i32.const {})))", record.align(), record.size())
}

/// How a scalar or handle is loaded and stored, and its core type.
fn access(ty: &Type) -> (&'static str, &'static str, &'static str) {
    match ty {
        Type::Scalar(name) => match *name {
            "bool" | "u8" => ("i32.load8_u", "i32.store8", "i32"),
            "s8" => ("i32.load8_s", "i32.store8", "i32"),
            "u16" => ("i32.load16_u", "i32.store16", "i32"),
            "s16" => ("i32.load16_s", "i32.store16", "i32"),
            "u64" | "s64" => ("i64.load", "i64.store", "i64"),
            "f32" => ("f32.load", "f32.store", "f32"),
            "f64" => ("f64.load", "f64.store", "f64"),
            _ => ("i32.load", "i32.store", "i32"),
        },
        Type::Flags(..=8) => ("i32.load8_u", "i32.store8", "i32"),
        Type::Flags(..=16) => ("i32.load16_u", "i32.store16", "i32"),
        _ => ("i32.load", "i32.store", "i32"),
    }
}

/// The code for each case of the variant whose discriminant lies there.
fn by_case(ty: &Type, base: &str, offset: u32, mut code: impl FnMut(&Type) -> String) -> String {
    let mut text = String::new();
    for (nth, payload) in ty.cases().into_iter().flatten().enumerate() {
        if let Some(payload) = payload {
            let code = code(payload);
            let _ = write!(text, "(if (i32.eq (i32.load8_u offset={offset} {base}) (i32.const {nth})) (then {code}))");
        }
    }
    text
}

/// Mixes the value that lies there into the hash, and keeps its handles.
pub(super) fn look(ty: &Type, base: &str, offset: u32, lists: &mut Lists) -> String {
    match ty {
        Type::String => format!("(call $hash-string (i32.add {base} (i32.const {offset})))"),
        Type::List(element) => {
            format!("(call $h{} (i32.add {base} (i32.const {offset})))", lists.id(element))
        }
        Type::Record(_, fields) => {
            offsets(fields).into_iter().map(|(at, field)| look(field, base, offset + at, lists)).collect()
        }
        Type::Own(kind) => {
            format!("(call $owned (i32.const {}) (i32.load offset={offset} {base}))", *kind as u8)
        }
        Type::Borrow(kind) => {
            format!("(call $lent (i32.const {}) (i32.load offset={offset} {base}))", *kind as u8)
        }
        Type::End(elements) => {
            format!("(call $receive (i32.const {}) (i32.load offset={offset} {base}))", elements.number())
        }
        Type::Scalar(_) | Type::Flags(_) => match access(ty) {
            (_, _, "i64" | "f64") => format!("(call $mix (i64.load offset={offset} {base}))"),
            (_, _, "f32") => format!("(call $mix (i64.load32_u offset={offset} {base}))"),
            (load, ..) => format!("(call $mix (i64.extend_i32_s ({load} offset={offset} {base})))"),
        },
        _ => {
            let disc = format!("(call $mix (i64.load8_u offset={offset} {base}))");
            disc + &by_case(ty, base, offset, |payload| look(payload, base, offset + ty.payload(), lists))
        }
    }
}

/// Puts a random value there.
pub(super) fn make(ty: &Type, base: &str, offset: u32, lists: &mut Lists) -> String {
    let long = "(i64.or (i64.shl (i64.extend_i32_u (call $rand)) (i64.const 32)) (i64.extend_i32_u (call $rand)))";
    match ty {
        Type::String => format!("(call $make-string (i32.add {base} (i32.const {offset})))"),
        Type::List(element) => format!("(call $m{} (i32.add {base} (i32.const {offset})))", lists.id(element)),
        Type::Record(_, fields) => {
            offsets(fields).into_iter().map(|(at, field)| make(field, base, offset + at, lists)).collect()
        }
        Type::Own(kind) => format!("(i32.store offset={offset} {base} (call $give (i32.const {})))", *kind as u8),
        Type::Borrow(kind) => format!("(i32.store offset={offset} {base} (call $lend (i32.const {})))", *kind as u8),
        Type::End(elements) => {
            format!("(i32.store offset={offset} {base} (call $begin (i32.const {})))", elements.number())
        }
        // More than one byte is true.
        Type::Scalar("bool") => format!("(i32.store8 offset={offset} {base} (i32.and (call $rand) (i32.const 3)))"),
        Type::Scalar("char") => format!(
            "(i32.store offset={offset} {base} (select (i32.const 0xd800) (i32.rem_u (call $rand) (i32.const 0xd000))
               (call $mis (global.get $BadChar))))"
        ),
        Type::Scalar(_) | Type::Flags(_) => match access(ty) {
            (_, _, "i64" | "f64") => format!("(i64.store offset={offset} {base} {long})"),
            (_, _, "f32") => format!("(i32.store offset={offset} {base} (call $rand))"),
            (_, store, _) => format!("({store} offset={offset} {base} (call $rand))"),
        },
        _ => {
            let count = ty.cases().map_or(1, |cases| cases.len());
            let disc = format!("(i32.store8 offset={offset} {base} (i32.rem_u (call $rand) (i32.const {count})))");
            let payloads = by_case(ty, base, offset, |payload| make(payload, base, offset + ty.payload(), lists));
            let at = format!("(i32.add {base} (i32.const {offset}))");
            format!("{disc} {payloads} (call $case-made {at} (i32.const {count}))")
        }
    }
}

/// From memory into core parameters.
pub(super) fn load(ty: &Type, base: &str, offset: u32, slots: &Slots) -> String {
    match ty {
        Type::String | Type::List(_) => format!(
            "(local.set {} {}) (local.set {} {})",
            slots[0].0,
            widened(&format!("(i32.load offset={offset} {base})"), "i32", slots[0].1),
            slots[1].0,
            widened(&format!("(i32.load offset={} {base})", offset + 4), "i32", slots[1].1),
        ),
        Type::Record(_, fields) => {
            let mut next = 0;
            let mut text = String::new();
            for (at, field) in offsets(fields) {
                text += &load(field, base, offset + at, &slots[next..]);
                next += field.flat().len();
            }
            text
        }
        Type::Scalar(_) | Type::Flags(_) | Type::Own(_) | Type::Borrow(_) | Type::End(_) => {
            let (load, _, core) = access(ty);
            let mut value = format!("({load} offset={offset} {base})");
            if matches!(ty, Type::Scalar("u8" | "u16")) {
                // The bits above are nobody's.
                value = format!("(i32.or {value} (i32.const 0x55550000))");
            }
            format!("(local.set {} {})", slots[0].0, widened(&value, core, slots[0].1))
        }
        _ => {
            let disc = widened(&format!("(i32.load8_u offset={offset} {base})"), "i32", slots[0].1);
            let mut text = format!("(local.set {} {disc})", slots[0].0);
            for (name, ty) in &slots[1..ty.flat().len()] {
                let _ = write!(text, "(local.set {name} ({ty}.const 0))");
            }
            text + &by_case(ty, base, offset, |payload| load(payload, base, offset + ty.payload(), &slots[1..]))
        }
    }
}

/// From core parameters into memory.
pub(super) fn store(ty: &Type, base: &str, offset: u32, slots: &Slots) -> String {
    match ty {
        Type::String | Type::List(_) => format!(
            "(i32.store offset={offset} {base} {}) (i32.store offset={} {base} {})",
            narrowed(&slots[0], "i32"),
            offset + 4,
            narrowed(&slots[1], "i32")
        ),
        Type::Record(_, fields) => {
            let mut next = 0;
            let mut text = String::new();
            for (at, field) in offsets(fields) {
                text += &store(field, base, offset + at, &slots[next..]);
                next += field.flat().len();
            }
            text
        }
        Type::Scalar(_) | Type::Flags(_) | Type::Own(_) | Type::Borrow(_) | Type::End(_) => {
            let (_, store, core) = access(ty);
            format!("({store} offset={offset} {base} {})", narrowed(&slots[0], core))
        }
        _ => {
            let disc = format!("(i32.store8 offset={offset} {base} {})", narrowed(&slots[0], "i32"));
            disc + &by_case(ty, base, offset, |payload| store(payload, base, offset + ty.payload(), &slots[1..]))
        }
    }
}

fn widened(value: &str, from: &str, to: &str) -> String {
    match (from, to) {
        ("f32", "i32") => format!("(i32.reinterpret_f32 {value})"),
        ("f32", "i64") => format!("(i64.extend_i32_u (i32.reinterpret_f32 {value}))"),
        ("i32", "i64") => format!("(i64.extend_i32_u {value})"),
        ("f64", "i64") => format!("(i64.reinterpret_f64 {value})"),
        _ => value.into(),
    }
}

fn narrowed((name, from): &(String, &'static str), to: &str) -> String {
    let value = format!("(local.get {name})");
    match (*from, to) {
        ("i32", "f32") => format!("(f32.reinterpret_i32 {value})"),
        ("i64", "f32") => format!("(f32.reinterpret_i32 (i32.wrap_i64 {value}))"),
        ("i64", "i32") => format!("(i32.wrap_i64 {value})"),
        ("i64", "f64") => format!("(f64.reinterpret_i64 {value})"),
        _ => value,
    }
}
