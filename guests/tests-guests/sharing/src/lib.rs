//! A stage that uses every operation on regions: it adds the first granule's bytes to those of every other granule.
//!
//! It splits off the first granule, freezes it, and maps it twice at once: as a clone and as a slice. Meanwhile it
//! writes to the rest. Then it joins the two, and returns the region. If anything goes wrong it returns an error that
//! says what.

use mappable_guest::bindings::types;
use mappable_guest::{GRANULE, Mappable};
use stage_kit::bindings;
use stage_kit::bindings::exports::mappable::stage::step::{Guest, Header};

struct Sharing;

impl Guest for Sharing {
    fn run(
        region: types::Mappable,
        header: Header,
        _arguments: Vec<String>,
    ) -> Result<(types::Mappable, Header), String> {
        let region = add_first_granule(region.into()).map_err(|error| error.to_string())?;
        Ok((region.into(), header))
    }
}

fn add_first_granule(region: Mappable) -> Result<Mappable, Box<dyn core::error::Error>> {
    let granule = GRANULE as usize;
    let (first, rest) = region.split(GRANULE)?;
    let first = first.freeze();
    let slice = first.slice(0..GRANULE)?.map()?;
    let clone = first.try_clone()?.map()?;
    let mut rest = rest.map()?;
    if slice[..] != clone[..] {
        return Err("two mappings of one frozen region differ".into());
    }
    for (at, byte) in rest.iter_mut().enumerate() {
        *byte = byte.wrapping_add(if at % 2 == 0 { slice[at % granule] } else { clone[at % granule] });
    }
    drop(slice);
    let Err(failed) = first.thaw() else { return Err("thawed with a clone mapped".into()) };
    let clone = clone.unmap();
    drop(failed);
    let Ok(first) = clone.thaw() else { return Err("the last reference does not thaw".into()) };
    Ok(first.join(rest.unmap())?)
}

bindings::export!(Sharing);
