//! Prints the public interface that a crate's documentation in JSON describes, an item a line. Usage: api-list FILE.json
//!
//! With `--examples` it prints the public functions without an example instead, and fails if there are any.

mod examples;

use std::error::Error;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--examples", file] => {
            let missing = examples::missing(&serde_json::from_str(&std::fs::read_to_string(file)?)?);
            missing.iter().for_each(|path| println!("{path}"));
            Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        [file] => {
            let api = public_api::Builder::from_rustdoc_json(file)
                .omit_blanket_impls(true)
                .omit_auto_derived_impls(false)
                .omit_auto_trait_impls(true)
                .build()?;
            println!("{api}");
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("usage: api-list [--examples] FILE.json".into()),
    }
}
