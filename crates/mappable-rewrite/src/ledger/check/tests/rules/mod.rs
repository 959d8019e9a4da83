//! Each rule, broken in several ways.

use super::*;

/// Shows for each `from => to` that such a thing is found.
macro_rules! finds {
    ($($pattern:pat => [$(($from:expr, $to:expr)),* $(,)?]),* $(,)?) => {
        $(
            let what = found(&[$(($from, $to)),*]);
            assert!(matches!(what, $pattern), "{what:?} is not {}", stringify!($pattern));
        )*
    };
}

mod modules;
mod wrappers;

/// The sound output with the first `from` in its text replaced, and that for each pair.
fn tampered(changes: &[(&str, &str)]) -> Vec<u8> {
    let mut text = sound();
    for (from, to) in changes {
        assert!(text.contains(from), "the output has no `{from}`");
        text = text.replacen(from, to, 1);
    }
    wat::parse_str(text).unwrap()
}

/// What is found in it. It is valid, or nothing would be shown.
fn found(changes: &[(&str, &str)]) -> Unsound {
    let output = tampered(changes);
    wasmparser::Validator::new_with_features(FEATURES).validate_all(&output).unwrap();
    match verdict(&output) {
        Err(RewriteError::Bug(Bug::Unsound { what, .. })) => what,
        other => panic!("{other:?} for {changes:?}"),
    }
}

/// The end of the components, to put something before.
const END_OF_B: &str = "    (core module $guest-plain ";
const END_OF_A: &str = "    (func (export \"run\") (param \"n\"";
const END_OF_ROOT: &str = "  (export \"run\" (func $a \"run\"))";

fn before(end: &str, addition: &str) -> String {
    format!("{addition}\n{end}")
}
