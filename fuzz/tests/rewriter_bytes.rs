//! Any bytes: the rewriter refuses them or rewrites them soundly. It never panics, and never takes long.

use arbitrary::{Result, Unstructured};
use mappable_fuzz::closed;
use mappable_fuzz::corpus::CORPUS;
use mappable_fuzz::mutate::{deep, mutated, rejoined};
use mappable_fuzz::soundness::{Form, check};

/// What the bytes of an input stand for.
fn input(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut u = Unstructured::new(bytes);
    Ok(match u.int_in_range(0..=15)? {
        0 => u.take_rest().to_vec(),
        // Sections of a component.
        1 => [b"\0asm\x0d\0\x01\0", u.take_rest()].concat(),
        2 => deep(&mut u)?,
        _ => mutated(&mut u)?,
    })
}

#[test]
fn rewriter_bytes() {
    mappable_fuzz::check!(2048, |bytes| {
        if let Ok(input) = input(bytes) {
            let _ = mappable_rewrite::verify(&input);
            let _ = check(&input, Form::Any);
            closed::check(&input);
        }
    });
}

#[test]
fn the_corpus_itself_is_sound() {
    let rewritten = CORPUS.iter().filter(|input| check(input, Form::Canonical).is_ok());
    assert!(rewritten.count() > 20);
}

#[test]
fn what_is_taken_apart_is_put_together_again() {
    let whole = CORPUS.iter().filter(|input| rejoined(input).is_some_and(|joined| joined == **input));
    assert!(whole.count() > 40);
}
