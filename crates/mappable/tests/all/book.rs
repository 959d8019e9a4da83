//! The guide: what its pages link to, include and quote is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages of the book, and those beside it.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> = fs::read_dir(root().join("docs/src")).unwrap().map(|it| it.unwrap().path()).collect();
    pages.retain(|it| it.extension().is_some_and(|extension| extension == "md"));
    assert!(pages.len() > 10, "{pages:?}");
    let beside = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "guests/README.md", "fuzz/README.md"];
    pages.into_iter().chain(beside.map(|it| root().join(it))).collect()
}

/// A text without its code, in blocks and in lines.
fn prose(text: &str) -> String {
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        if !is_fence && !in_block {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// What a heading is linked to by.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    page.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut found = 0;
    for page in pages() {
        let text = read(&page);
        // `prose` drops the words in backticks, not the target behind them.
        for target in prose(&text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').map_or((target, None), |(file, it)| (file, Some(it)));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(file.exists(), "{}: nothing is at {target}", page.display());
            if let Some(heading) = heading {
                let there = anchors(&read(&file));
                assert!(there.contains(heading), "{}: no heading for {target}; {there:?}", page.display());
            }
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

#[test]
fn every_page_is_in_the_summary_and_links_stay_in_the_book() {
    let book = root().join("docs/src");
    let summary = read(&book.join("SUMMARY.md"));
    for page in pages().iter().filter(|page| page.starts_with(&book)) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || summary.contains(&format!("({name})")), "{name} is not in SUMMARY.md");
        assert!(!prose(&read(page)).contains("](../"), "{name} links to what the built book has not");
    }
}

#[test]
fn what_pages_include_is_there() {
    let mut found = 0;
    for page in pages() {
        let text = read(&page);
        for (at, _) in text.match_indices("{{#include ") {
            let target = text[at..].trim_start_matches("{{#include ").split("}}").next().unwrap();
            let (file, part) = target.split_once(':').map_or((target, None), |(file, it)| (file, Some(it)));
            let included = read(&page.parent().unwrap().join(file));
            if let Some(part) = part {
                for mark in [format!("ANCHOR: {part}\n"), format!("ANCHOR_END: {part}\n")] {
                    assert_eq!(included.matches(&mark).count(), 1, "{}: {target}", page.display());
                }
            }
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

/// All Rust sources of the library and the rewriter, with literals that go over several lines in one.
fn sources(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&path);
            let mut lines = text.split("\\\n");
            into.push_str(lines.next().unwrap());
            lines.for_each(|line| into.push_str(line.trim_start()));
        }
    }
}

/// What stands between `{` and `}` in a message is `…` on the page.
fn pieces(message: &str) -> impl Iterator<Item = &str> {
    message.split('…').map(str::trim).filter(|piece| piece.len() > 3)
}

#[test]
fn errors_are_quoted_as_the_code_has_them() {
    let mut code = String::new();
    ["crates/mappable/src", "crates/mappable-rewrite/src"].iter().for_each(|it| sources(&root().join(it), &mut code));
    let page = read(&root().join("docs/src/trouble.md"));
    let mut found = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let text = row.trim_start_matches("| ").split(" | ").next().unwrap();
        for message in text.split('`').skip(1).step_by(2) {
            for piece in pieces(message) {
                assert!(code.contains(piece), "nothing says {piece:?}, of {message:?}");
                found += 1;
            }
        }
    }
    assert!(found > 40, "{found}");
}
