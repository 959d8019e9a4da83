//! Makes components of core modules, and records what they are made from. Used by `build.sh`, and built natively.
//!
//! `componentize component IN.wasm OUT.wasm` makes a component of a core module that uses `wit-bindgen`, and validates
//! it. The component has no custom sections.
//!
//! `componentize record ROOT COMPILER PATH… -- COMPONENT…` prints the compiler's name, and then a line for each source
//! file and each component: its SHA-256 and its name. The source files are those at and under each path, relative to
//! ROOT, sorted.

use core::ops::Range;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sha2::{Digest, Sha256};
use wasm_encoder::{ComponentSection, RawSection};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["component", module, component] => {
            make_component(Path::new(module), Path::new(component)).map_err(|error| format!("{module}: {error}").into())
        }
        ["record", root, compiler, ref paths @ ..] => record(Path::new(root), compiler, paths),
        _ => Err("usage: componentize component IN OUT | componentize record ROOT COMPILER PATH… -- COMPONENT…".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("componentize: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make_component(module: &Path, component: &Path) -> Result<()> {
    let module = fs::read(module)?;
    let encoded = wit_component::ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    let stripped = strip(&encoded)?;
    Validator::new_with_features(WasmFeatures::default()).validate_all(&stripped)?;
    fs::write(component, stripped)?;
    Ok(())
}

/// A component or a core module without its custom sections, at every level.
fn strip(wasm: &[u8]) -> Result<Vec<u8>> {
    /// What is being copied: its bytes so far, and the id of the section that it will be in the outer one.
    struct Level {
        bytes: Vec<u8>,
        section: u8,
    }
    const MODULE_SECTION: u8 = 1;
    const COMPONENT_SECTION: u8 = 4;

    let mut outer: Vec<Level> = Vec::new();
    let mut current = Level { bytes: Vec::new(), section: 0 };
    let mut next_section = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { range, .. } => {
                if range.start > 0 {
                    outer.push(core::mem::replace(&mut current, Level { bytes: Vec::new(), section: next_section }));
                }
                current.bytes.extend(part(wasm, range)?);
            }
            Payload::ModuleSection { .. } => next_section = MODULE_SECTION,
            Payload::ComponentSection { .. } => next_section = COMPONENT_SECTION,
            Payload::End(_) => {
                if let Some(level) = outer.pop() {
                    let inner = core::mem::replace(&mut current, level);
                    append_section(&mut current.bytes, inner.section, &inner.bytes);
                }
            }
            Payload::CustomSection(_) => {}
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    append_section(&mut current.bytes, id, part(wasm, range)?);
                }
            }
        }
    }
    Ok(current.bytes)
}

fn append_section(bytes: &mut Vec<u8>, id: u8, data: &[u8]) {
    RawSection { id, data }.append_to_component(bytes);
}

fn part(wasm: &[u8], range: Range<u64>) -> Result<&[u8]> {
    let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
    Ok(wasm.get(range).ok_or("a section lies outside the file")?)
}

fn record(root: &Path, compiler: &str, paths: &[&str]) -> Result<()> {
    let parting = paths.iter().position(|&path| path == "--").ok_or("no `--` before the components")?;
    let (sources, components) = (&paths[..parting], &paths[parting + 1..]);
    println!("compiler {compiler}");
    let mut files = Vec::new();
    for source in sources {
        find_files(&root.join(source), &mut files)?;
    }
    files.sort();
    for file in files {
        let name = file.strip_prefix(root)?.display().to_string();
        println!("source {} {name}", digest(&file)?);
    }
    for component in components {
        let path = Path::new(component);
        let name = path.file_name().map(|name| name.to_string_lossy()).ok_or("a component without a name")?;
        println!("component {} {name}", digest(path)?);
    }
    Ok(())
}

fn find_files(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        find_files(&entry?.path(), files)?;
    }
    Ok(())
}

fn digest(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
