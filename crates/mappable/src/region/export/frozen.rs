//! Frozen bytes for another process, and their seals.

use std::io;
use std::sync::Arc;

use super::{Exported, copied, in_use, is_sealed, seal, whole};
use crate::region::shared_file::SharedFile;
use crate::region::{Frozen, FrozenRegion, Mappable, Trust};

/// Frozen bytes were not sealed.
#[derive(Debug, thiserror::Error)]
#[error("{} frozen bytes were not sealed", frozen.size())]
#[non_exhaustive]
pub struct SealFailed {
    /// The reference, as it was.
    pub frozen: Frozen,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

impl FrozenRegion {
    /// Whether the bytes are all of a file that is as it should be for a peer of that kind, and stays so: it is this process's, or sealed.
    fn is_alone(&self, trust: Trust) -> io::Result<bool> {
        let Some(file) = self.whole_file() else { return Ok(false) };
        let is_whole = file.range().start() == 0 && file.file().len() == file.range().len();
        if !is_whole || !file.keeps_size()? {
            return Ok(false);
        }
        if trust.is_peer && !file.is_lent() {
            return Ok(true);
        }
        Ok(is_sealed(file.file())? || trust.is_peer && file.take_over())
    }

    /// The same bytes, as they should be for a peer of that kind: copied if they have to be.
    #[cfg(feature = "ipc")]
    pub(crate) fn alone(&self, trust: Trust) -> io::Result<Self> {
        if self.is_alone(trust)? {
            return Ok(self.clone());
        }
        let file = copied(self.size(), |offset, into| self.read(offset, into))?;
        if !trust.is_peer && !file.seal()? {
            return Err(in_use());
        }
        Ok(Self::of_shared(whole(self.backing(), file), self.len()))
    }
}

impl Frozen {
    /// The bytes for another process. The reference stays: frozen bytes are read by any number of processes.
    ///
    /// A trusted peer gets the bytes themselves, or a copy if they are not alone in a file, or another process may write to that again. Any other peer gets sealed bytes:
    /// if [`Frozen::seal`] was called before, that costs no copy, and otherwise each call copies them. Nobody says when that
    /// process is done with them, so bytes that were not copied can't be thawed any more, only copied. [`Trust`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn export(&self, trust: Trust) -> io::Result<Exported> {
        let region = self.region();
        let done = |descriptor, was_copied| Exported {
            descriptor,
            offset: 0,
            size: region.size(),
            len: region.len(),
            was_copied,
        };
        if let Some(file) = region.whole_file()
            && region.is_alone(trust)?
        {
            let descriptor = file.file().descriptor()?;
            region.note_read_elsewhere();
            return Ok(done(descriptor, false));
        }
        let file = copied(region.size(), |offset, into| region.read(offset, into))?;
        if !trust.is_peer && !file.seal()? {
            return Err(in_use());
        }
        Ok(done(file.descriptor()?, true))
    }

    /// The same bytes in a file that the kernel lets nobody change any more (`F_SEAL_WRITE`), not even this process. Sealed
    /// bytes can't be thawed, only copied.
    ///
    /// Copies the bytes once, unless they are in such a file already, or the file can be sealed where it is. It can be if they
    /// are alone in a file of this process's ([`Runtime::allocate_exportable`](crate::Runtime::allocate_exportable)), this is
    /// the only reference to them, and no component has mapped them for writing.
    ///
    /// ```
    /// use mappable::{Runtime, Trust};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::new()?;
    /// let mut region = runtime.allocate_exportable(100_000)?;
    /// region.bytes_mut()?.fill(7);
    /// let sealed = region.freeze()?.seal()?;
    /// // For any number of processes, none of them trusted, and without a copy.
    /// let exported = sealed.export(Trust::SEALS)?;
    /// # if runtime.frozen_stores_trap() {
    /// assert!(!exported.was_copied);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SealFailed`], which gives the reference back.
    pub fn seal(self) -> Result<Self, SealFailed> {
        let is_done = !self.region().backing().is_in_file()
            || match self.region().whole_file().map(|file| is_sealed(file.file())) {
                Some(Err(source)) => return Err(SealFailed { frozen: self, source }),
                Some(Ok(is_sealed)) => is_sealed,
                None => false,
            };
        if is_done {
            return Ok(self);
        }
        let frozen = match self.seal_in_place()? {
            Ok(sealed) => return Ok(sealed),
            Err(frozen) => frozen,
        };
        let region = frozen.region();
        let copy = copied(region.size(), |offset, into| region.read(offset, into)).and_then(|file| {
            if file.seal()? {
                Self::of(FrozenRegion::of_shared(whole(region.backing(), file), region.len()))
            } else {
                Err(in_use())
            }
        });
        copy.map_err(|source| SealFailed { frozen, source })
    }

    /// Seals the file of the bytes, if they are all of one that is this process's, and this is the only reference. Else, or if a component has mapped
    /// it for writing, the reference comes back.
    fn seal_in_place(self) -> Result<Result<Self, Self>, SealFailed> {
        // A file that is lent is to be written to again by the process that it is from.
        if self.region().whole_file().is_none_or(|file| file.is_lent()) {
            return Ok(Err(self));
        }
        match self.into_region().thaw().map(Mappable::into_shared) {
            Ok(Ok((file, len))) => match seal_own(&file) {
                Ok(true) => Ok(Ok(Self::of_shown(FrozenRegion::of_shared(file, len)))),
                Ok(false) => Ok(Err(shown_again(file, len))),
                Err(source) => Err(SealFailed { frozen: shown_again(file, len), source }),
            },
            // It was all of the file, so its window has not gone.
            Ok(Err(region)) => Ok(Err(Self::of_shown(FrozenRegion::new(region)))),
            Err(region) => Ok(Err(Self::of_shown(region))),
        }
    }
}

/// Seals the file of frozen bytes to which there is no other reference. `false` if a component has mapped it for writing.
fn seal_own(file: &SharedFile) -> io::Result<bool> {
    // The host goes on by this window, so it is there before the other one goes.
    file.read_window()?;
    seal(file)
}

/// Frozen bytes alone in a file, from which their owner's window may have been taken.
fn shown_again(file: Arc<SharedFile>, len: u64) -> Frozen {
    let region = Mappable::of_shared(file, len);
    if region.all_bytes().is_ok() {
        return Frozen::of_shown(FrozenRegion::new(region));
    }
    // No room for another window for writing: the one for reading is left, and the bytes can only be copied.
    match region.into_shared() {
        Ok((file, len)) => Frozen::of_shown(FrozenRegion::of_shared(file, len)),
        Err(region) => Frozen::of_shown(FrozenRegion::new(region)),
    }
}
