//! `mappable:data/shared`: the data sets that are held once and seen by all instances.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result};
use mappable::{Frozen, FrozenHandle, MappableView, Runtime};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::instance::Request;
use crate::failure::{Exit, fail};

/// `NAME=FILE`.
#[derive(Clone, Debug)]
pub(super) struct Named {
    name: String,
    file: PathBuf,
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: PathBuf::from(file) })
            }
            _ => Err("write NAME=FILE"),
        }
    }
}

/// Data sets by name.
pub(super) struct Shared(HashMap<String, Frozen>);

impl Shared {
    /// Reads the files, each into memory that is frozen from then on.
    pub(super) fn read(runtime: &Runtime, named: &[Named]) -> Result<Self> {
        let mut sets = HashMap::with_capacity(named.len());
        for Named { name, file } in named {
            let read = || Frozen::from_file(runtime, &File::open(file)?);
            let frozen = read().with_context(|| format!("--frozen {name}={}", file.display()))?;
            if sets.insert(name.clone(), frozen).is_some() {
                return Err(fail(Exit::Usage, format!("--frozen {name}: there are two of that name")));
            }
        }
        Ok(Self(sets))
    }

    /// How many bytes it takes to map each once, where a guest's placements are aligned to huge pages.
    pub(super) fn room(&self) -> u64 {
        self.0.values().map(|frozen| frozen.size() + HUGE_PAGE).sum()
    }
}

const HUGE_PAGE: u64 = 2 << 20;

/// Adds the interface.
pub(super) fn add_to_linker(linker: &mut Linker<Request>) -> wasmtime::Result<()> {
    let get =
        |mut store: StoreContextMut<'_, Request>, (name,): (String,)| -> wasmtime::Result<(Option<FrozenHandle>,)> {
            let request = store.data_mut();
            let Some(frozen) = request.shared.0.get(&name).cloned() else { return Ok((None,)) };
            Ok((Some(request.mappable().try_insert_frozen(frozen)?),))
        };
    linker.instance("mappable:data/shared@0.1.0")?.func_wrap("get", get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_has_a_name_and_a_file() {
        let named = Named::from_str("a=b=c").unwrap();
        assert_eq!((named.name.as_str(), named.file), ("a", PathBuf::from("b=c")));
        for wrong in ["", "a", "a=", "=b"] {
            assert!(Named::from_str(wrong).is_err(), "{wrong}");
        }
    }
}
