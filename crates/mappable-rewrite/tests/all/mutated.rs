//! Hostile bytes: whatever a component is turned into, it is refused or rewritten, and nothing panics.

use std::sync::LazyLock;

use mappable_rewrite::{inspect, verify};
use proptest::prelude::*;

use crate::ledger::auto_is_sound;
use crate::support::{check_output, gate, golden_inputs, rewrite};

/// The golden inputs and what becomes of them.
static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let inputs: Vec<_> = golden_inputs().into_iter().map(|(_, bytes)| bytes).collect();
    let outputs: Vec<_> =
        inputs.iter().filter_map(|input| Some(rewrite(input, &gate()).ok()?.bytes.into_owned())).collect();
    [inputs, outputs].concat()
});

#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Add(prop::sample::Index, i8),
    Remove(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Truncate(prop::sample::Index),
    /// Copies a range of another component of the corpus over what is there.
    Splice(prop::sample::Index, prop::sample::Index, prop::sample::Index, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use Mutation::*;
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, byte)| Set(at, byte)),
        6 => (index(), -2i8..=2).prop_map(|(at, by)| Add(at, by)),
        1 => (index(), 1u8..8).prop_map(|(at, len)| Remove(at, len)),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, b)| Insert(at, b)),
        1 => index().prop_map(Truncate),
        1 => (index(), index(), index(), 1u8..32).prop_map(|(a, b, c, len)| Splice(a, b, c, len)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(len)] = *byte,
        Mutation::Add(at, by) => {
            let byte = &mut bytes[at.index(len)];
            *byte = byte.wrapping_add_signed(*by);
        }
        Mutation::Remove(at, count) => {
            let at = at.index(len);
            bytes.drain(at..len.min(at + usize::from(*count)));
        }
        Mutation::Insert(at, new) => {
            let at = at.index(len);
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Truncate(at) => bytes.truncate(at.index(len)),
        Mutation::Splice(at, other, from, count) => {
            let other = other.get(&CORPUS);
            let from = from.index(other.len());
            let to = other.len().min(from + usize::from(*count));
            let at = at.index(len);
            let end = len.min(at + (to - from));
            bytes.splice(at..end, other[from..to].iter().copied());
        }
    }
}

/// Some thousand cases, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: 6000, ..default },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_input_panics_and_every_output_is_sound(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let mut bytes = which.get(&CORPUS).clone();
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        let _ = verify(&bytes);
        let inspected = inspect(&bytes).is_ok();
        auto_is_sound(&bytes);
        match rewrite(&bytes, &gate()) {
            Ok(rewritten) => {
                prop_assert!(inspected);
                if rewritten.changed() {
                    verify(&rewritten.bytes).unwrap();
                    prop_assert!(!rewrite(&rewritten.bytes, &gate()).unwrap().changed());
                }
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn the_corpus_itself_is_sound() {
    for bytes in CORPUS.iter() {
        if let Ok(rewritten) = rewrite(bytes, &gate())
            && !rewritten.changed()
        {
            check_output(bytes, bytes);
        }
    }
}
