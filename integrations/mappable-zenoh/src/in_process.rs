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

/// What a message has as long as it exists in this process: its bytes are the value's.
#[derive(Debug)]
pub(crate) struct OnTheWay {
    value: Frozen,
    table: Arc<InProcess>,
}

impl InProcess {
    /// What a message with these bytes keeps.
    pub(crate) fn send(self: &Arc<Self>, value: Frozen) -> OnTheWay {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.entry(place(&value)).or_insert_with(|| (value.clone(), 0)).1 += 1;
        OnTheWay { value, table: Arc::clone(self) }
    }

    /// The value whose bytes these are, if a message has it.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<Frozen> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&(bytes.as_ptr() as usize, bytes.len())).map(|(value, _)| value.clone())
    }
}

impl AsRef<[u8]> for OnTheWay {
    fn as_ref(&self) -> &[u8] {
        &self.value
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        let mut table = self.table.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = table.entry(place(&self.value)) {
            entry.get_mut().1 -= 1;
            if entry.get().1 == 0 {
                let value = entry.remove();
                drop(table);
                drop(value);
            }
        }
    }
}

fn place(value: &Frozen) -> Place {
    (value.as_ptr() as usize, value.len())
}
