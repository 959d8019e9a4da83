//! A root that lifts or lowers functions itself, within one of ours that imports what it imports and exports what it
//! exports. Bridges lie beside the components that they lead to, so the root of a tree that has them can have no
//! functions of its own.
//!
//! ```text
//!   (component                        the new root
//!     …                               the root's imports, with the types and aliases in front of them, byte for byte
//!     (component …)                   the root
//!     (instance (instantiate 0 …))    given each import
//!     (export …) …)                   each of its exports
//! ```

use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind as ExportKind, ComponentExportSection,
    ComponentInstanceSection, RawSection,
};
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentAliasSectionReader, ComponentExportSectionReader,
    ComponentExternalKind as Kind, ComponentImportSectionReader, ComponentType, ComponentTypeRef,
    ComponentTypeSectionReader,
};

use crate::error::RewriteError;
use crate::tree::binary::{FEATURES, Found, get, sections};

/// The ids of sections, in the binary format.
const CUSTOM: u8 = 0;
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;
const CORE_TYPES: u8 = 3;
const ALIASES: u8 = 6;
const TYPES: u8 = 7;
const IMPORTS: u8 = 10;
const EXPORTS: u8 = 11;

/// How many items each index space has.
#[derive(Default)]
struct Counts([u32; 6]);

impl Counts {
    /// The next one's index.
    fn next(&mut self, kind: Kind) -> u32 {
        let count = match kind {
            Kind::Module => 0,
            Kind::Func => 1,
            Kind::Value => 2,
            Kind::Type => 3,
            Kind::Instance => 4,
            Kind::Component => 5,
        };
        let next = self.0[count];
        self.0[count] += 1;
        next
    }
}

/// The new root. `None` if what the root imports hangs on something that it has by itself.
pub(crate) fn nest(root: &[u8]) -> Result<Option<Vec<u8>>, RewriteError> {
    let found = sections(root)?;
    let imports = found.iter().rposition(|section| section.id == IMPORTS).map_or(0, |last| last + 1);
    let (mut outer, mut counts, mut given) = (Component::new(), Counts::default(), Vec::new());
    for section in found.iter().take(imports) {
        let reader = reader(root, section)?;
        match section.id {
            CUSTOM | MODULE => continue,
            CORE_TYPES => {}
            TYPES => {
                for ty in ComponentTypeSectionReader::new(reader)? {
                    if matches!(ty?, ComponentType::Resource { .. }) {
                        return Ok(None);
                    }
                    counts.next(Kind::Type);
                }
            }
            ALIASES => {
                for alias in ComponentAliasSectionReader::new(reader)? {
                    let ComponentAlias::InstanceExport { kind, .. } = alias? else { return Ok(None) };
                    counts.next(kind);
                }
            }
            IMPORTS => {
                for import in ComponentImportSectionReader::new(reader)? {
                    let import = import?;
                    if matches!(import.ty, ComponentTypeRef::Module(_)) {
                        return Ok(None);
                    }
                    let kind = import.ty.kind();
                    given.push((import.name.name, ExportKind::from(kind), counts.next(kind)));
                }
            }
            _ => return Ok(None),
        }
        outer.section(&RawSection { id: section.id, data: get(root, &section.content)? });
    }
    outer.section(&RawSection { id: COMPONENT, data: root });
    let mut instances = ComponentInstanceSection::new();
    instances.instantiate(counts.next(Kind::Component), given);
    outer.section(&instances);

    let instance = counts.next(Kind::Instance);
    let (mut aliases, mut exports) = (ComponentAliasSection::new(), ComponentExportSection::new());
    for section in found.iter().filter(|section| section.id == EXPORTS) {
        for export in ComponentExportSectionReader::new(reader(root, section)?)? {
            let export = export?;
            let (name, kind) = (export.name.name, ExportKind::from(export.kind));
            aliases.alias(Alias::InstanceExport { instance, kind, name });
            exports.export(export.name, kind, counts.next(export.kind), None);
        }
    }
    outer.section(&aliases).section(&exports);
    Ok(Some(outer.finish()))
}

fn reader<'a>(root: &'a [u8], section: &Found) -> Result<BinaryReader<'a>, RewriteError> {
    Ok(BinaryReader::new_features(get(root, &section.content)?, section.content.start, FEATURES))
}
