//! The commands of the guide's page do what it says. Between machines: see `namespaces`.

use crate::support::{Process, run};

const PAGE: &str = include_str!("../../../../docs/src/machines.md");
const README: &str = include_str!("../../README.md");

/// The arguments of a text's commands, in order.
fn commands_of(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("$ mappable bus "));
    lines.map(|line| line.split(' ').map(|word| word.trim_matches('\'').to_owned()).collect()).collect()
}

/// The arguments of the page's commands for one subcommand, in order.
pub(crate) fn commands(subcommand: &str) -> Vec<Vec<String>> {
    commands_of(PAGE).into_iter().filter(|words| words[0] == subcommand).collect()
}

/// A command without where it listens or connects, which is the test's to say; files are those of `folder`.
fn adapted(words: &[String], option: &str, folder: &str, files: &[&str]) -> Vec<String> {
    let at = words.iter().position(|word| word == option).unwrap_or_else(|| panic!("{words:?} has no {option}"));
    let rest = words[..at].iter().chain(&words[at + 2..]);
    let in_folder = |word: &String| if files.contains(&&**word) { format!("{folder}/{word}") } else { word.clone() };
    rest.map(in_folder).collect()
}

fn listening(words: &[String]) -> Process {
    Process::listening(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn connected(words: &[String], address: &str) -> String {
    let options = ["--connect", address];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run(&[&words[..1], &options, &words[1..]].concat())
}

/// What the page says that a command prints: the line behind it that has no `$`.
fn is_printed(text: &str) -> bool {
    PAGE.lines().any(|line| line == text)
}

#[test]
fn the_two_components_of_the_guide_feed_one_another() {
    let [viewer, camera] = &commands("run")[..] else { panic!("the page has two components") };
    let viewer = listening(&adapted(viewer, "--listen", "examples", &["viewer.wat"]));
    let sent = connected(&adapted(camera, "--connect", "examples", &["camera.wat"]), &viewer.address);
    let received = viewer.output();
    assert!(is_printed(sent.trim_end()) && is_printed(&received), "{sent:?} {received:?}");
}

#[test]
fn the_file_of_the_guide_is_sent_and_received() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("there")).unwrap();
    std::fs::write(path("result.bin"), [7; 100_000]).unwrap();
    let ([receive], [send]) = (&commands("receive")[..], &commands("send")[..]) else {
        panic!("the page has one of each")
    };
    let there = path("there");
    let receiver = listening(&adapted(receive, "--listen", there.to_str().unwrap(), &["result.bin"]));
    connected(&adapted(send, "--connect", folder.path().to_str().unwrap(), &["result.bin"]), &receiver.address);
    assert_eq!(receiver.output(), "results: 100000 bytes");
    assert_eq!(std::fs::read(there.join("result.bin")).unwrap(), [7; 100_000]);
}

#[test]
fn the_readme_has_the_guides_commands() {
    let (readme, page) = (commands_of(README), commands_of(PAGE));
    assert!(readme.len() == 2 && readme.iter().all(|command| page.contains(command)), "{readme:?}");
}
