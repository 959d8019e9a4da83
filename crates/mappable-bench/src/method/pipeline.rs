//! A pipeline that the host calls: it gives a region to the first stage, and has it back from the last.

use anyhow::{Context, Result, ensure};
use mappable::{GRANULE, Handle, MappableView, MappingMode};
use wasmtime::Store;
use wasmtime::component::TypedFunc;

use super::guests::{State, linker, runtime, store};
use super::{Method, of_size};
use crate::tier::Tier;

/// `process: func(region: mappable) -> mappable` of an open composition, in a store of its own.
pub(super) struct Pipeline {
    store: Store<State>,
    process: TypedFunc<(Handle,), (Handle,)>,
    /// How often it writes in a call.
    writes: u32,
    /// The region, between calls.
    region: Option<Handle>,
}

impl Pipeline {
    pub(super) fn new(text: &str, tier: Tier, mapping: MappingMode, concurrency: bool, writes: u32) -> Result<Self> {
        let runtime = runtime(tier, mapping, concurrency)?;
        let component = runtime.compile(text.as_bytes())?;
        let mut store = store(&runtime, GRANULE)?;
        let instance = linker(&runtime)?.instantiate(&mut store, &component)?;
        let process = instance.get_typed_func(&mut store, "process")?;
        let region = store.data_mut().mappable().insert(runtime.allocate(GRANULE)?)?;
        Ok(Self { store, process, writes, region: Some(region) })
    }
}

impl Method for Pipeline {
    /// How many calls there have been, which is what the line holds over how often each writes.
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let mut region = self.region.take().context("a call has failed before")?;
        for _ in 0..rounds {
            region = self.process.call(&mut self.store, (region,))?.0;
        }
        let bytes = self.store.data().mappable.get(&region)?.bytes()?;
        let line: [u8; 8] = bytes[..8].try_into()?;
        let written = u64::from_le_bytes(line);
        ensure!(bytes[56..64] == line, "the words of a line differ");
        ensure!(written.is_multiple_of(self.writes.into()), "{written} writes, {} in each call", self.writes);
        self.region = Some(region);
        Ok(written / u64::from(self.writes))
    }
}

/// A component whose root has `process` itself, which maps the region so many times.
pub(super) fn alone(maps: u32, size: u64) -> String {
    let process = format!(
        r#"(func (export "process") (param $region i32) (result i32)
          (local $left i32)
          (local.set $left (i32.const {maps}))
          (loop $again
            (local.set $region (call $visit (local.get $region)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (local.get $region))"#
    );
    let visitor = include_str!("visitor.wat").replace(r#"(func (export "visit")"#, r#"(func $visit (export "visit")"#);
    let visitor = visitor.trim_end().strip_suffix(')').unwrap_or_default().to_owned() + &process + ")";
    let text = include_str!("open.wat").replace("VISITOR", &visitor).replace(r#""visit""#, r#""process""#);
    of_size(&text.replace(r#"$visit (export "process")"#, "$visit"), size)
}

/// The composition, of so many stages.
pub(super) fn text(stages: u32, size: u64) -> String {
    let with = r#"(with "mappable" (type $mappable)) (with "mapping" (type $mapping)) (with "map-error" (type $map-error))
        (with "map" (func $map)) (with "unmap" (func $unmap))"#;
    let mut rest = format!("(instance $s{stages} (instantiate $last {with}))");
    if stages > 1 {
        // Nobody would know what one that is not instantiated calls.
        rest.insert_str(0, include_str!("stage.wat"));
    }
    for stage in (1..stages).rev() {
        let next = format!(r#"(with "next" (func $s{} "process"))"#, stage + 1);
        rest += &format!("\n  (instance $s{stage} (instantiate $stage {with} {next}))");
    }
    of_size(&include_str!("pipeline.wat").replace("STAGES", &rest), size)
}
