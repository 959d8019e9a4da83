//! Regions and frozen bytes shared out among workers.

use std::ops::Range;

use super::error::{AnotherRegion, MapError, MapFailed, PartsError, PartsFailed};
use super::parts::{Parts, Span};
use super::pool::Workers;
use crate::region::{Frozen, Mappable, PartError};

/// A part of a region, which a worker owns while it works on it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part {
    /// The part. It is to be returned.
    pub region: Mappable,
    /// Where the part begins in the region, in bytes: a multiple of [`GRANULE`](crate::GRANULE).
    pub offset: u64,
    /// The rows to work on, counted from the region's first. The part has other bytes before and behind them.
    pub rows: Range<u64>,
    row_bytes: u64,
    /// The length of the whole region.
    whole_len: u64,
}

impl Part {
    /// Where the rows lie in the part, in bytes. The last row of a region ends where the region's length does.
    /// [`Workers::map_parts`] has an example.
    pub fn bytes(&self) -> Range<u64> {
        let end = self.rows.end.saturating_mul(self.row_bytes).min(self.whole_len);
        self.rows.start * self.row_bytes - self.offset..end - self.offset
    }
}

/// Rows of frozen bytes, which a worker reads about, with rows around them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Slice {
    /// The bytes that have the rows, from a granule on.
    pub frozen: Frozen,
    /// Where they begin in the whole, in bytes.
    pub offset: u64,
    /// The rows that are this worker's.
    pub rows: Range<u64>,
    /// The rows that lie wholly in the bytes: those, and as many around them as were asked for and exist.
    pub shown: Range<u64>,
    row_bytes: u64,
}

impl Slice {
    /// Where this worker's rows lie in the bytes. [`Workers::map_slices`] has an example.
    pub fn bytes(&self) -> Range<u64> {
        let end = self.rows.end.saturating_mul(self.row_bytes) - self.offset;
        self.rows.start * self.row_bytes - self.offset..end.min(self.frozen.len() as u64)
    }
}

impl<W: Send> Workers<W> {
    /// Cuts a region into parts, has each worked on by the worker that owns it, and joins them again, in order. Copies nothing,
    /// and no byte is ever shared: a part is a region of its own.
    ///
    /// `work` is given a worker and a [`Part`], and returns the part's region and whatever came of it. What came of all is
    /// returned in the order of rows. The region's length stays as it was.
    ///
    /// A part is whole granules. Where rows don't end on granules, there are rows that lie in two parts; `work` is called for each of
    /// these once more, with a part that has all of it, after all other rows.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::workers::{Parts, Workers};
    ///
    /// let runtime = mappable::Runtime::new()?;
    /// let mut workers = Workers::new(2, || Ok(()))?;
    /// // Rows of 100 bytes, each of which is told its number.
    /// let region = runtime.allocate(1_000_000)?;
    /// let (region, _) = workers.map_parts(region, &Parts::of_rows(100), |_, mut part| {
    ///     let bytes = part.bytes();
    ///     let mut region = part.region;
    ///     let rows = &mut region.bytes_mut()?[bytes.start as usize..bytes.end as usize];
    ///     for (row, number) in rows.chunks_mut(100).zip(part.rows) {
    ///         row[..8].copy_from_slice(&number.to_le_bytes());
    ///     }
    ///     Ok((region, ()))
    /// })?;
    /// assert_eq!(region.bytes()?[777_700..][..8], 7_777_u64.to_le_bytes());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// To work from one picture into another, freeze the first and give every worker a clone: all map the same bytes, and each
    /// owns a part of the second.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use mappable::workers::{Parts, Workers};
    /// # let runtime = mappable::Runtime::new()?;
    /// # let mut workers = Workers::new(2, || Ok(()))?;
    /// let input = runtime.allocate_from(&[7; 200_000])?.freeze()?;
    /// let output = runtime.allocate(200_000)?;
    /// let (output, _) = workers.map_parts(output, &Parts::of_rows(1), |_, part| {
    ///     let (from, to) = (part.offset as usize, part.bytes());
    ///     let mut region = part.region;
    ///     for (at, byte) in region.bytes_mut()?[..to.end as usize].iter_mut().enumerate() {
    ///         let row = from + at;
    ///         *byte = input[row.saturating_sub(1)] + input[row];
    ///     }
    ///     Ok((region, ()))
    /// })?;
    /// assert!(output.bytes()?.iter().all(|&byte| byte == 14));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PartsFailed`], with what is left of the region: all but the parts that failed.
    ///
    /// # Panics
    ///
    /// If `work` does. The region is dropped.
    pub fn map_parts<R: Send>(
        &mut self,
        region: Mappable,
        parts: &Parts,
        work: impl Fn(&mut W, Part) -> wasmtime::Result<(Mappable, R)> + Sync,
    ) -> Result<(Mappable, Vec<R>), PartsFailed> {
        let (size, len) = (region.size(), region.len());
        let plan = parts.plan(size, len, self.count());
        let mut whole = Whole { pieces: vec![(0, region)], made: vec![], lost: vec![] };
        for spans in [plan.parts, plan.seams] {
            if !spans.is_empty() {
                let part = |region, span: &Span| Part {
                    region,
                    offset: span.bytes.start,
                    rows: span.rows.clone(),
                    row_bytes: parts.row_bytes(),
                    whole_len: len,
                };
                let ran = whole.round(self, &spans, size, |worker, region, span| work(worker, part(region, span)));
                ran.map_err(|reason| whole.failed(reason, len))?;
            }
        }
        whole.finish(len)
    }

