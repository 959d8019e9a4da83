//! Types of the Component Model: made at random, written as text, and laid out as the canonical ABI has it.
//!
//! The layout is written down a second time here, on purpose: it shares nothing with the rewriter's.

use std::collections::BTreeSet;
use std::fmt::Write;

use arbitrary::{Result, Unstructured};

/// A resource of ours. The numbers are those that guests keep handles by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// All, in order of their numbers.
    pub const ALL: [Kind; 4] = [Kind::Mappable, Kind::Mapping, Kind::Frozen, Kind::FrozenMapping];

    /// In the package.
    pub fn name(self) -> &'static str {
        ["mappable", "mapping", "frozen", "frozen-mapping"][self as usize - 1]
    }
}

/// A value's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// By its name in text.
    Scalar(&'static str),
    /// A string.
    String,
    /// A list.
    List(Box<Type>),
    /// A record if it has a name, else a tuple.
    Record(bool, Vec<Type>),
    /// A variant, with each case's payload.
    Variant(Vec<Option<Type>>),
    /// An enum of so many cases.
    Enum(usize),
    /// An option.
    Option(Box<Type>),
    /// A result.
    Result(Option<Box<Type>>, Option<Box<Type>>),
    /// Flags of so many labels.
    Flags(usize),
    /// A handle that moves.
    Own(Kind),
    /// A handle that is lent.
    Borrow(Kind),
    /// The readable end of a stream or a future.
    End(Elements),
}

/// What a stream or a future has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elements {
    /// Whether it is a future.
    pub future: bool,
    /// Handles that move.
    pub kind: Kind,
    /// Whether each has a number with it, in a tuple.
    pub numbered: bool,
}

impl Elements {
    /// Those that there are. Guests call them by their places in here.
    pub const ALL: [Elements; 6] = [
        Elements { future: false, kind: Kind::Mappable, numbered: false },
        Elements { future: false, kind: Kind::Frozen, numbered: false },
        Elements { future: true, kind: Kind::Mappable, numbered: false },
        Elements { future: true, kind: Kind::Frozen, numbered: false },
        Elements { future: false, kind: Kind::Mappable, numbered: true },
        Elements { future: true, kind: Kind::Frozen, numbered: true },
    ];

    /// Its place in [`Elements::ALL`].
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|it| *it == self).expect("it is one of them")
    }

    /// As text: `stream<mappable>` and the like.
    pub fn name(self) -> String {
        let Elements { future, kind, numbered } = self;
        let (what, number) = (if future { "future" } else { "stream" }, if numbered { ", u32" } else { "" });
        format!("{what}<{}{number}>", kind.name())
    }

    /// In the text format.
    pub fn text(self, kind: &str) -> String {
        let what = if self.future { "future" } else { "stream" };
        match self.numbered {
            true => format!("({what} (tuple (own {kind}) u32))"),
            false => format!("({what} (own {kind}))"),
        }
    }
}

const SCALARS: [&str; 12] = ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char"];

/// What a type may have in it.
#[derive(Clone, Copy, Debug)]
pub struct May {
    /// Own handles.
    pub own: bool,
    /// Borrowed handles.
    pub borrow: bool,
    /// Readable ends of streams and futures.
    pub ends: bool,
}

