//! The floors of the crates: which folder ("room") of `src` may import which. A room imports only from rooms below it,
//! so that imports never run in a circle of rooms.
//!
//! The reader works on tokens, so that it sees every style: `use` with and without braces, paths in code and in
//! macros, `super` at any depth. A name that the crate's root only re-exports belongs to the room it comes from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The rooms of a crate, the ground first. A room may import those before it. A file of a folder may be a room of its
/// own: `ledger::unsound` is one, apart from the rest of `ledger`.
struct House {
    src: &'static str,
    rooms: &'static [&'static str],
    /// What may run upwards nevertheless: the importing room, what it imports, and why.
    allowed: &'static [(&'static str, &'static str, &'static str)],
}

impl House {
    /// The innermost room in which a path from the crate's root is.
    fn room_of(&self, path: &[String]) -> Option<&'static str> {
        (1..=path.len()).rev().find_map(|len| {
            let room = path[..len].join("::");
            self.rooms.iter().find(|it| **it == room).copied()
        })
    }
}

const LIBRARY: House = House {
    src: "../mappable/src",
    rooms: &["tuning", "sys", "region", "ledger", "view", "host", "bindings", "workers", "lib"],
    allowed: &[("tuning", "region::GRANULE", "a unit in which tuned numbers are told, and the contract's")],
};

const REWRITER: House = House {
    src: "../mappable-rewrite/src",
    rooms: &[
        "path",
        "package",
        "refresh",
        // The words of the ledger in which errors and gates are told.
        "ledger::kind",
        "ledger::signature",
        "ledger::interface",
        "ledger::obstacle",
        "ledger::unsound",
        "error",
        "gate",
        "tree",
        "core_modules",
        "baseline",
        "ledger",
        "report",
        "lib",
        // A test of all of it.
        "looks",
    ],
    allowed: &[],
};

/// An import: in which file and line, of which path from the crate's root.
#[derive(Debug, PartialEq)]
struct Import {
    file: String,
    line: usize,
    path: Vec<String>,
}

/// The imports in a file, whose module has this path from the crate's root.
fn imports(file: &str, module: &[String], text: &str) -> Vec<Import> {
    let tokens = TokenStream::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut found = vec![];
    read(tokens, module, &mut |line, path| found.push(Import { file: file.to_owned(), line, path }));
    found
}

/// Reads paths that begin with `crate`, `$crate`, `self` or `super`, in this module and in those inside of it.
fn read(tokens: TokenStream, module: &[String], found: &mut dyn FnMut(usize, Vec<String>)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let ident = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            // `pub(in crate::room)` says who may see an item, and imports nothing.
            TokenTree::Group(group)
                if at > 0 && ident(at - 1).as_deref() == Some("pub") && begins_with_in(group.stream()) => {}
            TokenTree::Group(group) => {
                let inside = match (at > 1).then(|| (ident(at - 2), ident(at - 1))) {
                    Some((Some(keyword), Some(name))) if keyword == "mod" => [module, &[name]].concat(),
                    _ => module.to_vec(),
                };
                read(group.stream(), &inside, found);
            }
            TokenTree::Ident(first) if is_path_mark(&tokens, at + 1) && !is_path_mark_before(&tokens, at) => {
                let line = first.span().start().line;
                let base = match first.to_string().as_str() {
                    "crate" => Some(vec![]),
                    "self" => Some(module.to_vec()),
                    "super" => Some(parent(module)),
                    _ => None,
                };
                if let Some(base) = base {
                    at = read_path(&tokens, at + 3, base, &mut |path| found(line, path));
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Reads the rest of a path, behind its `::`, and returns where it ends.
fn read_path(tokens: &[TokenTree], mut at: usize, mut path: Vec<String>, found: &mut dyn FnMut(Vec<String>)) -> usize {
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => match ident.to_string().as_str() {
                "super" => path = parent(&path),
                "self" => {}
                name => path.push(name.to_owned()),
            },
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(it) if it.as_char() == ',');
                for branch in inside.split(is_comma).filter(|branch| !branch.is_empty()) {
                    read_path(branch, 0, path.clone(), found);
                }
                return at + 1;
            }
            Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => path.push("*".to_owned()),
            _ => break,
        }
        at += 1;
        if !is_path_mark(tokens, at) {
            break;
        }
        at += 2;
    }
    found(path);
    at
}

fn parent(module: &[String]) -> Vec<String> {
    module[..module.len().saturating_sub(1)].to_vec()
}

fn begins_with_in(tokens: TokenStream) -> bool {
    matches!(tokens.into_iter().next(), Some(TokenTree::Ident(ident)) if ident == "in")
}

