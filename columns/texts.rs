//! A column of texts, each of which may be absent, as a dictionary and one index a row.
//!
//! Layout: entry count `u32`, width `u8`, the entries' lengths as `u32`, their bytes, then one
//! little-endian index of `width` bytes a row; index 0 is absent, index k is entry k − 1. Width 0
//! means that every row is absent (no entry) or has the only entry.

use std::{borrow::Cow, hash::BuildHasher};

use hashbrown::HashTable;

use crate::block::{BlockError, Reader};

/// Collects one column.
#[derive(Default)]
pub(crate) struct TextBuilder {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: foldhash::fast::FixedState,
    indexes: Vec<u32>,
    has_absent: bool,
}

impl TextBuilder {
    pub(crate) fn push(&mut self, text: Option<&str>) {
        let index = match text {
            None => {
                self.has_absent = true;
                0
            }
            Some(text) => self.index_of(text.as_bytes()),
        };
        self.indexes.push(index);
    }

    /// Fills up with absent rows, for a column that appears late.
    pub(crate) fn pad(&mut self, row_count: usize) {
        while self.indexes.len() < row_count {
            self.push(None);
        }
    }

    fn index_of(&mut self, text: &[u8]) -> u32 {
        // Lines of a billing file mostly repeat the line before.
        if let Some(last) = self.indexes.last()
            && *last > 0
            && self.entry(*last) == text
        {
            return *last;
        }
        let hash = self.hasher.hash_one(text);
        let found = self.table.find(hash, |index| entry(&self.bytes, &self.ends, *index) == text);
        if let Some(index) = found {
            return *index;
        }
        self.bytes.extend_from_slice(text);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a block is flushed before 4 GiB"));
        let index = u32::try_from(self.ends.len()).expect("a block has fewer than 2^32 rows");
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        self.table.insert_unique(hash, index, |index| hasher.hash_one(entry(bytes, ends, *index)));
        index
    }

    fn entry(&self, index: u32) -> &[u8] {
        entry(&self.bytes, &self.ends, index)
    }

    pub(crate) fn is_all_absent(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 12 + self.indexes.len() * 4
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let width = match (self.ends.len(), self.has_absent) {
            (0, _) | (1, false) => 0,
            (..=0xff, _) => 1,
            (..=0xffff, _) => 2,
            _ => 4,
        };
        let size = 5 + self.ends.len() * 4 + self.bytes.len() + self.indexes.len() * width;
        let mut out = Vec::with_capacity(size);
        let count = u32::try_from(self.ends.len()).expect("a block has fewer than 2^32 rows");
        out.extend_from_slice(&count.to_le_bytes());
        out.push(u8::try_from(width).expect("a width is at most 4"));
        let mut start = 0;
        for end in &self.ends {
            out.extend_from_slice(&(end - start).to_le_bytes());
            start = *end;
        }
        out.extend_from_slice(&self.bytes);
        for index in &self.indexes {
            out.extend_from_slice(&index.to_le_bytes()[..width]);
        }
        out
    }
}

fn entry<'a>(bytes: &'a [u8], ends: &[u32], index: u32) -> &'a [u8] {
    let index = index as usize - 1;
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &bytes[start as usize..ends[index] as usize]
}

/// A decoded column of texts.
pub struct TextColumn<'a> {
    data: Cow<'a, [u8]>,
    entries: Vec<(usize, usize)>,
    width: usize,
    indexes_at: usize,
    row_count: usize,
}

impl<'a> TextColumn<'a> {
    pub(crate) fn decode(data: Cow<'a, [u8]>, row_count: usize) -> Result<Self, BlockError> {
        let mut reader = Reader::new(&data);
        let count = reader.u32()? as usize;
        let width = usize::from(reader.u8()?);
        if !matches!(width, 0 | 1 | 2 | 4) || count > data.len() / 4 || (width == 0 && count > 1) {
            return Err(BlockError::Corrupt("a text column's header is impossible"));
        }
        let mut lengths = Vec::with_capacity(count);
        for _ in 0..count {
            lengths.push(reader.u32()? as usize);
        }
        let mut entries = Vec::with_capacity(count);
        for length in lengths {
            let start = reader.position();
            std::str::from_utf8(reader.take(length)?)
                .map_err(|_| BlockError::Corrupt("a text is not UTF-8"))?;
            entries.push((start, start + length));
        }
        let indexes_at = reader.position();
        reader.skip(row_count.checked_mul(width).ok_or(BlockError::Corrupt("too many rows"))?)?;
        let column = TextColumn { data, entries, width, indexes_at, row_count };
        match (0..row_count).all(|row| column.index(row) <= count) {
            true => Ok(column),
            false => Err(BlockError::Corrupt("a text index is beyond its dictionary")),
        }
    }

    /// How many rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.row_count
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// The row's index: 0 where absent, else k for [`TextColumn::entry`] k.
    #[must_use]
    #[inline]
    pub fn index(&self, row: usize) -> usize {
        let at = self.indexes_at + row * self.width;
        match self.width {
            0 => self.entries.len(),
            1 => usize::from(self.data[at]),
            2 => usize::from(u16::from_le_bytes([self.data[at], self.data[at + 1]])),
            _ => {
                let bytes = &self.data[at..at + 4];
                u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
            }
        }
    }

    /// How many indexes there are, 0 (absent) included.
    #[must_use]
    pub const fn index_count(&self) -> usize {
        self.entries.len() + 1
    }

    /// The text of an index; `None` for index 0.
    #[must_use]
    pub fn entry(&self, index: usize) -> Option<&str> {
        let (start, end) = *self.entries.get(index.checked_sub(1)?)?;
        std::str::from_utf8(&self.data[start..end]).ok()
    }

    /// The text of a row; `None` where it is absent or there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        (row < self.row_count).then(|| self.entry(self.index(row))).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[Option<&str>]) {
        let mut builder = TextBuilder::default();
        values.iter().for_each(|value| builder.push(*value));
        let column = TextColumn::decode(Cow::Owned(builder.encode()), values.len()).unwrap();
        let read: Vec<_> = (0..values.len()).map(|row| column.get(row)).collect();
        assert_eq!(read, values);
        assert_eq!(column.get(values.len()), None);
    }

    #[test]
    fn every_text_reads_back_and_absent_is_not_empty() {
        round_trip(&[]);
        round_trip(&[None, None]);
        round_trip(&[Some("a"), Some("a")]);
        round_trip(&[Some(""), None, Some("ä\n\"€")]);
        let many: Vec<_> = (0..70_000).map(|n| n.to_string()).collect();
        round_trip(&many.iter().map(|text| Some(text.as_str())).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn any_column_reads_back(values in prop::collection::vec(
            prop::option::of("[a-c]{0,3}"), 0..300)) {
            round_trip(&values.iter().map(Option::as_deref).collect::<Vec<_>>());
        }

        #[test]
        fn damaged_bytes_are_an_error_or_another_column_but_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..64), rows in 0_usize..20) {
            if let Ok(column) = TextColumn::decode(Cow::Borrowed(&bytes), rows) {
                for row in 0..rows { let _text = column.get(row); }
            }
        }
    }
}
