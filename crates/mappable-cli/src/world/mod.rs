//! Which world a core module is of: what bindings have written into it, or what the user says.

use std::path::Path;

use anyhow::{Context, Result};
use wasmparser::{Parser, Payload};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

/// The packages that a WIT of the user's may name without having a copy of them.
const PACKAGES: [(&str, &str); 2] =
    [("mappable.wit", include_str!("mappable.wit")), ("stage.wit", include_str!("stage.wit"))];

/// The world of what only imports regions.
const IMPORTS: &str = "mappable:memory/imports";

/// Writes into a module that it is of this world: of the package at `wit`, or else of one that the command has.
pub(crate) fn write(module: &mut Vec<u8>, wit: Option<&Path>, world: Option<&str>) -> Result<()> {
    let (resolve, packages) = match wit {
        Some(path) => {
            let (resolve, package) = read(path).with_context(|| path.display().to_string())?;
            (resolve, vec![package])
        }
        None => own()?,
    };
    let world = resolve.select_world(&packages, world)?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}

/// Writes into a module that it imports regions, if it does and nothing says so: it was made with `mappable.h` alone.
pub(crate) fn write_if_missing(module: &mut Vec<u8>) -> Result<()> {
    let imports = sections(module).filter_map(|it| match it {
        Payload::ImportSection(imports) => Some(imports.into_imports()),
        _ => None,
    });
    let needs = imports.flatten().flatten().any(|import| import.module.starts_with("mappable:memory/"));
    if needs && !is_known(module) { write(module, None, Some(IMPORTS)) } else { Ok(()) }
}

/// What bindings call the sections in which they say what world they are of.
const SECTION: &str = "component-type";

/// Whether the module says what world it is of.
pub(crate) fn is_known(module: &[u8]) -> bool {
    sections(module).any(|it| matches!(&it, Payload::CustomSection(it) if it.name().starts_with(SECTION)))
}

fn sections(module: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    Parser::new(0).parse_all(module).map_while(Result::ok)
}

/// The command's own packages.
fn own() -> Result<(Resolve, Vec<PackageId>)> {
    let mut resolve = Resolve::default();
    let packages = PACKAGES.iter().map(|(name, text)| resolve.push_str(name, text)).collect::<Result<_>>()?;
    Ok((resolve, packages))
}

/// A package of the user's, with those that it lacks.
fn read(path: &Path) -> Result<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    let error = match resolve.push_path(path) {
        Ok((package, _)) => return Ok((resolve, package)),
        Err(error) => error,
    };
    // Where they are in the folder a second time, the first error is the one to tell.
    let (mut resolve, _) = own()?;
    resolve.push_path(path).map(|(package, _)| (resolve, package)).map_err(|_| error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copies_of_the_packages_are_the_packages() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for ((_, copy), original) in PACKAGES.iter().zip(["wit/mappable.wit", "guests/wit/stage.wit"]) {
            let text = std::fs::read_to_string(root.join(original)).unwrap();
            assert_eq!(*copy, text, "copy {original} to src/world");
        }
        let (stages, folder) = (PACKAGES[1].1, "examples/stage-rust/wit/deps/mappable-stage");
        let text = std::fs::read_to_string(root.join(folder).join("stage.wit")).unwrap();
        assert_eq!(text, stages, "copy guests/wit/stage.wit to {folder}");
    }
}
