//! Two stages as one: hands the region from the first straight to the second, and never maps it.
//!
//! The arguments are one list. Those before the last `--` go to the first stage, those after it to the second; without
//! a `--`, all go to the first. So the first stage can be a pair too: of `a -- b -- c`, `c` goes to the second stage,
//! and `a -- b` to the pair in front of it.

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../../wit"],
        world: "mappable:stage/pair",
        with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types },
    });

    use super::Pair;
    export!(Pair);
}

use bindings::exports::mappable::stage::step::{Guest, Header};
use bindings::mappable::stage::{first, second};
use mappable_guest::bindings::types::Mappable;

struct Pair;

impl Guest for Pair {
    fn run(region: Mappable, header: Header, arguments: Vec<String>) -> Result<(Mappable, Header), String> {
        let parting = arguments.iter().rposition(|argument| argument == "--");
        let (firsts, seconds) = match parting {
            Some(at) => (&arguments[..at], &arguments[at + 1..]),
            None => (&arguments[..], &[][..]),
        };
        let (region, header) = first::run(region, header, firsts)?;
        second::run(region, header, seconds)
    }
}
