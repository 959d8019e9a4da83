//! The gate: the name under which the host offers its functions to rewritten components alone.
//!
//! A component asks for `mappable:memory/types@0.1.0`, which no host has. The rewriter makes that
//! `mappable:<key>/types@0.1.0`, and the host registers its functions under that name only, with a key that it draws
//! at random for the process: what was never rewritten can't link. Versions are kept, so the engine's rules about
//! compatible ones hold as before.

use crate::error::{ImportError, RewriteError, broken};
use crate::ledger::interface::INTERFACE;
use crate::package::VERSION;

/// The package whose names are gated, up to the interface.
const PUBLIC: &str = "mappable:memory/";
/// The package name of [`PUBLIC`], which can't be a key.
const PUBLIC_KEY: &str = "memory";

/// A gate: a secret package name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// `mappable:<key>/`
    prefix: String,
}

impl Gate {
    /// A gate whose names are of the package `mappable:<key>`. [The first example](crate) makes one.
    ///
    /// # Errors
    ///
    /// `key` must be a lowercase kebab label (`[a-z][a-z0-9]*`, words joined by `-`), and not `memory`.
    pub fn new(key: &str) -> Result<Gate, GateKeyError> {
        if !is_lower_kebab(key) {
            return Err(GateKeyError::NotKebab(key.to_owned()));
        }
        if key == PUBLIC_KEY {
            return Err(GateKeyError::Public);
        }
        Ok(Gate { prefix: format!("mappable:{key}/") })
    }

    /// A gate that none of these names is behind. It is no secret: for what is tried and thrown away.
    pub(crate) fn unlike(names: &[&str]) -> Result<Gate, RewriteError> {
        let gates = (0..=names.len()).map(|number| Gate { prefix: format!("mappable:try{number}/") });
        let is_free = |gate: &Gate| !names.iter().any(|name| name.starts_with(&gate.prefix));
        gates.into_iter().find(is_free).ok_or_else(|| broken!("more gates than names are taken"))
    }

    /// The name to register an interface under: of `types@0.1.0`, `mappable:<key>/types@0.1.0`. [The first example](crate)
    /// asks for it.
    pub fn import_name(&self, interface: &str) -> String {
        format!("{}{interface}", self.prefix)
    }

    /// Whether `name` is a gated one of the host's side of the ledger, of whatever version.
    pub(crate) fn is_ledger(&self, name: &str) -> bool {
        name.strip_prefix(self.prefix.as_str()).is_some_and(names_ledger)
    }

    /// What a root import called `name` becomes, if it is one of our package's.
    pub(crate) fn rename(&self, name: &str) -> Option<String> {
        offered(name).map(|interface| self.import_name(interface))
    }
}

/// The new names of the outermost component's imports, as a gate has them.
#[derive(Debug, Default)]
pub(crate) struct Renames(Vec<(String, String)>);

impl Renames {
    /// Renames the imports of our package.
    ///
    /// # Errors
    ///
    /// What no component may import: the host's side of the ledger, another version of the package than the host
    /// offers, or both a name and what the gate makes of it.
    pub(crate) fn new(imports: &[&str], gate: &Gate) -> Result<Self, ImportError> {
        let mut renames = Vec::new();
        for &name in imports {
            let import = name.to_owned();
            // With the gate's name it would be given it.
            if is_ledger(name) || gate.is_ledger(name) {
                return Err(ImportError::LedgerInterface { import });
            }
            // The engine would say that a name is missing which the gate has made.
            if is_package(name) && !is_offered(name) {
                return Err(ImportError::OtherVersion { import });
            }
            if let Some(gated) = gate.rename(name) {
                if imports.contains(&gated.as_str()) {
                    return Err(ImportError::GateNameTaken { import });
                }
                renames.push((import, gated));
            }
        }
        Ok(Self(renames))
    }