impl Type {
    /// Makes one, with no more than so many constructors in each other.
    ///
    /// # Errors
    ///
    /// Those of `u`.
    pub fn arbitrary(u: &mut Unstructured<'_>, depth: usize, may: May) -> Result<Type> {
        if may.ends && u.ratio(1, 4)? {
            return Ok(Type::End(*u.choose(&Elements::ALL)?));
        }
        if (may.own || may.borrow) && u.ratio(2, 5)? {
            let kinds =
                [Kind::Mappable, Kind::Frozen, Kind::Mappable, Kind::Frozen, Kind::Mapping, Kind::FrozenMapping];
            let borrow = may.borrow && (!may.own || u.arbitrary()?);
            // Who is lent a mapping could do nothing with it.
            let count = if !borrow && u.ratio(1, 4)? { 6 } else { 4 };
            let kind = kinds[u.choose_index(count)?];
            return Ok(if borrow { Type::Borrow(kind) } else { Type::Own(kind) });
        }
        if depth == 0 {
            return Type::scalar(u);
        }
        let inner = |u: &mut Unstructured<'_>| Type::arbitrary(u, depth - 1, may);
        let boxed = |u: &mut Unstructured<'_>| inner(u).map(Box::new);
        Ok(match u.int_in_range(0..=13)? {
            0 | 1 => Type::List(boxed(u)?),
            // Of plain data.
            2 => Type::List(Box::new(Type::Scalar(SCALARS[1 + u.choose_index(10)?]))),
            3 => {
                let fields = (0..u.int_in_range(1..=3)?).map(|_| Ok(Type::Scalar(SCALARS[1 + u.choose_index(10)?])));
                let fields = fields.collect::<Result<_>>()?;
                Type::List(Box::new(Type::Record(u.arbitrary()?, fields)))
            }
            4 => Type::String,
            5 | 6 => {
                let fields = (0..u.int_in_range(1..=4)?).map(|_| inner(u)).collect::<Result<_>>()?;
                Type::Record(u.arbitrary()?, fields)
            }
            7 => {
                let cases = 0..u.int_in_range(1..=4)?;
                Type::Variant(
                    cases.map(|_| if u.ratio(2, 3)? { inner(u).map(Some) } else { Ok(None) }).collect::<Result<_>>()?,
                )
            }
            8 => Type::Enum(u.int_in_range(1..=9)?),
            9 => Type::Option(boxed(u)?),
            10 => {
                let ok = if u.ratio(3, 4)? { Some(boxed(u)?) } else { None };
                Type::Result(ok, if u.arbitrary()? { Some(boxed(u)?) } else { None })
            }
            11 => Type::Flags(u.int_in_range(1..=32)?),
            _ => Type::scalar(u)?,
        })
    }

    /// Makes a number, char or bool.
    ///
    /// # Errors
    ///
    /// Those of `u`.
    pub fn scalar(u: &mut Unstructured<'_>) -> Result<Type> {
        Ok(Type::Scalar(SCALARS[u.choose_index(SCALARS.len())?]))
    }

    /// The payloads of a variant of any sort, each case's.
    pub fn cases(&self) -> Option<Vec<Option<&Type>>> {
        Some(match self {
            Type::Variant(cases) => cases.iter().map(Option::as_ref).collect(),
            Type::Enum(count) => vec![None; *count],
            Type::Option(some) => vec![None, Some(some)],
            Type::Result(ok, error) => vec![ok.as_deref(), error.as_deref()],
            _ => return None,
        })
    }

    /// In bytes.
    pub fn align(&self) -> u32 {
        match self {
            Type::String | Type::List(_) | Type::Own(_) | Type::Borrow(_) | Type::End(_) => 4,
            Type::Record(_, fields) => fields.iter().map(Type::align).max().unwrap_or(1),
            Type::Flags(..=8) => 1,
            Type::Flags(..=16) => 2,
            Type::Flags(_) => 4,
            Type::Scalar(name) => match *name {
                "bool" | "u8" | "s8" => 1,
                "u16" | "s16" => 2,
                "u64" | "s64" | "f64" => 8,
                _ => 4,
            },
            _ => self.cases().into_iter().flatten().flatten().map(Type::align).max().unwrap_or(1),
        }
    }

    /// In bytes.
    pub fn size(&self) -> u32 {
        match self {
            Type::String | Type::List(_) => 8,
            Type::Record(_, fields) => {
                let end = offsets(fields).last().map_or(0, |(offset, field)| offset + field.size());
                end.next_multiple_of(self.align())
            }
            Type::Scalar(_) | Type::Flags(_) | Type::Own(_) | Type::Borrow(_) | Type::End(_) => self.align(),
            _ => {
                let payload = self.cases().into_iter().flatten().flatten().map(Type::size).max().unwrap_or(0);
                (self.payload() + payload).next_multiple_of(self.align())
            }
        }
    }

