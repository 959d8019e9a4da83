//! The guide: what its pages link to, include and quote is there, and all their Rust is compiled.

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
    let beside = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "guests/README.md",
        "fuzz/README.md",
        "sdk/c/README.md",
        "sdk/zig/README.md",
        "sdk/js-host/README.md",
        "sdk/js/README.md",
        "sdk/python/README.md",
        "examples/browser/README.md",
    ];
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

/// The pages of packages, and of the example that is one.
fn packages() -> impl Iterator<Item = PathBuf> {
    let crates = ["mappable", "mappable-bench", "mappable-cli", "mappable-guest", "mappable-rewrite", "mappable-wasi"];
    let others = ["examples/guest-rust", "examples/stage-rust", "integrations/mappable-zenoh"].map(str::to_owned);
    let packages = crates.map(|it| format!("crates/{it}")).into_iter().chain(others);
    packages.map(|it| root().join(it).join("README.md"))
}

/// The blocks of code on a page: what follows the fence's backticks, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            blocks.push((info.to_owned(), text.join("\n")));
        }
    }
    blocks
}

/// Whether a block consists of includes of files that are built.
fn is_included(block: &str, page: &Path) -> bool {
    let built =
        ["crates/mappable/examples", "examples/guest-rust/src", "examples/stage-rust/src", "guests/tests-guests"]
            .map(|it| root().join(it).canonicalize().unwrap());
    block.lines().filter(|line| !line.is_empty()).all(|line| {
        let target = line.strip_prefix("{{#include ").and_then(|it| it.split(['}', ':']).next());
        let file = target.and_then(|it| page.parent().unwrap().join(it).canonicalize().ok());
        file.is_some_and(|file| built.iter().any(|it| file.starts_with(it)))
    })
}

#[test]
fn every_block_of_rust_is_compiled() {
    // As documentation tests: the pages that a library includes.
    let mut tested = BTreeSet::new();
    let crates = ["mappable", "mappable-guest", "mappable-wasi"].map(|it| format!("crates/{it}/src"));
    for library in crates.into_iter().chain(["integrations/mappable-zenoh/src".to_owned()]) {
        let library = root().join(library);
        // A page may be the whole of a library's, too.
        let code = read(&library.join("lib.rs")).replace("#![doc", "#[doc");
        for part in code.split("#[doc = include_str!(\"").skip(1) {
            tested.insert(library.join(part.split('"').next().unwrap()).canonicalize().unwrap());
        }
    }
    assert_eq!(tested.len(), 6, "{tested:?}");
    // What may be quoted where nothing can be included.
    let mut compiled = read(&root().join("examples/guest-rust/src/lib.rs"));
    for page in &tested {
        compiled.extend(blocks(&read(page)).into_iter().filter(|(info, _)| info == "rust").map(|(_, block)| block));
    }

    let mut found = 0;
    for page in pages().into_iter().chain(packages()) {
        let page = page.canonicalize().unwrap();
        for (info, block) in blocks(&read(&page)).into_iter().filter(|(info, _)| info.starts_with("rust")) {
            let is_compiled = match &*info {
                "rust" => tested.contains(&page),
                _ => is_included(&block, &page) || compiled.contains(&block),
            };
            assert!(is_compiled, "{}: nothing compiles {block}", page.display());
            found += 1;
        }
    }
    assert!(found > 15, "{found}");
}

/// Tests and pages cite them by number.
#[test]
fn rules_are_numbered_one_after_the_other() {
    let spec = read(&root().join("docs/src/spec.md"));
    let numbers = spec.lines().filter_map(|line| line.strip_prefix("- R")?.split(' ').next()?.parse::<usize>().ok());
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.len() > 60);
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

#[test]
fn pages_name_the_versions_that_are_built() {
    let manifests = ["Cargo.toml", "crates/mappable-guest/Cargo.toml"].map(|it| read(&root().join(it))).concat();
    let version = |line: &str| {
        let line = line.split_once("version = ").map_or(line, |(_, behind)| behind);
        line.split('"').nth(1).map(|version| version.trim_start_matches('=').to_owned())
    };
    let own = version(manifests.lines().find(|line| line.starts_with("version = ")).unwrap()).unwrap();
    let mut found = 0;
    for page in pages().into_iter().chain(packages()) {
        let blocks = blocks(&read(&page)).into_iter().filter(|(info, _)| info == "toml").map(|(_, block)| block);
        let text: String = blocks.collect();
        for line in text.split("[dependencies]").skip(1).flat_map(str::lines).filter(|line| line.contains(" = ")) {
            let name = line.split(' ').next().unwrap();
            let built = manifests.lines().find(|it| it.starts_with(&format!("{name} = ")) && version(it).is_some());
            let built = built.and_then(version).unwrap_or_else(|| own.clone());
            let named = version(line).unwrap();
            assert!(format!("{built}.").starts_with(&format!("{named}.")), "{}: {line}, not {built}", page.display());
            found += 1;
        }
    }
    assert!(found > 5, "{found}");
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

/// A message as the page has it: `…` for what varies, and without the backticks that would end the quotation.
fn on_the_page(message: &str) -> String {
    let mut text = String::new();
    let mut rest = message;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        text.push('…');
        rest = behind.split_once('}').unwrap().1;
    }
    format!("{text}{rest}").replace('`', "")
}

