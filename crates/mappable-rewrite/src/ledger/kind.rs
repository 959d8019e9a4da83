//! The kinds of handles.

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

/// What there is one of for each kind is called: `drop-frozen`, with `"drop-"` for the verb.
macro_rules! name_of_each {
    ($verb:literal, $kind:expr) => {{
        use $crate::ledger::kind::Kind;
        match $kind {
            Kind::Mappable => concat!($verb, "mappable"),
            Kind::Mapping => concat!($verb, "mapping"),
            Kind::Frozen => concat!($verb, "frozen"),
            Kind::FrozenMapping => concat!($verb, "frozen-mapping"),
        }
    }};
}
pub(crate) use name_of_each;

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Mappable, Kind::Mapping, Kind::Frozen, Kind::FrozenMapping];

    /// What the package calls the resource type.
    pub(crate) fn package_name(self) -> &'static str {
        name_of_each!("", self)
    }
}