    /// The new name of an import of the outermost component, if it has one.
    pub(crate) fn of(&self, import: &str) -> Option<&str> {
        self.0.iter().find(|(old, _)| old == import).map(|(_, new)| new.as_str())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether an import called `name` is one that a gate renames.
pub(crate) fn is_public(name: &str) -> bool {
    offered(name).is_some()
}

/// Whether a root import called `name` is the interface of which all types and functions of ours are.
pub(crate) fn is_package(name: &str) -> bool {
    let interface = name.rsplit_once('/').map_or("", |(_, interface)| interface);
    is_public(name) && (interface == "types" || interface.starts_with("types@"))
}

/// Whether the version that a root import of the package asks for is compatible with [`VERSION`], as the engine has it:
/// below 1.0.0, one whose first two numbers are the same.
pub(crate) fn is_offered(name: &str) -> bool {
    let Some((_, version)) = name.rsplit_once('@') else { return false };
    let track = |version: &str| version.splitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let is_release = !version.split('+').next().unwrap_or_default().contains('-');
    version == VERSION || is_release && track(version) == track(VERSION)
}

/// The interface of the package that an import asks for. What the host offers to trusted modules alone is none of it:
/// under the gate's name a component could link to it.
fn offered(name: &str) -> Option<&str> {
    name.strip_prefix(PUBLIC).filter(|interface| !names_ledger(interface))
}

/// Whether an import called `name` would become, behind a gate, the host's side of the ledger, of whatever version.
pub(crate) fn is_ledger(name: &str) -> bool {
    name.strip_prefix(PUBLIC).is_some_and(names_ledger)
}

/// Whether an interface, with or without a version, or what is within it, is the ledger's.
fn names_ledger(interface: &str) -> bool {
    let name = interface.split(['@', '/']).next().unwrap_or_default();
    let ledger = INTERFACE.split('@').next().unwrap_or_default();
    name.eq_ignore_ascii_case(ledger)
}

fn is_lower_kebab(label: &str) -> bool {
    label.split('-').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// Why a [`Gate`] was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GateKeyError {
    /// The key is not a lowercase kebab label.
    #[error("a gate's key must be a lowercase kebab label such as `k3-f00`, which `{0}` is not")]
    NotKebab(String),
    /// The key is `memory`: every component knows that name.
    #[error("a gate's key can't be `memory`, the name that every component knows")]
    Public,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lowercase_kebab_labels() {
        for good in ["a", "k0123456789abcdef", "two-words", "a1-b2"] {
            assert!(Gate::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "a--b", "A", "1a", "a-1", "a_b", "a/b", "ä", "a b", "memory"] {
            assert!(Gate::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_compatible_version_is_offered() {
        for good in ["0.1.0", "0.1.9", "0.1.10", "0.1.2+b-1"] {
            assert!(is_offered(&format!("mappable:memory/types@{good}")), "{good}");
        }
        for bad in ["0.2.0", "0.10.0", "1.0.0", "1.1.0", "0.1.0-rc.1", "0.0.1"] {
            assert!(!is_offered(&format!("mappable:memory/types@{bad}")), "{bad}");
        }
        assert!(!is_offered("mappable:memory/types"));
    }

    #[test]
    fn names_of_the_package_keep_interface_and_version() {
        let gate = Gate::new("k1").unwrap();
        let renamed = |name| gate.rename(name);
        assert_eq!(renamed("mappable:memory/types@0.1.9").as_deref(), Some("mappable:k1/types@0.1.9"));
        assert_eq!(renamed("mappable:memory/types@0.1.9"), Some(gate.import_name("types@0.1.9")));
        assert_eq!(renamed("mappable:memory/types").as_deref(), Some("mappable:k1/types"));
        // What is for trusted modules is refused; were it not, it would keep a name that nobody offers.
        for ledger in ["mappable:memory/ledger@0.1.0", "mappable:memory/ledger", "mappable:memory/LEDGER@9.0.0"] {
            assert_eq!(renamed(ledger), None, "{ledger}");
            assert!(is_ledger(ledger) && !is_public(ledger), "{ledger}");
            assert!(gate.is_ledger(&ledger.replace("memory", "k1")), "{ledger}");
        }
        for other in ["mappable:memory/types@0.1.0", "mappable:memory/ledgers", "other:memory/ledger@0.1.0"] {
            assert!(!is_ledger(other) && !gate.is_ledger(other), "{other}");
        }
        for other in ["mappable:k1/types@0.1.0", "mappable:memory-x/types@0.1.0", "wasi:cli/run@0.2.0", "types"] {
            assert_eq!(renamed(other), None, "{other}");
        }
    }
}