    /// Has workers read frozen bytes, each its own rows, and returns what came of each, in order. Copies nothing. A worker is
    /// shown `halo` rows on either side of its own besides, where there are such.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use mappable::workers::{Parts, Workers};
    /// # let runtime = mappable::Runtime::new()?;
    /// # let mut workers = Workers::new(2, || Ok(()))?;
    /// let numbers = runtime.allocate_from(&[3; 500_000])?.freeze()?;
    /// let sums = workers.map_slices(&numbers, &Parts::of_rows(1), 0, |_, slice| {
    ///     let bytes = slice.bytes();
    ///     Ok(slice.frozen[bytes.start as usize..bytes.end as usize].iter().map(|&byte| u64::from(byte)).sum::<u64>())
    /// })?;
    /// assert_eq!(sums.iter().sum::<u64>(), 1_500_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`MapFailed`]. The bytes are the caller's as before.
    pub fn map_slices<R: Send>(
        &mut self,
        frozen: &Frozen,
        parts: &Parts,
        halo: u64,
        work: impl Fn(&mut W, Slice) -> wasmtime::Result<R> + Sync,
    ) -> Result<Vec<R>, MapFailed<Slice, R>> {
        let row_bytes = parts.row_bytes();
        let shares = parts.shares(frozen.len() as u64, self.count(), halo);
        let slices = shares.into_iter().map(|share| Slice {
            frozen: frozen.slice(share.bytes.clone()).expect("a share begins at a granule inside, and is not empty"),
            offset: share.bytes.start,
            rows: share.own,
            shown: share.shown,
            row_bytes,
        });
        self.map(slices.collect(), |worker, _, slice| work(worker, slice))
    }
}

/// A region in pieces, between one round of work and the next.
struct Whole<R> {
    /// In order, with their offsets.
    pieces: Vec<(u64, Mappable)>,
    /// The rows that were worked on, and what came of them.
    made: Vec<(Range<u64>, R)>,
    lost: Vec<Range<u64>>,
}