    /// Where a variant's payload begins. None of ours has more than 256 cases.
    pub fn payload(&self) -> u32 {
        self.align()
    }

    /// What it is in core values.
    pub fn flat(&self) -> Vec<&'static str> {
        match self {
            Type::String | Type::List(_) => vec!["i32"; 2],
            Type::Record(_, fields) => fields.iter().flat_map(Type::flat).collect(),
            Type::Scalar(name) => vec![match *name {
                "u64" | "s64" => "i64",
                "f32" => "f32",
                "f64" => "f64",
                _ => "i32",
            }],
            Type::Flags(_) | Type::Own(_) | Type::Borrow(_) | Type::End(_) => vec!["i32"],
            _ => {
                let mut joined = vec!["i32"];
                for payload in self.cases().into_iter().flatten().flatten() {
                    for (index, ty) in payload.flat().into_iter().enumerate() {
                        match joined.get_mut(index + 1) {
                            None => joined.push(ty),
                            Some(known) if *known == ty => {}
                            Some(known) if matches!((*known, ty), ("i32", "f32") | ("f32", "i32")) => *known = "i32",
                            Some(known) => *known = "i64",
                        }
                    }
                }
                joined
            }
        }
    }

    /// Visits the type and all in it, with what each lies in.
    pub fn walk<'a>(&'a self, around: &mut Vec<&'static str>, visit: &mut impl FnMut(&'a Type, &[&'static str])) {
        visit(self, around);
        let (name, inner): (_, Vec<&Type>) = match self {
            Type::List(element) => ("list", vec![element]),
            Type::Record(true, fields) => ("record", fields.iter().collect()),
            Type::Record(false, fields) => ("tuple", fields.iter().collect()),
            Type::Variant(_) => ("variant", self.cases().into_iter().flatten().flatten().collect()),
            Type::Option(some) => ("option", vec![some]),
            Type::Result(..) => ("result", self.cases().into_iter().flatten().flatten().collect()),
            _ => return,
        };
        around.push(name);
        inner.into_iter().for_each(|ty| ty.walk(around, visit));
        around.pop();
    }

    /// Whether there is something of this sort in it, itself included.
    pub fn has(&self, what: impl Fn(&Type) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut vec![], &mut |ty, _| found |= what(ty));
        found
    }

    /// Whether it is a list that can be copied without a look at its elements.
    pub fn is_plain_list(&self) -> bool {
        let plain = |ty: &Type| match ty {
            Type::Scalar(name) => !["bool", "char"].contains(name),
            Type::Record(..) => true,
            _ => false,
        };
        matches!(self, Type::List(element) if !element.has(|ty| !plain(ty)))
    }
}

/// Each field and where it lies.
pub fn offsets(fields: &[Type]) -> Vec<(u32, &Type)> {
    let mut end = 0u32;
    let place = |field| {
        let offset = end.next_multiple_of(Type::align(field));
        end = offset + field.size();
        (offset, field)
    };
    fields.iter().map(place).collect()
}

/// A function's type.
#[derive(Clone, Debug)]
pub struct Function {
    /// A record of the parameters.
    pub params: Vec<Type>,
    /// What it gives.
    pub result: Option<Type>,
}

impl Function {
    /// The parameters' core types, and whether they are spilled.
    pub fn flat_params(&self) -> (Vec<&'static str>, bool) {
        let flat: Vec<_> = self.params.iter().flat_map(Type::flat).collect();
        if flat.len() > 16 { (vec!["i32"], true) } else { (flat, false) }
    }

    /// The result's core type, and whether it is spilled.
    pub fn flat_result(&self) -> (Option<&'static str>, bool) {
        let flat = self.result.as_ref().map(Type::flat).unwrap_or_default();
        if flat.len() > 1 { (Some("i32"), true) } else { (flat.first().copied(), false) }
    }
}

