//! The bytes of an artifact, and nothing of what they do.
//!
//! ```text
//!   magic    8 bytes
//!   tag     32   keyed BLAKE3 of all that follows
//!   facts        text: what it was made by and for, a line each
//!   digits  32   those of the stand-in gate
//!   places       where in the code they are: a u64 each
//!   code         what `Engine::precompile_component` gave
//! ```
//!
//! Facts, places and code each come behind their length, a `u64`. Numbers are little-endian.

use std::borrow::Cow;

use super::super::gate::Digits;

const MAGIC: [u8; 8] = *b"mappable";
const TAG: usize = blake3::OUT_LEN;

/// An artifact, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Artifact<'a> {
    pub(super) facts: Cow<'a, str>,
    digits: Digits,
    /// Each with `digits` there, within the code.
    places: Vec<usize>,
    code: Cow<'a, [u8]>,
}

/// Why bytes were not taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    NotAnArtifact,
    /// The tag is not that of the bytes and the key.
    Damaged,
}

impl<'a> Artifact<'a> {
    /// Of code that has these digits wherever it is to have those of the gate.
    pub(super) fn new(facts: impl Into<Cow<'a, str>>, digits: &Digits, code: impl Into<Cow<'a, [u8]>>) -> Self {
        let (facts, code) = (facts.into(), code.into());
        let is_there = |(place, window): (usize, &[u8])| (window == digits).then_some(place);
        let places = code.windows(digits.len()).enumerate().filter_map(is_there).collect();
        Self { facts, digits: *digits, places, code }
    }

    pub(super) fn to_bytes(&self, key: &[u8; 32]) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.facts.len() + self.code.len() + 256);
        let length = |length: usize| (length as u64).to_le_bytes();
        body.extend(length(self.facts.len()));
        body.extend(self.facts.as_bytes());
        body.extend(self.digits);
        body.extend(length(self.places.len()));
        body.extend(self.places.iter().flat_map(|place| length(*place)));
        body.extend(length(self.code.len()));
        body.extend(&*self.code);
        let tag = blake3::keyed_hash(key, &body);
        [&MAGIC[..], tag.as_bytes(), &body].concat()
    }

    /// Takes apart what [`Artifact::to_bytes`] made with this key, and nothing else.
    pub(super) fn from_bytes(bytes: &'a [u8], key: &[u8; 32]) -> Result<Self, Unreadable> {
        let bytes = bytes.strip_prefix(&MAGIC).ok_or(Unreadable::NotAnArtifact)?;
        let (tag, body) = bytes.split_first_chunk::<TAG>().ok_or(Unreadable::Damaged)?;
        // In constant time: how much of a tag is right must not be measurable.
        if blake3::keyed_hash(key, body) != blake3::Hash::from_bytes(*tag) {
            return Err(Unreadable::Damaged);
        }
        Self::of_body(body).ok_or(Unreadable::Damaged)
    }

    fn of_body(mut body: &'a [u8]) -> Option<Self> {
        let rest = &mut body;
        let facts = str::from_utf8(take_counted(rest)?).ok()?;
        let digits = *take(rest)?;
        let count = take_length(rest)?;
        let (places, after) = rest.split_at_checked(count.checked_mul(size_of::<u64>())?)?;
        *rest = after;
        let (places, _) = places.as_chunks();
        let places: Option<Vec<_>> =
            places.iter().map(|place| usize::try_from(u64::from_le_bytes(*place)).ok()).collect();
        let code = take_counted(rest)?;
        let places = places?;
        let is_there = |place: &usize| code.get(*place..).is_some_and(|code| code.starts_with(&digits));
        let is_whole = rest.is_empty() && places.iter().all(is_there);
        is_whole.then_some(Self { facts: facts.into(), digits, places, code: code.into() })
    }

    /// The code, with another gate's digits in place of the stand-in's.
    pub(super) fn code_behind(&self, digits: &Digits) -> Vec<u8> {
        let mut code = self.code.to_vec();
        for place in &self.places {
            if let Some(there) = code.get_mut(*place..).and_then(|code| code.get_mut(..digits.len())) {
                there.copy_from_slice(digits);
            }
        }
        code
    }
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(taken)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(*take(rest)?)).ok()
}

fn take_counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest)?;
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const OURS: Digits = *b"0123456789abcdef0123456789abcdef";
    const THEIRS: Digits = *b"fedcba9876543210fedcba9876543210";

    /// Code with the digits between pieces of other bytes.
    fn code() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<u8>)> {
        let piece = prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::vec(piece, 1..5).prop_map(|pieces| {
            let code = pieces.join(&OURS[..]);
            (pieces, code)
        })
    }

    proptest! {
        #[test]
        fn what_was_put_together_comes_apart((_, code) in code(), facts in ".{0,40}") {
            let artifact = Artifact::new(facts.as_str(), &OURS, &code);
            let bytes = artifact.to_bytes(&KEY);
            prop_assert_eq!(Artifact::from_bytes(&bytes, &KEY), Ok(artifact));
        }

        #[test]
        fn only_the_digits_are_replaced((pieces, code) in code()) {
            let artifact = Artifact::new("", &OURS, &code);
            prop_assert_eq!(artifact.code_behind(&THEIRS), pieces.join(&THEIRS[..]));
        }

        #[test]
        fn no_byte_can_be_changed((_, code) in code(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut bytes = Artifact::new("facts", &OURS, &code).to_bytes(&KEY);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Artifact::from_bytes(&bytes, &KEY).is_err());
        }

        #[test]
        fn what_is_cut_off_or_added_is_missed((_, code) in code(), at in any::<prop::sample::Index>()) {
            let mut bytes = Artifact::new("facts", &OURS, &code).to_bytes(&KEY);
            prop_assert!(Artifact::from_bytes(&bytes[..at.index(bytes.len())], &KEY).is_err());
            bytes.push(0);
            prop_assert_eq!(Artifact::from_bytes(&bytes, &KEY), Err(Unreadable::Damaged));
        }

        /// Who has the key may write anything; nothing panics, and no place is outside of the code.
        #[test]
        fn any_body_is_taken_apart_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(artifact) = Artifact::of_body(&body) {
                artifact.code_behind(&THEIRS);
            }
        }
    }

    #[test]
    fn another_key_does_not_fit() {
        let bytes = Artifact::new("facts", &OURS, &b"code"[..]).to_bytes(&KEY);
        assert_eq!(Artifact::from_bytes(&bytes, &[8; 32]), Err(Unreadable::Damaged));
        assert_eq!(Artifact::from_bytes(b"\x7fELF", &KEY), Err(Unreadable::NotAnArtifact));
    }
}
