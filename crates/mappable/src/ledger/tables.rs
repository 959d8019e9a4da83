//! The handle tables: whose they are, and where they lie.

use std::collections::BTreeMap;
use std::fmt;

use super::chunks::{Chunk, Chunks};
use super::flight::kind;
use super::layout::{
    BOUNCE, CHUNKS, ENTRY, ENTRY_TAG, KINDS, MARK, MAX_TABLES, TABLE, TABLE_CAPACITY, TABLE_CHUNK, TABLE_USED, TABLES,
};
use super::{Kind, Ledger};

/// How much of a component instance's name is kept, in bytes.
const MAX_NAME: usize = 200;

/// The component instances of a store that have a handle table.
pub(crate) struct Tables {
    chunks: Chunks,
    /// By table number, from 1 on.
    tables: Vec<Table>,
    /// How many have come by that name.
    namesakes: BTreeMap<String, usize>,
}

struct Table {
    name: String,
    chunk: Chunk,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tables.iter().map(|table| &table.name)).finish()
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self { chunks: Chunks::new(CHUNKS..BOUNCE), tables: vec![], namesakes: BTreeMap::new() }
    }
}

impl Tables {
    /// Makes a table. Returns its number, or `None` if there is no room for another one.
    pub(crate) fn join(&mut self, ledger: &Ledger, name: &[u8]) -> Option<u32> {
        let number = u32::try_from(self.tables.len()).ok()?.checked_add(1).filter(|&number| number < MAX_TABLES)?;
        let chunk = self.chunks.first()?;
        let table = Table { name: self.name(name), chunk };
        ledger.set_chunk(number, table.chunk);
        ledger.words.set(record(number) + TABLE_USED, 1);
        self.tables.push(table);
        Some(number)
    }

    /// Doubles a table's room. Returns `None`, and changes nothing, if there is none.
    pub(crate) fn double(&mut self, ledger: &Ledger, number: u32) -> Option<()> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let table = self.tables.get_mut(index)?;
        let doubled = self.chunks.doubled(table.chunk)?;
        ledger.words.copy(table.chunk.at, doubled.at, table.chunk.len());
        self.chunks.give(std::mem::replace(&mut table.chunk, doubled));
        ledger.set_chunk(number, doubled);
        Some(())
    }

    /// What the component instance with a table is called.
    pub(crate) fn instance(&self, number: u32) -> String {
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        index.and_then(|index| self.tables.get(index)).map_or_else(|| "?".to_owned(), |table| table.name.clone())
    }

    /// Whether a table has that number.
    pub(crate) fn has(&self, number: u32) -> bool {
        0 < number && number as usize <= self.tables.len()
    }

    /// What a handle is, as far as the table knows.
    pub(crate) fn kind_of(&self, ledger: &Ledger, number: u32, handle: u32) -> Option<Kind> {
        let table = self.tables.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        let index = handle ^ MARK;
        let entry = (index < table.chunk.capacity).then(|| table.chunk.at + index * ENTRY)?;
        kind(ledger.words.get(entry + ENTRY_TAG) & KINDS)
    }

    /// The name, told apart from those that came before.
    fn name(&mut self, name: &[u8]) -> String {
        let mut name = String::from_utf8_lossy(name).into_owned();
        name.truncate(name.floor_char_boundary(MAX_NAME));
        let namesakes = self.namesakes.entry(name.clone()).or_default();
        *namesakes += 1;
        if *namesakes == 1 { name } else { format!("{name} ({namesakes})") }
    }
}

impl Ledger {
    fn set_chunk(&self, table: u32, chunk: Chunk) {
        self.words.set(record(table) + TABLE_CHUNK, chunk.at);
        self.words.set(record(table) + TABLE_CAPACITY, chunk.capacity);
    }
}

/// Where the record of a table is, the number of which is less than [`MAX_TABLES`].
fn record(number: u32) -> u32 {
    TABLES + TABLE * number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::layout::{ENGINES, ENTRY_REGION, FIRST_CAPACITY};

    #[test]
    fn tables_are_told_apart_by_name() {
        let ledger = Ledger::for_tests();
        let mut tables = Tables::default();
        let numbers: Vec<_> = [&b"b"[..], b"c", b"b", b"\xff"].iter().map(|name| tables.join(&ledger, name)).collect();
        assert_eq!(numbers, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!([1, 2, 3, 4, 0, 5].map(|number| tables.instance(number)), ["b", "c", "b (2)", "\u{fffd}", "?", "?"]);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let ledger = Ledger::for_tests();
        let mut tables = Tables::default();
        let names = ["a".repeat(MAX_NAME - 1) + "\u{e9}", "\u{1f600}".repeat(MAX_NAME), "a".repeat(MAX_NAME)];
        names.iter().for_each(|name| assert!(tables.join(&ledger, name.as_bytes()).is_some()));
        let kept = [names[0].trim_end_matches('\u{e9}'), &names[1][..MAX_NAME], &names[2]];
        assert_eq!([1, 2, 3].map(|number| tables.instance(number)), kept);
    }

    #[test]
    fn a_doubled_table_keeps_its_entries_until_there_is_no_room() {
        let ledger = Ledger::for_tests();
        let mut tables = Tables::default();
        let table = tables.join(&ledger, b"a").unwrap();
        let at = |handle| ledger.words.get(record(table) + TABLE_CHUNK) + handle * ENTRY;
        assert_eq!(ledger.words.get(record(table) + TABLE_USED), 1);
        for handle in 1..FIRST_CAPACITY {
            ledger.words.set(at(handle) + ENTRY_TAG, Kind::Frozen as u32 | ENGINES);
            ledger.words.set(at(handle) + ENTRY_REGION, handle);
        }
        let mut capacity = FIRST_CAPACITY;
        while tables.double(&ledger, table).is_some() {
            capacity *= 2;
            assert_eq!(ledger.words.get(record(table) + TABLE_CAPACITY), capacity);
            assert!((1..FIRST_CAPACITY).all(|handle| ledger.words.get(at(handle) + ENTRY_REGION) == handle));
        }
        assert!(capacity >= 1 << 20, "there is room for {capacity}");
        assert_eq!(tables.kind_of(&ledger, table, 3 | MARK), Some(Kind::Frozen));
        assert_eq!(tables.kind_of(&ledger, table, FIRST_CAPACITY | MARK), None);
        assert_eq!(tables.double(&ledger, 2), None);
        // What it had before is another's.
        assert!(tables.join(&ledger, b"b").is_some());
    }
}
