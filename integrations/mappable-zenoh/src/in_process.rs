//! Values on their way within one process: who receives the very bytes that were sent has the frozen value itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use mappable::Frozen;

/// Where bytes are that a message has, and how many.
type Place = (usize, usize);

/// What is on its way, by where its bytes are.
#[derive(Debug, Default)]
pub(crate) struct InProcess(Mutex<HashMap<Place, (Frozen, usize)>>);

/// What a message has as long as it exists in this process. Its bytes are those of `shown`.
#[derive(Debug)]
pub(crate) struct OnTheWay {
    shown: Frozen,
    table: Arc<InProcess>,
}

impl InProcess {
    /// `value` is what a receiver gets that has the bytes of `shown`.
    pub(crate) fn send(self: &Arc<Self>, value: Frozen, shown: Frozen) -> OnTheWay {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.entry(place(&shown)).or_insert((value, 0)).1 += 1;
        OnTheWay { shown, table: Arc::clone(self) }
    }

    /// The value whose bytes these are, if a message has it.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<Frozen> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&(bytes.as_ptr() as usize, bytes.len())).map(|(value, _)| value.clone())
    }
}

impl AsRef<[u8]> for OnTheWay {
    fn as_ref(&self) -> &[u8] {
        &self.shown
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        let mut table = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = table.entry(place(&self.shown)) {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                let value = entry.remove();
                drop(table);
                drop(value);
            }
        }
    }
}

fn place(shown: &Frozen) -> Place {
    (shown.as_ptr() as usize, shown.len())
}
