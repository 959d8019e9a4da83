//! Failures: one line for a person, and an exit code for a program.
//!
//! A [`Failure`] is where a chain of causes ends when it decides the exit code; an error without one is a failure of
//! the work. Contexts in front of it say who was at work: `photo.jpg: stage decode: …`.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Why the process ends, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Bad input, or a stage's own error.
    Work = 1,
    /// The command line asks for something that there is not. Clap's own errors have this code, too.
    Usage = 2,
    /// A component can't be loaded.
    Load = 3,
    /// A stage trapped or ran out of memory.
    Trap = 4,
}

/// An error that decides the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A failure with this exit code, for this reason.
pub(crate) fn fail(exit: Exit, message: impl fmt::Display) -> anyhow::Error {
    Failure { exit, message: message.to_string() }.into()
}

/// Prints the one line, and says how to exit.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let exit = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).map_or(Exit::Work, |f| f.exit);
    let text = format!("{error:#}");
    let advice = if text.contains(&no_memory()) { ADDRESS_SPACE } else { "" };
    say(&format!("{}{advice}", one_line(&text)));
    ExitCode::from(exit as u8)
}

/// What is short when the operating system has no memory for an address range, and what to do.
const ADDRESS_SPACE: &str = " (a memory that can be mapped into takes 4 GiB of address space or more: raise its limit, \
    which `ulimit -v` tells, or use --mapping-mode copy)";

/// How the operating system says so. Causes that are told in another's words are no errors of its type any more.
fn no_memory() -> String {
    std::io::Error::from_raw_os_error(12).to_string()
}

/// Prints the one line.
pub(crate) fn say(line: &str) {
    // Nothing can be done about a stderr that is closed.
    let _ = writeln!(std::io::stderr(), "error: {line}");
}

/// The character, or another in place of one that a terminal would obey: controls, and what changes the direction of writing.
pub(crate) fn harmless(c: char) -> char {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns { char::REPLACEMENT_CHARACTER } else { c }
}

/// Text of anybody's as part of one line: no control characters, and no end to its patience either.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 600;
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for (at, word) in text.split_whitespace().enumerate() {
        if at > 0 {
            line.push(' ');
        }
        line.extend(word.chars().map(harmless));
        if line.len() > LONGEST {
            line.truncate(line.floor_char_boundary(LONGEST));
            line.push('…');
            break;
        }
    }
    line
}

/// Why a call into a guest ended, without the backtrace.
pub(crate) fn trap_reason(error: &wasmtime::Error) -> String {
    if let Some(reason) = error.downcast_ref::<mappable::TrapReason>() {
        return format!("trapped: {reason}");
    }
    if let Some(sentence) = own_sentence(error) {
        return format!("trapped: {sentence}");
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return format!("ended itself, with exit code {code}");
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let text = trap.to_string();
        return format!("trapped: {}", text.strip_prefix("wasm trap: ").unwrap_or(&text));
    }
    format!("trapped: {}", error.root_cause())
}

/// What a guest says itself: the SDKs for C and Zig have a trap of its own for each mistake, in a function whose name is the sentence,
/// behind that of its module in Zig. Names in Go have no spaces.
fn own_sentence(error: &wasmtime::Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
    let name = frames.first()?.func_name()?;
    match name.split_once("mappable.mappable_") {
        Some((_, name)) => Some(one_line(&name.replace('_', " "))),
        None => name.split_once("mappable: ").map(|(_, sentence)| one_line(sentence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybodys_text_becomes_one_line() {
        assert_eq!(one_line("a\nb\t c\u{1b}[31m"), "a b c\u{fffd}[31m");
        let long = one_line(&"é".repeat(1_000));
        assert!(long.len() < 610 && long.ends_with('…'));
    }
}
