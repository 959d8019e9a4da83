//! Core modules and memories, as reports have them: plain data.

use std::fmt;

/// A core module that a component defines.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ModuleReport {
    /// Its index in the component's index space of core modules.
    pub index: u32,
    /// Its name, where its `name` section has one.
    pub name: Option<String>,
    /// Whether it is the refresh.
    pub refresh: bool,
    /// The memories that it defines itself, in order.
    pub memories: Vec<MemoryType>,
    /// Which of those get a maximum ([`BOUNDED_PAGES`](crate::BOUNDED_PAGES)), for nothing is mapped into them.
    pub bounded: Vec<usize>,
    /// How many of its loops find the base of their memory loaded, by a preload in front of them.
    pub preloads: usize,
}

/// A core memory's type. Whether a memory can be swapped, remapped or only copied to is decided by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryType {
    /// In pages, when it is made.
    pub minimum: u64,
    /// In pages, if it is declared.
    pub maximum: Option<u64>,
    /// Whether addresses have 64 bits.
    pub memory64: bool,
    /// Whether threads share it.
    pub shared: bool,
    /// The logarithm of the page size in bytes, if it is declared. If not, it is 16.
    pub page_size_log2: Option<u32>,
}

impl From<wasmparser::MemoryType> for MemoryType {
    fn from(ty: wasmparser::MemoryType) -> Self {
        MemoryType {
            minimum: ty.initial,
            maximum: ty.maximum,
            memory64: ty.memory64,
            shared: ty.shared,
            page_size_log2: ty.page_size_log2,
        }
    }
}

/// In the words of the text format: `i64 1 16 shared (pagesize 1)`.
impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.memory64 {
            f.write_str("i64 ")?;
        }
        write!(f, "{}", self.minimum)?;
        if let Some(maximum) = self.maximum {
            write!(f, " {maximum}")?;
        }
        if self.shared {
            f.write_str(" shared")?;
        }
        match self.page_size_log2 {
            Some(log2) => write!(f, " (pagesize {})", 1u64.checked_shl(log2).unwrap_or(0)),
            None => Ok(()),
        }
    }
}