/// Writes types as text: those that must have a name as definitions `$t<n>`, in the same order each time.
pub struct Namer {
    /// Whether in the type of an instance, where each is exported as it is defined.
    pub in_type: bool,
    /// The definitions.
    pub definitions: String,
    /// How many.
    pub named: usize,
    /// Resources that were named.
    pub kinds: BTreeSet<Kind>,
    /// The numbers of [`Elements`] that have a definition, `$e<n>`.
    ends: Vec<usize>,
}

impl Namer {
    /// Nothing has a name yet.
    pub fn new(in_type: bool) -> Self {
        Self { in_type, definitions: String::new(), named: 0, kinds: BTreeSet::new(), ends: vec![] }
    }

    /// What stands for the type where it is used.
    pub fn text(&mut self, ty: &Type) -> String {
        match ty {
            Type::Scalar(name) => (*name).into(),
            Type::String => "string".into(),
            Type::List(element) => format!("(list {})", self.text(element)),
            Type::Record(false, fields) => format!("(tuple{})", self.texts(fields)),
            Type::Option(some) => format!("(option {})", self.text(some)),
            Type::Result(ok, error) => {
                let ok = ok.as_ref().map(|ty| self.text(ty)).unwrap_or_default();
                let error = error.as_ref().map(|ty| format!("(error {})", self.text(ty))).unwrap_or_default();
                format!("(result {ok} {error})")
            }
            Type::Own(kind) => format!("(own {})", self.kind(*kind)),
            Type::Borrow(kind) => format!("(borrow {})", self.kind(*kind)),
            Type::End(elements) => self.end(*elements),
            Type::Record(true, fields) => {
                let fields = fields.iter().map(|ty| self.text(ty)).collect::<Vec<_>>();
                self.name("record", fields.iter().enumerate().map(|(n, ty)| format!("(field \"a{n}\" {ty})")))
            }
            Type::Variant(cases) => {
                let cases: Vec<_> =
                    cases.iter().map(|case| case.as_ref().map(|ty| self.text(ty)).unwrap_or_default()).collect();
                self.name("variant", cases.iter().enumerate().map(|(n, ty)| format!("(case \"c{n}\" {ty})")))
            }
            Type::Enum(count) => self.name("enum", (0..*count).map(|n| format!("\"c{n}\""))),
            Type::Flags(count) => self.name("flags", (0..*count).map(|n| format!("\"g{n}\""))),
        }
    }

    fn texts(&mut self, types: &[Type]) -> String {
        types.iter().map(|ty| format!(" {}", self.text(ty))).collect()
    }

    fn kind(&mut self, kind: Kind) -> String {
        self.kinds.insert(kind);
        format!("${}", kind.name())
    }

    /// Not everything that takes a type takes it in place.
    fn end(&mut self, elements: Elements) -> String {
        let (n, kind) = (elements.number(), self.kind(elements.kind));
        if !self.ends.contains(&n) {
            self.ends.push(n);
            let _ = write!(self.definitions, "(type $e{n} {})", elements.text(&kind));
        }
        format!("$e{n}")
    }

    fn name(&mut self, what: &str, parts: impl Iterator<Item = String>) -> String {
        let (n, parts) = (self.named, parts.collect::<Vec<_>>().join(" "));
        self.named += 1;
        let _ = match self.in_type {
            true => write!(self.definitions, "(type $u{n} ({what} {parts})) (export \"t{n}\" (type $t{n} (eq $u{n})))"),
            false => write!(self.definitions, "(type $t{n} ({what} {parts}))"),
        };
        format!("$t{n}")
    }

    /// A function's parameters and result.
    pub fn function(&mut self, function: &Function) -> String {
        let params = function.params.iter().enumerate().map(|(n, ty)| format!("(param \"p{n}\" {})", self.text(ty)));
        let params: String = params.collect();
        let result = function.result.as_ref().map(|ty| format!("(result {})", self.text(ty)));
        format!("{params} {}", result.unwrap_or_default())
    }
}
