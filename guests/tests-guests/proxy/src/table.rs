//! The table, and how a number is found in it.

/// The value of a key.
#[cfg(feature = "regions")]
pub(crate) fn lookup(key: u64) -> Option<u64> {
    let table = mappable_guest::Frozen::from(crate::bindings::mappable::data::shared::get("table")?);
    let table = table.map().ok()?;
    let pairs = table.as_pod::<[u64; 2]>();
    pairs.binary_search_by_key(&key, |pair| pair[0]).ok().map(|at| pairs[at][1])
}

/// The value of a key.
#[cfg(not(feature = "regions"))]
pub(crate) fn lookup(key: u64) -> Option<u64> {
    use wasip2::filesystem::preopens::get_directories;
    use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

    /// In bytes: what one call reads.
    const PIECE: u64 = 4096;

    let (folder, _) = get_directories().into_iter().next()?;
    let file = folder.open_at(PathFlags::empty(), "table", OpenFlags::empty(), DescriptorFlags::READ).ok()?;
    // The first key of a piece tells whether to look before it; the last piece that may have the key is searched.
    let (mut low, mut high) = (0_u64, file.stat().ok()?.size.div_ceil(PIECE));
    loop {
        let middle = low.midpoint(high);
        let (piece, _) = file.read(PIECE, middle * PIECE).ok()?;
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
        let first = number(piece.get(..8)?)?;
        if key < first {
            high = middle;
        } else if key > number(piece.get(piece.len() - 16..piece.len() - 8)?)? {
            low = middle + 1;
        } else {
            let pairs: Vec<_> = piece.chunks_exact(16).collect();
            let at = pairs.binary_search_by_key(&Some(key), |pair| number(&pair[..8])).ok()?;
            return number(&pairs[at][8..]);
        }
        if low >= high {
            return None;
        }
    }
}
