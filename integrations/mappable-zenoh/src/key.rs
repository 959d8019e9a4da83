//! Keys: what values are published under, and patterns of them.

use std::fmt;
use std::str::FromStr;

use zenoh::key_expr::{KeyExpr, OwnedKeyExpr};

/// Why a text is no key, or no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is no key expression of Zenoh's.
    #[error("{0:?} is no key: {1}")]
    Malformed(String, String),
    /// It has a wildcard, and one key is asked for.
    #[error("{0:?} has a wildcard: values are published under one key (`Pattern` has wildcards)")]
    Wildcard(String),
    /// It is in the part of the space of keys that Zenoh keeps for itself.
    #[error("{0:?} is reserved: no part of a key begins with `@`")]
    Reserved(String),
}

/// The one key that a value is published or offered under, such as `camera/left`. Checked when it is made: parts that are not
/// empty, with `/` between them, without wildcards, and none of them beginning with `@`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(OwnedKeyExpr);

/// Which keys are meant: a key in which `*` stands for one part and `**` for any number of them, such as `camera/*` or `**`.
/// Checked when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(OwnedKeyExpr);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn expression(&self) -> KeyExpr<'static> {
        self.0.clone().into()
    }
}

impl Pattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether all keys of the other pattern are keys of this one.
    pub fn includes(&self, other: &Pattern) -> bool {
        self.0.includes(&other.0)
    }

    pub(crate) fn expression(&self) -> KeyExpr<'static> {
        self.0.clone().into()
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = checked(text)?;
        if key.is_wild() { Err(KeyError::Wildcard(text.to_owned())) } else { Ok(Self(key)) }
    }
}

impl FromStr for Pattern {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Ok(Self(checked(text)?))
    }
}

fn checked(text: &str) -> Result<OwnedKeyExpr, KeyError> {
    let key = OwnedKeyExpr::from_str(text).map_err(|error| KeyError::Malformed(text.to_owned(), error.to_string()))?;
    let is_reserved = key.split('/').any(|part| part.starts_with('@'));
    if is_reserved { Err(KeyError::Reserved(text.to_owned())) } else { Ok(key) }
}

/// The pattern whose only key is this one.
impl From<&Key> for Pattern {
    fn from(key: &Key) -> Self {
        Self(key.0.clone())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
