//! An Arrow array of strings in one region: validity bits, offsets and values. The host writes it where it lies, a guest
//! changes it there, and the host reads it as Arrow's own types. No byte is copied at either end.
//!
//! Run it: `cargo run -p mappable --example arrow`

use std::ops::Range;

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use bytes::Bytes;
use mappable::{Frozen, Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::Linker;

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

// ANCHOR: layout
/// Where the three parts of an array of strings lie in a region, each at a multiple of 64 bytes, as Arrow wants them.
struct Layout {
    count: usize,
    validity: Range<usize>,
    offsets: Range<usize>,
    values: Range<usize>,
}

impl Layout {
    fn new(count: usize, value_bytes: usize) -> Self {
        let behind = |end: usize, len: usize| end.next_multiple_of(64)..end.next_multiple_of(64) + len;
        let validity = behind(0, count.div_ceil(8));
        let offsets = behind(validity.end, (count + 1) * size_of::<i32>());
        let values = behind(offsets.end, value_bytes);
        Self { count, validity, offsets, values }
    }
}
// ANCHOR_END: layout

/// Writes an array into a new region.
fn write(runtime: &Runtime, strings: &[Option<&str>]) -> anyhow::Result<(Mappable, Layout)> {
    let layout = Layout::new(strings.len(), strings.iter().flatten().map(|string| string.len()).sum());
    // ANCHOR: write
    let mut region = runtime.allocate(layout.values.end as u64)?;
    let mut end = 0;
    for (index, string) in strings.iter().enumerate() {
        if let Some(string) = string {
            region.bytes_mut()?[layout.validity.start + index / 8] |= 1 << (index % 8);
            let from = layout.values.start + end;
            region.bytes_mut()?[from..from + string.len()].copy_from_slice(string.as_bytes());
            end += string.len();
        }
        region.as_pod_mut_at::<i32>(layout.offsets.clone())?[index + 1] = i32::try_from(end)?;
    }
    // ANCHOR_END: write
    Ok((region, layout))
}

// ANCHOR: read
/// Arrow's own views of a region: each keeps it from being freed.
fn read(frozen: Frozen, layout: &Layout) -> (NullBuffer, OffsetBuffer<i32>, Buffer) {
    let all = Buffer::from(Bytes::from_owner(frozen));
    let part = |range: &Range<usize>| all.slice_with_length(range.start, range.len());
    let validity = BooleanBuffer::new(part(&layout.validity), 0, layout.count);
    let offsets = ScalarBuffer::new(part(&layout.offsets), 0, layout.count + 1);
    // Offsets that a guest has made wrong are a panic here, and no access out of bounds.
    (NullBuffer::new(validity), OffsetBuffer::new(offsets), part(&layout.values))
}
// ANCHOR_END: read

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let component = runtime.compile(include_bytes!("guests/upper.wat"))?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    let mut store = runtime.store(State { mappable: runtime.context() });
    let instance = linker.instantiate(&mut store, &component)?;
    let upper = instance.get_typed_func::<(Handle, u32, u32, u32, u32), (Handle,)>(&mut store, "upper")?;

    let (region, layout) = write(&runtime, &[Some("arrow"), None, Some(""), Some("In Place")])?;
    let first = region.bytes()?.as_ptr();
    let handle = store.data_mut().mappable.insert(region)?;
    let [validity, offsets, values] = [&layout.validity, &layout.offsets, &layout.values].map(|it| it.start as u32);
    let (handle,) = upper.call(&mut store, (handle, validity, offsets, values, layout.count as u32))?;
    let region = store.data_mut().mappable.remove(handle)?;

    let (validity, offsets, values) = read(region.freeze()?, &layout);
    let strings: Vec<Option<&str>> = offsets
        .windows(2)
        .enumerate()
        .map(|(index, ends)| {
            let bytes = &values[ends[0] as usize..ends[1] as usize];
            Ok(validity.is_valid(index).then(|| std::str::from_utf8(bytes)).transpose()?)
        })
        .collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(strings == [Some("ARROW"), None, Some(""), Some("IN PLACE")], "{strings:?} came back");
    // Arrow's buffer is in the host's own view of the region.
    anyhow::ensure!(values.as_ptr() == first.wrapping_add(layout.values.start), "the array was copied");
    println!("{} strings, {} of them null, changed in place", strings.len(), validity.null_count());
    Ok(())
}
