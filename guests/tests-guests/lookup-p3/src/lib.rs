//! A command of WASI 0.3, made with the crate `wasip3`, that maps files. As `lookup` does:
//!
//! | arguments | does |
//! | --- | --- |
//! | `sum FILE [OFFSET [LENGTH]]` | adds the bytes up, and prints how many there are and their sum |
//! | `open FILE` | opens the file below the first folder, maps it by its descriptor, and prints the same |
//! | `invert FILE` | inverts a private copy of the file, adds its bytes up, and prints their sum and that of the file mapped anew |

use std::error::Error;

use mappable_guest::fs::{MapOptions, MappedFile, p3};
use wasip3::cli::{environment, stderr, stdout};
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasip3::wit_bindgen::spawn_local;
use wasip3::wit_stream;

wasip3::cli::command::export!(Lookup);

struct Lookup;

impl wasip3::exports::cli::run::Guest for Lookup {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let arguments: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        let (text, done) = match answer(&arguments).await {
            Ok(text) => (text, Ok(())),
            Err(error) => (error.to_string(), Err(())),
        };
        let (mut output, written) = wit_stream::new();
        spawn_local(async move {
            output.write_all(format!("{text}\n").into_bytes()).await;
        });
        let written = if done.is_ok() {
            stdout::write_via_stream(written).await
        } else {
            stderr::write_via_stream(written).await
        };
        written.map_err(drop).and(done)
    }
}

async fn answer(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    match arguments {
        ["sum", path, range @ ..] => {
            let mut options = MapOptions::new();
            if let Some(offset) = range.first() {
                options = options.offset(offset.parse()?);
            }
            if let Some(len) = range.get(1) {
                options = options.len(len.parse()?);
            }
            let bytes = p3::open(path, options)?;
            Ok(format!("{} {}", bytes.len(), sum(&bytes)))
        }
        ["open", path] => {
            let folders = get_directories();
            let (folder, _) = folders.first().ok_or("no folder")?;
            let opened =
                folder.open_at(PathFlags::empty(), (*path).to_owned(), OpenFlags::empty(), DescriptorFlags::READ);
            let bytes = MappedFile::map(&opened.await.map_err(|code| code.to_string())?)?;
            Ok(format!("{} {}", bytes.len(), sum(&bytes)))
        }
        ["invert", path] => {
            let mut bytes = p3::open_copy(path, MapOptions::new())?;
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
            Ok(format!("{} {}", sum(&bytes), sum(&p3::map(path)?)))
        }
        _ => Err("sum FILE [OFFSET [LENGTH]], open FILE or invert FILE".into()),
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}
