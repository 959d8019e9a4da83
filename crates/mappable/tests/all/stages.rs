//! Built guests, by the SDK, on every setup: the same bytes come out, also where nothing can be mapped.

use mappable::{GRANULE, Handle, Mappable, MappingMode, Runtime};
use wasmtime::{Config, Store};

use crate::image::{Header, Pixels};
use crate::support::{Setup, State, linker};

const BLUR: &[u8] = include_bytes!("../../../../guests/built/blur.wasm");
const RESIZE: &[u8] = include_bytes!("../../../../guests/built/resize.wasm");

const PICTURE: Header = Header { pixels: Pixels::Gray8, width: 512, height: 300, size: 512 * 300 };

type Answer = (Result<(Handle, Header), String>,);

/// Hands a region to a stage in a store of its own, and takes what it gives.
fn stage(runtime: &Runtime, component: &[u8], region: Mappable, header: Header, arg: &str) -> (Mappable, Header) {
    let component = runtime.compile(component).unwrap();
    let mut store = Store::new(runtime.engine(), State::new(runtime));
    let instance = linker(runtime).instantiate(&mut store, &component).unwrap();
    let step = component.get_export_index(None, "mappable:stage/step@0.1.0").unwrap();
    let run = component.get_export_index(Some(&step), "run").unwrap();
    let run = instance.get_typed_func::<(Handle, Header, Vec<String>), Answer>(&mut store, run).unwrap();
    let handle = store.data_mut().mappable.insert(region).unwrap();
    let (answer,) = run.call(&mut store, (handle, header, vec![arg.to_owned()])).unwrap();
    let (handle, header) = answer.unwrap();
    let region = store.data_mut().mappable.remove(handle).unwrap();
    assert_eq!(store.data().mappable.held(), (0, 0), "a stage keeps nothing");
    (region, header)
}

/// A picture through two stages: one works where the pixels lie, one has two regions mapped at once.
fn pipeline(runtime: &Runtime) -> Vec<u8> {
    let mut region = runtime.allocate(PICTURE.size.next_multiple_of(GRANULE)).unwrap();
    for (at, byte) in region.bytes_mut().unwrap().iter_mut().enumerate() {
        *byte = (at * 7 + at / 512 * 13) as u8;
    }
    let (region, header) = stage(runtime, BLUR, region, PICTURE, "2");
    assert_eq!(header, PICTURE);
    let (region, header) = stage(runtime, RESIZE, region, header, "50%");
    assert_eq!(header, Header { width: 256, height: 150, size: 256 * 150, ..PICTURE });
    region.bytes().unwrap()[..header.size as usize].to_vec()
}

#[test]
fn stages_give_the_same_bytes_however_they_are_mapped() {
    let expected = pipeline(&Setup::Swap.runtime());
    assert!(expected.iter().any(|&byte| byte != expected[0]), "a picture of one colour shows nothing");
    for setup in [Setup::SwapConcurrent, Setup::Remap, Setup::RemapConcurrent, Setup::NoViews, Setup::FewViews] {
        assert!(pipeline(&setup.runtime()) == expected, "{setup:?}");
    }
    let off = Runtime::builder().config(Config::new()).mapping(MappingMode::Off).build().unwrap();
    assert!(pipeline(&off) == expected, "on a host that maps nothing");
}