impl<R: Send> Whole<R> {
    /// Has these spans of the region worked on, of which all is there.
    fn round<W: Send>(
        &mut self,
        workers: &mut Workers<W>,
        spans: &[Span],
        size: u64,
        work: impl Fn(&mut W, Mappable, &Span) -> wasmtime::Result<(Mappable, R)> + Sync,
    ) -> Result<(), PartsError> {
        self.join();
        self.cut(spans.iter().flat_map(|span| [span.bytes.start, span.bytes.end]), size).map_err(PartsError::NotCut)?;
        let is_wanted = |offset: u64| spans.iter().any(|span| span.bytes.start == offset);
        let (wanted, rest): (Vec<_>, _) = self.pieces.drain(..).partition(|(offset, _)| is_wanted(*offset));
        self.pieces = rest;
        let items = wanted.into_iter().map(|(_, region)| region).collect();
        let ran = workers.map(items, |worker, index, region: Mappable| {
            let id = region.extent().id();
            let (region, made) = work(worker, region, &spans[index])?;
            if region.extent().id() != id {
                return Err(AnotherRegion.into());
            }
            Ok((region, made))
        });
        let (done, left, lost, failed) = match ran {
            Ok(done) => (done.into_iter().enumerate().collect(), vec![], vec![], None),
            Err(MapFailed { reason, done, left, lost }) => (done, left, lost, Some(reason)),
        };
        for (index, (region, made)) in done {
            self.pieces.push((spans[index].bytes.start, region));
            self.made.push((spans[index].rows.clone(), made));
        }
        self.pieces.extend(left.into_iter().map(|(index, region)| (spans[index].bytes.start, region)));
        self.pieces.sort_unstable_by_key(|(offset, _)| *offset);
        self.lost.extend(lost.into_iter().map(|index| spans[index].bytes.clone()));
        failed.map_or(Ok(()), |reason| Err(PartsError::Map(reason)))
    }

    /// Cuts the region, which is one piece, at these offsets, which rise. If one can't be made, it stays as far as it is cut.
    fn cut(&mut self, at: impl Iterator<Item = u64>, size: u64) -> Result<(), PartError> {
        let mut at: Vec<u64> = at.filter(|at| *at > 0 && *at < size).collect();
        at.dedup();
        let Some((_, mut low)) = self.pieces.pop() else { return Ok(()) };
        let mut failed = None;
        for at in at.into_iter().rev() {
            match low.split(at) {
                Ok((rest, high)) => {
                    low = rest;
                    self.pieces.push((at, high));
                }
                Err(error) => {
                    low = error.region;
                    failed = Some(error.reason);
                    break;
                }
            }
        }
        self.pieces.push((0, low));
        self.pieces.reverse();
        failed.map_or(Ok(()), Err)
    }

    /// Joins neighbours.
    fn join(&mut self) {
        let mut joined: Vec<(u64, Mappable)> = vec![];
        for (offset, high) in self.pieces.drain(..) {
            let Some((at, low)) = joined.pop_if(|(at, low)| *at + low.size() == offset) else {
                joined.push((offset, high));
                continue;
            };
            match low.join(high) {
                Ok(whole) => joined.push((at, whole)),
                Err(apart) => joined.extend([(at, apart.low), (offset, apart.high)]),
            }
        }
        self.pieces = joined;
    }

    fn failed(&mut self, reason: PartsError, len: u64) -> PartsFailed {
        self.join();
        self.restore(len);
        let mut done: Vec<_> = self.made.drain(..).map(|(rows, _)| rows).collect();
        done.sort_unstable_by_key(|rows| rows.start);
        self.lost.sort_unstable_by_key(|bytes| bytes.start);
        PartsFailed { reason, pieces: std::mem::take(&mut self.pieces), lost: std::mem::take(&mut self.lost), done }
    }

    /// The region, and what came of its rows.
    fn finish(mut self, len: u64) -> Result<(Mappable, Vec<R>), PartsFailed> {
        self.join();
        self.restore(len);
        self.made.sort_unstable_by_key(|(rows, _)| rows.start);
        match self.pieces.pop() {
            Some((_, region)) if self.pieces.is_empty() => {
                Ok((region, self.made.into_iter().map(|(_, made)| made).collect()))
            }
            last => {
                // A worker returned its own part, so its neighbours are neighbours still.
                self.pieces.extend(last);
                let source = wasmtime::Error::msg("bug: parts were not joined");
                Err(self.failed(PartsError::Map(MapError::Failed { index: 0, source }), len))
            }
        }
    }

    /// Gives pieces the lengths that they had in a region of this length. A guest may have changed its part's.
    fn restore(&mut self, len: u64) {
        for (offset, region) in &mut self.pieces {
            let counted = len.saturating_sub(*offset).min(region.size());
            region.set_len(counted).expect("no more than the size");
        }
    }
}
