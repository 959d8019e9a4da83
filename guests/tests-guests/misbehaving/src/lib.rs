//! A stage that does what a stage should not do. Its first argument says which:
//!
//! | argument | does |
//! | --- | --- |
//! | `trap` | traps, with the region unmapped |
//! | `trap-mapped` | traps, with the region mapped |
//! | `oom` | allocates memory until there is none, which aborts |
//! | `regions` | allocates regions until there are none, and says how many in its error |
//! | `loop` | never returns |
//! | `error` | returns an error, two lines long |
//! | `keep` | keeps the region and returns another, of one granule, that says "kept" |
//! | `drop-mapped` | drops the region while it is mapped, and returns the same as `keep` |
//! | `wrong-size` | returns a header that says one byte more than the region has |
//! | `wrong-geometry` | returns a header whose sides don't fit its size |
//! | none | returns what it got |

use std::cell::RefCell;

use mappable_guest::bindings::types;
use mappable_guest::{GRANULE, Mappable, Mapped};
use stage_kit::bindings;
use stage_kit::bindings::exports::mappable::stage::step::{Guest, Header};
use stage_kit::bindings::mappable::stage::format::Pixels;

struct Misbehaving;

thread_local! {
    /// The regions that were kept.
    static KEPT: RefCell<Vec<Mapped>> = const { RefCell::new(Vec::new()) };
}

impl Guest for Misbehaving {
    fn run(
        region: types::Mappable,
        header: Header,
        arguments: Vec<String>,
    ) -> Result<(types::Mappable, Header), String> {
        let region = Mappable::from(region);
        match arguments.first().map_or("", String::as_str) {
            "" => Ok((region.into(), header)),
            "trap" => panic!("told to"),
            "trap-mapped" => {
                let mapped = region.map().map_err(|error| error.to_string())?;
                panic!("told to, with {} bytes mapped", mapped.len())
            }
            "oom" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 16 << 20]);
                }
            }
            "regions" => {
                let mut hoard = Vec::new();
                let error = loop {
                    match Mappable::allocate(GRANULE) {
                        Ok(region) => hoard.push(region),
                        Err(error) => break error,
                    }
                };
                Err(format!("after {} regions: {error}", hoard.len()))
            }
            "loop" => loop {
                core::hint::spin_loop();
            },
            "error" => Err("the first line of the error\nand the second".to_owned()),
            "keep" => {
                let mapped = region.map().map_err(|error| error.to_string())?;
                KEPT.with_borrow_mut(|kept| kept.push(mapped));
                another()
            }
            "drop-mapped" => {
                drop(region.map().map_err(|error| error.to_string())?);
                another()
            }
            "wrong-size" => {
                let size = region.size() + 1;
                Ok((region.into(), Header { size, ..header }))
            }
            "wrong-geometry" => {
                let header = Header { pixels: Pixels::Rgba8, width: 1000, height: 1000, size: 4 };
                Ok((region.into(), header))
            }
            argument => Err(format!("the argument {argument:?} is not understood")),
        }
    }
}

/// Returns a region of one granule that says "kept".
fn another() -> Result<(types::Mappable, Header), String> {
    let region = Mappable::allocate(GRANULE).map_err(|error| error.to_string())?;
    let mut mapped = region.map().map_err(|error| error.to_string())?;
    mapped[..4].copy_from_slice(b"kept");
    let header = Header { pixels: Pixels::Encoded, width: 0, height: 0, size: 4 };
    Ok((mapped.unmap().into(), header))
}

bindings::export!(Misbehaving);
