//! What a report says.

use mappable_rewrite::{ReadError, RefreshReport, RewriteError, inspect};

use crate::support::{gate, golden_input, rewrite, wasm};

#[test]
fn a_report_names_functions_memories_and_refreshes() {
    let report = inspect(&golden_input("map-and-unmap")).unwrap();
    assert_eq!(report.gated_imports[0].name, "mappable:memory/types@0.1.0");
    let [root] = &report.components[..] else { panic!("one component") };
    assert_eq!(root.path.to_string(), "root");
    let functions: Vec<_> = root.lowers.iter().map(|l| l.function.as_deref()).collect();
    assert_eq!(
        functions,
        [
            Some("mappable:memory/types@0.1.0#[static]mappable.map"),
            Some("mappable:memory/types@0.1.0#[static]mapping.unmap")
        ]
    );
    let memory = &root.lowers[0].memory;
    assert_eq!((memory.index, memory.core_instance), (0, 0));
    assert_eq!((memory.module, memory.export.as_str()), (Some(0), "memory"));
    assert_eq!(memory.ty.to_string(), "1");
    assert_eq!(root.modules[0].name.as_deref(), Some("libc"));
    assert_eq!(root.modules[0].memories, [memory.ty]);
    assert!(root.modules[1].memories.is_empty());
}

#[test]
fn where_a_refresh_is_put_is_where_it_is_found() {
    for name in ["map-and-unmap", "middle-of-section", "nested", "lowered-twice"] {
        let input = golden_input(name);
        let before = rewrite(&input, &gate()).unwrap();
        let after = inspect(&before.bytes).unwrap();
        let found = after.lowers().map(|(_, lower)| match lower.refresh {
            RefreshReport::Present { core_instance } => core_instance,
            other => panic!("{name}: {other:?}"),
        });
        let put = before.report.lowers().map(|(_, lower)| match lower.refresh {
            RefreshReport::Inserted { core_instance, .. } => core_instance,
            other => panic!("{name}: {other:?}"),
        });
        assert!(found.eq(put), "{name}");
    }
}

#[test]
fn paths_are_of_component_indices() {
    let report = inspect(&wasm("(component (component) (component $x (component)))")).unwrap();
    let paths: Vec<_> = report.components.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(paths, ["root", "root/0", "root/1", "root/1/0"]);
    assert_eq!(report.components[2].name.as_deref(), Some("x"));
}

#[test]
fn what_is_no_binary_component_is_said_to_be_what_it_is() {
    for (bytes, what) in [
        (&b"(component)"[..], "text format"),
        (b"\0asm\x01\0\0\0", "core module"),
        (b"\0asm\x99\0\0\0", "version"),
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\x7fELF", "WebAssembly"),
    ] {
        match rewrite(bytes, &gate()) {
            Err(error @ RewriteError::Read(ReadError::NotAComponent { .. })) => {
                assert!(error.to_string().contains(what), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