/// The literal that a text begins with.
fn literal(text: &str) -> Option<String> {
    let text = text.trim_start().strip_prefix('"')?;
    let (end, _) = text.match_indices('"').find(|&(at, _)| !text[..at].ends_with('\\'))?;
    Some(text[..end].to_owned())
}

/// Enums whose texts only follow *a bug in mappable*: nobody but us can do anything about them.
const BUGS: [&str; 6] = ["Bug", "Unguarded", "Unsound", "Private", "Place", "Mention"];

/// All messages of errors in the sources, as the page should have them.
fn messages(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in code.split("enum ").flat_map(|it| it.split("pub struct ")) {
        let name: String = part.chars().take_while(|it| it.is_alphanumeric()).collect();
        if !BUGS.contains(&&*name) {
            let literals = part.split("#[error(").skip(1).filter_map(literal);
            found.extend(literals.map(|message| on_the_page(&message)).filter(|it| !it.contains("a bug in mappable")));
        }
    }
    found
}

/// What an obstacle to the ledger tier is called: literals of its `Display`s and of those who give reasons.
fn obstacles(code: &str) -> BTreeSet<String> {
    let starts = ["write!(f, ", "f.write_str(", "=> Some(", "then_some("];
    let literals = starts.iter().flat_map(|start| code.split(start).skip(1)).filter_map(literal);
    literals.map(|message| on_the_page(&message)).filter(|it| it.contains(' ') && it.len() > 12).collect()
}

/// The cases of the enums of a WIT package.
fn cases(wit: &str) -> BTreeSet<String> {
    let bodies = wit.split("enum ").skip(1).map(|it| it.split_once('{').unwrap().1.split_once('}').unwrap().0);
    let lines = bodies.flat_map(str::lines).map(str::trim).filter(|line| !line.starts_with("//"));
    lines.map(|line| line.trim_end_matches(',').to_owned()).filter(|it| !it.is_empty()).collect()
}

const WIT: &str = "wit/mappable.wit";
const BUS_WIT: &str = "integrations/mappable-zenoh/wit/bus.wit";

#[test]
fn every_error_is_on_the_page_for_errors() {
    let mut code = String::new();
    let crates = ["crates/mappable/src", "crates/mappable-rewrite/src", "integrations/mappable-zenoh/src"];
    crates.iter().for_each(|it| sources(&root().join(it), &mut code));
    let ledger = root().join("crates/mappable-rewrite/src/ledger");
    let mut reasons = String::new();
    for path in ["obstacle.rs", "signature.rs", "analysis/judge.rs", "analysis/class.rs", "analysis/canon.rs"] {
        reasons.push_str(&read(&ledger.join(path)));
    }
    let [wit, bus] = [WIT, BUS_WIT].map(|path| cases(&read(&root().join(path))));
    let (messages, obstacles) = (messages(&code), obstacles(&reasons));
    assert!(messages.len() > 80 && obstacles.len() > 15, "{messages:?} {obstacles:?}");
    assert!(wit.len() == 14 && bus.len() == 9, "{wit:?} {bus:?}");

    let page = read(&root().join("docs/src/trouble.md"));
    let quoted: BTreeSet<_> =
        page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let all: BTreeSet<_> = messages.into_iter().chain(obstacles).chain(wit).chain(bus).collect();
    let missing: Vec<_> = all.difference(&quoted).collect();
    assert!(missing.is_empty(), "docs/src/trouble.md lacks {missing:#?}");
}

/// What stands between `{` and `}` in a message is `…` on the page.
fn pieces(message: &str) -> impl Iterator<Item = &str> {
    message.split('…').map(str::trim).filter(|piece| piece.len() > 3)
}

#[test]
fn errors_are_quoted_as_the_code_has_them() {
    let mut code = String::new();
    let own = ["crates/mappable/src", "crates/mappable-rewrite/src", "crates/mappable-cli/src"];
    own.iter().chain(&["integrations/mappable-zenoh/src"]).for_each(|it| sources(&root().join(it), &mut code));
    let code = code.replace('`', "");
    let wit = [WIT, BUS_WIT].map(|path| read(&root().join(path))).concat();
    let page = read(&root().join("docs/src/trouble.md"));
    let mut found = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let text = row.trim_start_matches("| ").split(" | ").next().unwrap();
        for message in text.split('`').skip(1).step_by(2) {
            for piece in pieces(message) {
                assert!(code.contains(piece) || wit.contains(piece), "nothing says {piece:?}, of {message:?}");
                found += 1;
            }
        }
    }
    assert!(found > 40, "{found}");
}
