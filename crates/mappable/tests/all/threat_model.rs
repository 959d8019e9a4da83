//! The threat model names the test that shows each defence. What it names exists, and every attack that is tried is in
//! it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document() -> String {
    fs::read_to_string(crates().parent().unwrap().join("docs/src/threat-model.md")).unwrap()
}

/// What stands between backticks in a text without code blocks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Names of tests are sentences: they have more words than any function of ours.
fn is_test_name(word: &str) -> bool {
    let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    word.chars().all(of_name) && word.matches('_').count() >= 3
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The names of the tests in a source: a function with the attribute, or a rule for every setup.
fn tests_in(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if let Some((name, parameters)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) {
            if marked || parameters.starts_with("setup)") {
                found.insert(name.to_owned());
            }
            marked = false;
        }
        // Without a harness the attribute is a comment (`killed.rs`).
        marked |= line.trim_start_matches("// ") == "#[test]";
    }
    found
}

fn tests_under(directory: &Path) -> BTreeSet<String> {
    sources(directory).iter().flat_map(|path| tests_in(&fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let of = |directory: &str| tests_under(&crates().join(directory));
    let places = [
        "mappable/tests",
        "mappable/src",
        "mappable-rewrite/src",
        "mappable-rewrite/tests",
        "mappable-wasi/tests",
        "mappable-cli/tests",
        "../integrations/mappable-zenoh/src",
        "../integrations/mappable-zenoh/tests",
    ];
    let tests: BTreeSet<String> = places.into_iter().flat_map(of).collect();
    let document = document();
    let named: BTreeSet<&str> = quoted(&document).filter(|word| is_test_name(word)).collect();
    assert!(named.len() > 50, "{}", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_attack_that_is_tried_is_in_the_threat_model() {
    let tests = tests_under(&crates().join("mappable/tests/all/hostile"));
    assert!(tests.len() > 50, "{}", tests.len());
    let document = document();
    let named: BTreeSet<&str> = quoted(&document).collect();
    let missing: Vec<_> = tests.iter().filter(|name| !named.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_attack_in_the_threat_model_has_a_test() {
    let document = document();
    let rows = document.lines().filter(|line| line.starts_with("| "));
    let attacks = rows.filter(|row| row.matches(" | ").count() == 3).filter(|row| !row.starts_with("| attack |"));
    let mut count = 0;
    for row in attacks.filter(|row| !row.starts_with("| --- |")) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(quoted(tests).count() > 0 && quoted(tests).all(is_test_name), "no test, or something else: {row}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[test]
fn every_file_that_the_threat_model_names_exists() {
    let (document, crates) = (document(), crates());
    let bases = [
        "..",
        "mappable/src",
        "mappable/tests/all",
        "mappable",
        "mappable-rewrite/tests/all",
        "mappable-wasi/src",
        "../integrations/mappable-zenoh/src",
    ];
    for file in quoted(&document).filter(|word| word.ends_with(".rs")) {
        let exists = |base: &&str| crates.join(base).join(file).exists();
        let in_rewriter = crates.join("mappable-rewrite/src").join(file).exists();
        assert!(bases.iter().any(exists) || in_rewriter, "{file}");
    }
}
