//! A grep: a command of WASI 0.2 that prints the lines of files that a pattern matches, with their numbers, by the crates that
//! ripgrep is made of. Those map a file by `memmap2` where they can. Here the file is mapped by `mappable_guest::fs`, and they
//! are given its bytes.
//!
//!     search [-c] [-i] [-v] PATTERN FILE…
//!
//! `-c` counts lines, `-i` takes small and capital letters for the same, and `-v` prints those lines that don't match, all as
//! in ripgrep. Exits with 1 if no line was found.

use std::error::Error;
use std::io::{self, Write};

use grep_regex::RegexMatcherBuilder;
use grep_searcher::sinks::Bytes;
use grep_searcher::{BinaryDetection, SearcherBuilder};
use wasip2::cli::{environment, stderr, stdout};
use wasip2::io::streams::OutputStream;

wasip2::cli::command::export!(Search);

struct Search;

impl wasip2::exports::cli::run::Guest for Search {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let mut output = io::BufWriter::with_capacity(MOST, Output(stdout::get_stdout()));
        let found = search(&arguments, &mut output).and_then(|found| Ok(output.flush().map(|()| found)?));
        match found {
            Ok(true) => Ok(()),
            Ok(false) => Err(()),
            Err(error) => {
                let _ = writeln!(Output(stderr::get_stderr()), "search: {error}");
                Err(())
            }
        }
    }
}

/// Returns whether a line was found.
fn search(arguments: &[String], output: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    let (options, rest): (Vec<&String>, Vec<&String>) =
        arguments.iter().skip(1).partition(|word| matches!(word.as_str(), "-c" | "-i" | "-v"));
    let is_set = |option: &str| options.iter().any(|set| *set == option);
    let [pattern, paths @ ..] = &rest[..] else { return Err("search [-c] [-i] [-v] PATTERN FILE…".into()) };

    let mut matcher = RegexMatcherBuilder::new();
    let matcher = matcher.case_insensitive(is_set("-i")).line_terminator(Some(b'\n')).build(pattern)?;
    let mut searcher = SearcherBuilder::new();
    let mut searcher = searcher.invert_match(is_set("-v")).binary_detection(BinaryDetection::none()).build();
    let mut any = false;
    for path in paths {
        let name = if paths.len() > 1 { format!("{path}:") } else { String::new() };
        let file = mappable_guest::fs::map(path).map_err(|error| format!("{path}: {error}"))?;
        let mut count = 0_u64;
        let each = Bytes(|number, line| {
            count += 1;
            if !is_set("-c") {
                write!(output, "{name}{number}:")?;
                output.write_all(line)?;
                if !line.ends_with(b"\n") {
                    output.write_all(b"\n")?;
                }
            }
            Ok(true)
        });
        searcher.search_slice(&matcher, &file, each)?;
        if is_set("-c") && count > 0 {
            writeln!(output, "{name}{count}")?;
        }
        any |= count > 0;
    }
    Ok(any)
}

/// How many bytes WASI takes at once.
const MOST: usize = 4096;

struct Output(OutputStream);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(MOST);
        self.0.blocking_write_and_flush(&bytes[..count]).map_err(io::Error::other)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
