//! Each `tests/golden/NAME.wat` is rewritten to `NAME.out.wat`, or refused with the words of `NAME.err.txt`.
//! `BLESS=1` writes what is given now.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::support::{check_output, gate, golden_dir, golden_inputs, rewrite};

/// What `NAME.out.wat` says of a component that is given back as it is.
const UNCHANGED: &str = ";; unchanged\n";

#[test]
fn inputs_give_their_output_or_their_error() {
    let mut failures = Vec::new();
    for (name, input) in golden_inputs() {
        let out = golden_dir().join(format!("{name}.out.wat"));
        let err = golden_dir().join(format!("{name}.err.txt"));
        let (expected, other, given) = match rewrite(&input, &gate()) {
            Ok(rewritten) => {
                check_output(&input, &rewritten.bytes);
                let text = match rewritten.changed() {
                    true => wasmprinter::print_bytes(&rewritten.bytes).unwrap(),
                    false => UNCHANGED.to_owned(),
                };
                (out, err, text)
            }
            Err(error) => (err, out, format!("{}\n", chain(&error))),
        };
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, given).unwrap();
            let _ = fs::remove_file(other);
        } else {
            failures.extend(compare(&name, &expected, &other, &given));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn compare(name: &str, expected: &Path, other: &Path, given: &str) -> Option<String> {
    if other.exists() {
        return Some(format!("{name}: expected {}, got:\n{given}", other.display()));
    }
    let text = fs::read_to_string(expected).unwrap_or_default();
    (text != given).then(|| format!("{name}: expected:\n{text}\ngot:\n{given}"))
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
