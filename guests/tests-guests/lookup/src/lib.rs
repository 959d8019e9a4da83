//! A command of WASI 0.2, made with the crate `wasip2`, that maps files.
//!
//! | arguments | does |
//! | --- | --- |
//! | `get FILE WORD…` | looks words up in an index that the crate `fst` has made, and prints their numbers |
//! | `sum FILE [OFFSET [LENGTH]]` | adds the bytes up, and prints how many there are and their sum |
//! | `wait FILE` | maps the file, prints its length, waits for a line on stdin, and adds the bytes up |
//! | `invert FILE` | inverts a private copy of the file, adds its bytes up, and prints their sum and that of the file mapped anew |
//! | `twice FILE COUNT` | maps the file so often at once, and prints how often it could |

use std::error::Error;
use std::fmt::Write as _;

use mappable_guest::fs::{self, MapOptions, MappedFile};
use wasip2::cli::{environment, stderr, stdin, stdout};

wasip2::cli::command::export!(Lookup);

struct Lookup;

impl wasip2::exports::cli::run::Guest for Lookup {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        let (text, done) = match answer(&arguments) {
            Ok(text) => (text, true),
            Err(error) => (format!("{error}\n"), false),
        };
        let output = if done { stdout::get_stdout() } else { stderr::get_stderr() };
        output.blocking_write_and_flush(text.as_bytes()).map_err(drop)?;
        if done { Ok(()) } else { Err(()) }
    }
}

fn answer(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    match arguments {
        ["get", path, words @ ..] => look_up(path, words, &mut text)?,
        ["sum", path, range @ ..] => {
            let mut options = MapOptions::new();
            if let Some(offset) = range.first() {
                options = options.offset(offset.parse()?);
            }
            if let Some(len) = range.get(1) {
                options = options.len(len.parse()?);
            }
            let bytes = options.open(path)?;
            writeln!(text, "{} {}", bytes.len(), sum(&bytes))?;
        }
        ["wait", path] => {
            let bytes = fs::map(path)?;
            stdout::get_stdout().blocking_write_and_flush(format!("{}\n", bytes.len()).as_bytes())?;
            let _ = stdin::get_stdin().blocking_read(1)?;
            writeln!(text, "{}", sum(&bytes))?;
        }
        ["invert", path] => {
            let mut bytes = MapOptions::new().open_copy(path)?;
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
            writeln!(text, "{} {}", sum(&bytes), sum(&fs::map(path)?))?;
        }
        ["twice", path, count] => {
            let mapped: Vec<MappedFile> = (0..count.parse::<usize>()?).map_while(|_| fs::map(path).ok()).collect();
            let sums = mapped.iter().map(|bytes| sum(bytes)).sum::<u64>();
            writeln!(text, "{} {sums}", mapped.len())?;
        }
        _ => {
            return Err("get FILE WORD…, sum FILE [OFFSET [LENGTH]], wait FILE, invert FILE or twice FILE COUNT".into());
        }
    }
    Ok(text)
}

// ANCHOR: look-up
fn look_up(path: &str, words: &[&str], text: &mut String) -> Result<(), Box<dyn Error>> {
    let file = mappable_guest::fs::map(path)?; // a `[u8]`: nothing of it was read
    let index = fst::Map::new(file)?;
    for word in words {
        match index.get(word) {
            Some(number) => writeln!(text, "{word} {number}")?,
            None => writeln!(text, "{word} none")?,
        }
    }
    Ok(())
}
// ANCHOR_END: look-up

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}
