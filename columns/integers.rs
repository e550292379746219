//! A column of whole numbers, each of which may be absent.
//!
//! Layout: exponent `u8`, least value `i128`, width `u8`, presence flag `u8`, then (where the flag
//! is 1) one presence bit a row, then one little-endian number of `width` bytes a row. A row's
//! value is `(least + number) × 10^exponent`. Money in femtodollars mostly ends in many zeros, so
//! most columns need two to four bytes a row.

use std::borrow::Cow;

use crate::block::{BlockError, Reader};

const EXPONENT_MAX: u8 = 15;

/// Collects one column.
#[derive(Default)]
pub(crate) struct IntegerBuilder {
    values: Vec<Option<i128>>,
}

impl IntegerBuilder {
    pub(crate) fn push(&mut self, value: Option<i128>) {
        self.values.push(value);
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.values.len() * size_of::<Option<i128>>()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let exponent = common_exponent(self.values.iter().flatten());
        let factor = 10_i128.pow(u32::from(exponent));
        let scaled = |value: i128| if exponent == 0 { value } else { value / factor };
        let present = || self.values.iter().flatten().map(|value| scaled(*value));
        let least = present().min().unwrap_or(0);
        let span = present().max().unwrap_or(0).wrapping_sub(least).cast_unsigned();
        let width = width_of(span);
        let mut out = Vec::with_capacity(24 + self.values.len() * (width + 1));
        out.push(exponent);
        out.extend_from_slice(&least.to_le_bytes());
        out.push(u8::try_from(width).expect("a width is at most 16"));
        self.encode_presence(&mut out);
        for value in &self.values {
            let offset = value.map_or(0, |value| scaled(value).wrapping_sub(least).cast_unsigned());
            out.extend_from_slice(&offset.to_le_bytes()[..width]);
        }
        out
    }

    fn encode_presence(&self, out: &mut Vec<u8>) {
        let has_absent = self.values.iter().any(Option::is_none);
        out.push(u8::from(has_absent));
        if !has_absent {
            return;
        }
        for rows in self.values.chunks(8) {
            let bit = |(index, value): (usize, &Option<i128>)| u8::from(value.is_some()) << index;
            out.push(rows.iter().enumerate().map(bit).sum());
        }
    }
}

/// The largest power of ten that divides every value.
fn common_exponent<'a>(values: impl Iterator<Item = &'a i128>) -> u8 {
    let mut exponent = EXPONENT_MAX;
    for value in values {
        if exponent == 0 {
            break;
        }
        exponent = match i64::try_from(*value) {
            // Division of 64-bit numbers is several times faster, and nearly all amounts fit.
            Ok(small) => shrink(exponent, |power| small % 10_i64.pow(power) == 0),
            Err(_) => shrink(exponent, |power| value % 10_i128.pow(power) == 0),
        };
    }
    exponent
}

fn shrink(from: u8, divides: impl Fn(u32) -> bool) -> u8 {
    (0..=from).rev().find(|exponent| divides(u32::from(*exponent))).unwrap_or(0)
}

fn width_of(span: u128) -> usize {
    let bytes = (u128::BITS - span.leading_zeros()).div_ceil(8);
    match bytes {
        0 => 0,
        1 => 1,
        2 => 2,
        3..=4 => 4,
        5..=8 => 8,
        _ => 16,
    }
}

/// A decoded column of whole numbers.
pub struct IntegerColumn<'a> {
    data: Cow<'a, [u8]>,
    least: i128,
    factor: i128,
    width: usize,
    presence_at: Option<usize>,
    values_at: usize,
    row_count: usize,
}

impl<'a> IntegerColumn<'a> {
    pub(crate) fn decode(data: Cow<'a, [u8]>, row_count: usize) -> Result<Self, BlockError> {
        let mut reader = Reader::new(&data);
        let exponent = reader.u8()?;
        let least = i128::from_le_bytes(reader.array()?);
        let width = usize::from(reader.u8()?);
        let has_absent = reader.u8()? == 1;
        if exponent > EXPONENT_MAX || !matches!(width, 0 | 1 | 2 | 4 | 8 | 16) {
            return Err(BlockError::Corrupt("a number column's header is impossible"));
        }
        let presence_at = has_absent.then_some(reader.position());
        if has_absent {
            reader.skip(row_count.div_ceil(8))?;
        }
        let values_at = reader.position();
        let length = row_count.checked_mul(width).ok_or(BlockError::Corrupt("too many rows"))?;
        reader.skip(length)?;
        let factor = 10_i128.pow(u32::from(exponent));
        Ok(IntegerColumn { data, least, factor, width, presence_at, values_at, row_count })
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

    /// The value of a row; `None` where it is absent or there is no such row.
    #[must_use]
    #[inline]
    pub fn get(&self, row: usize) -> Option<i128> {
        if row >= self.row_count || !self.is_present(row) {
            return None;
        }
        let at = self.values_at + row * self.width;
        let bytes = &self.data[at..at + self.width];
        let offset = match self.width {
            0 => 0,
            1 => u128::from(bytes[0]),
            2 => u128::from(u16::from_le_bytes([bytes[0], bytes[1]])),
            4 => u128::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            8 => u128::from(u64::from_le_bytes(bytes.try_into().ok()?)),
            _ => u128::from_le_bytes(bytes.try_into().ok()?),
        };
        Some(self.least.wrapping_add(offset.cast_signed()).wrapping_mul(self.factor))
    }

    #[inline]
    fn is_present(&self, row: usize) -> bool {
        self.presence_at.is_none_or(|at| self.data[at + row / 8] >> (row % 8) & 1 == 1)
    }

    /// The one value that every row has, where the column says so in its header.
    #[must_use]
    pub fn constant(&self) -> Option<i128> {
        (self.width == 0 && self.presence_at.is_none() && self.row_count > 0)
            .then(|| self.least.wrapping_mul(self.factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fixed::{MAX, ONE};
    use proptest::prelude::*;

    fn round_trip(values: &[Option<i128>]) -> usize {
        let mut builder = IntegerBuilder::default();
        values.iter().for_each(|value| builder.push(*value));
        let bytes = builder.encode();
        let size = bytes.len();
        let column = IntegerColumn::decode(Cow::Owned(bytes), values.len()).unwrap();
        let read: Vec<_> = (0..values.len()).map(|row| column.get(row)).collect();
        assert_eq!(read, values);
        assert_eq!(column.get(values.len()), None);
        size
    }

    #[test]
    fn every_value_reads_back_and_absent_is_not_zero() {
        round_trip(&[]);
        round_trip(&[None, None]);
        round_trip(&[Some(0), None, Some(0)]);
        round_trip(&[Some(MAX), Some(-MAX), Some(1), None]);
        round_trip(&[Some(i128::from(i64::MIN)), Some(i128::from(i64::MAX) + 1)]);
    }

    #[test]
    fn cents_take_two_bytes_a_row_although_they_are_femtodollars() {
        let cents: Vec<_> = (0..1000).map(|cents| Some(cents * ONE / 100)).collect();
        assert!(round_trip(&cents) < 2100);
    }

    proptest! {
        #[test]
        fn any_column_reads_back(values in prop::collection::vec(
            prop::option::of(-MAX..=MAX), 0..200)) {
            round_trip(&values);
        }
    }
}
