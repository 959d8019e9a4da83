//! What the command says of itself.

use crate::support::Place;

/// The names below `Commands:` in a help text.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let name =
        |line: &str| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()).map(str::to_owned);
    lines.filter_map(name).filter(|name| name != "help").collect()
}

/// Whether there is an example of this command in a help text.
fn has_example(help: &str, command: &[&str]) -> bool {
    let text = help.split_once("Examples").map_or("", |(_, examples)| examples);
    text.contains(&format!("  mappable {}", command.join(" ")))
}

#[test]
fn every_command_has_an_example_in_its_help() {
    let place = Place::new();
    let help = |command: &[&str]| place.mappable(command.iter().chain(&["--help"])).succeeds().stdout();
    let all = help(&[]);
    let names = commands(&all);
    assert!(names.len() > 7, "{all}");
    for name in &names {
        let name = name.as_str();
        assert!(has_example(&all, &[name]), "{name} in the command's own help");
        // That of `bus` is the other command's, where that is installed.
        if name == "bus" {
            continue;
        }
        let own = help(&[name]);
        assert!(has_example(&own, &[name]), "{own}");
        for inner in commands(&own) {
            let own = help(&[name, &inner]);
            assert!(has_example(&own, &[name, &inner]), "{own}");
        }
    }
}