/// Whether there is `::` here.
fn is_path_mark(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |at| matches!(tokens.get(at), Some(TokenTree::Punct(it)) if it.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

fn is_path_mark_before(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_path_mark(tokens, at - 2)
}

/// A crate, as it was read.
struct Reading<'a> {
    house: &'a House,
    /// Which room a name comes from that the crate's root re-exports.
    exported: BTreeMap<String, String>,
    /// Each import, and the room in which it is.
    imports: Vec<(String, Import)>,
}

impl<'a> Reading<'a> {
    fn new(house: &'a House, files: &[(String, String)]) -> Self {
        let mut reading = Self { house, exported: BTreeMap::new(), imports: vec![] };
        for (file, text) in files {
            let module = module_of(file);
            if module.is_empty() {
                reading.read_exports(text);
            }
            let room = match module.first() {
                None => "lib",
                Some(first) => house
                    .room_of(&module)
                    .unwrap_or_else(|| panic!("{}/{first} is in no list of rooms: add it to its floor", house.src)),
            };
            let found = imports(file, &module, text).into_iter().map(|import| (room.to_owned(), import));
            reading.imports.extend(found);
        }
        reading
    }

    /// `pub use room::{…}` in the crate's root.
    fn read_exports(&mut self, text: &str) {
        let tokens: Vec<TokenTree> = TokenStream::from_str(text).expect("it is Rust").into_iter().collect();
        for at in 0..tokens.len() {
            let is_use = matches!(&tokens[at], TokenTree::Ident(ident) if ident == "use");
            if is_use {
                read_path(&tokens, at + 1, vec![], &mut |path| {
                    if let (Some(room), Some(name)) = (self.house.room_of(&path), path.last()) {
                        self.exported.insert(name.clone(), room.to_owned());
                    }
                });
            }
        }
    }

    /// The room of a path from the crate's root.
    fn room_of(&self, path: &[String]) -> &str {
        let Some(first) = path.first() else { return "lib" };
        let room = self.house.room_of(path);
        room.or_else(|| self.exported.get(first).map(String::as_str)).unwrap_or("lib")
    }

    /// The imports that run upwards, but for those that are allowed.
    fn upwards(&self) -> Vec<String> {
        let floor = |room: &str| self.house.rooms.iter().position(|it| *it == room);
        let runs_up = self.imports.iter().filter(|(room, import)| {
            let path = import.path.join("::");
            floor(self.room_of(&import.path)) > floor(room) && !self.allows(room, &path)
        });
        let shown = runs_up.map(|(room, import)| {
            let (file, line, path) = (&import.file, import.line, import.path.join("::"));
            format!("{file}:{line}: `{room}` imports `{path}` of `{}`, above it", self.room_of(&import.path))
        });
        shown.collect()
    }

    fn allows(&self, room: &str, path: &str) -> bool {
        self.house.allowed.iter().any(|(from, to, _)| *from == room && *to == path)
    }

    /// Allowed imports that nobody makes any more.
    fn idle_allowances(&self) -> Vec<String> {
        let is_used = |from: &str, to: &str| {
            self.imports.iter().any(|(room, import)| room == from && import.path.join("::") == to)
        };
        let idle = self.house.allowed.iter().filter(|(from, to, _)| !is_used(from, to));
        idle.map(|(from, to, _)| format!("`{from}` no longer imports `{to}`")).collect()
    }
}

/// The module that a file is, from the crate's root: none for `lib.rs`.
fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// The Rust files below a folder, by their names from there.
fn files(folder: &Path, prefix: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            found.extend(files(&path, &format!("{name}/")));
        } else if name.ends_with(".rs") {
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

fn holds(house: &House) {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(house.src), "");
    assert!(files.len() > 20, "{} has hardly a file", house.src);
    let reading = Reading::new(house, &files);
    assert!(reading.imports.len() > 100, "hardly an import was read: {}", reading.imports.len());
    let faults = [reading.upwards(), reading.idle_allowances()].concat();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), house.src, faults.join("\n"));
}

#[test]
fn no_room_of_the_library_imports_one_above_it() {
    holds(&LIBRARY);
}

#[test]
fn no_room_of_the_rewriter_imports_one_above_it() {
    holds(&REWRITER);
}

/// What is found in a house of three rooms, of which `high/inner.rs` and `lib.rs` are as they should be.
fn found_in_low(text: &str) -> Vec<String> {
    found_with(&[], text)
}

fn found_with(allowed: &'static [(&'static str, &'static str, &'static str)], text: &str) -> Vec<String> {
    let house = House { src: "planted", rooms: &["low", "high", "lib"], allowed };
    let files = [
        ("lib.rs", "mod low; mod high; pub use low::Small; pub use high::{Tall, inner::Deep as Deepest};"),
        ("high/inner.rs", "use super::Tall; use crate::low::Small; pub(in crate::high) struct Deep;"),
        ("low/inner.rs", text),
    ];
    let files = files.map(|(file, text)| (file.to_owned(), text.to_owned()));
    let reading = Reading::new(&house, &files);
    [reading.upwards(), reading.idle_allowances()].concat()
}

#[test]
fn an_upward_import_is_found_in_every_style() {
    let planted = [
        "use crate::high::Tall;",
        "use crate::{low::Small, high::{self}};",
        "use super::super::high::inner::Deep;",
        "use super::{super::high, Other};",
        "use crate::high as tall;",
        "use crate::*;",
        "use crate::Tall;",
        "mod tests { use super::super::super::high::Tall; }",
        "fn f() -> Option<crate::high::Tall> { None }",
        "fn f() { assert_eq!(1, crate::high::tall()); }",
        "macro_rules! tall { () => { $crate::high::Tall } }",
        "fn f() { for _ in crate::high::all() {} }",
        "pub(crate) use crate::high::Tall;",
    ];
    for text in planted {
        assert_eq!(found_in_low(text).len(), 1, "{text}: {:?}", found_in_low(text));
    }
}

#[test]
fn what_is_level_or_below_is_not_found() {
    let fine = [
        "use crate::low::Small;",
        "use crate::Small;",
        "use super::Other; use self::below::It;",
        "mod tests { use super::*; use super::super::Other; }",
        "pub(in crate::low) fn f() {}",
        "//! As in [`high`](crate::high).\n/* crate::high */ const TEXT: &str = \"crate::high::Tall\";",
        "use std::high::Tall;",
    ];
    for text in fine {
        assert_eq!(found_in_low(text), [""; 0], "{text}");
    }
}

#[test]
fn an_allowed_import_passes_while_it_is_made() {
    const ALLOWED: &[(&str, &str, &str)] = &[("low", "high::Tall", "for this test")];
    assert_eq!(found_with(ALLOWED, "use crate::high::Tall;"), [""; 0]);
    assert_eq!(found_with(ALLOWED, "use crate::high::Other;").len(), 2);
}
