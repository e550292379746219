//! Columns of a block of facts: values that repeat once each, numbers by what they differ.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FactsError;

/// Beyond this power of ten nothing is taken out of a column: the decimals of money.
const EXPONENT_MAX: u8 = 15;

/// A column in which few values repeat: each once, and for each row which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Column<T> {
    values: Vec<T>,
    /// Empty where there is one value only.
    rows: Vec<u32>,
}

/// Numbers that end in zeros: without those that all have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    exponent: u8,
    values: Vec<i128>,
}

impl<T: Clone + Ord> Column<T> {
    /// The column of these rows; values in the order in which they first come.
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a T>) -> Column<T>
    where
        T: 'a,
    {
        let mut values = Vec::new();
        let mut places: BTreeMap<&T, u32> = BTreeMap::new();
        let mut numbers = Vec::with_capacity(rows.size_hint().0);
        let mut before: Option<(&T, u32)> = None;
        for value in rows {
            // Most rows have what the row before has.
            if let Some((same, place)) = before
                && same == value
            {
                numbers.push(place);
                continue;
            }
            let next = u32::try_from(values.len()).expect("a block has fewer rows than 2^32");
            let place = *places.entry(value).or_insert_with(|| {
                values.push(value.clone());
                next
            });
            numbers.push(place);
            before = Some((value, place));
        }
        if values.len() == 1 {
            numbers.clear();
        }
        Column { values, rows: numbers }
    }

    /// The value of a row.
    pub(super) fn get(&self, row: usize) -> Result<&T, FactsError> {
        let place = match self.rows.get(row) {
            Some(place) => usize::try_from(*place).unwrap_or(usize::MAX),
            None if self.rows.is_empty() && self.values.len() == 1 => 0,
            None => return Err(short()),
        };
        self.values.get(place).ok_or_else(short)
    }
}

impl Numbers {
    pub(super) fn of(values: impl Iterator<Item = i128>) -> Numbers {
        let mut values: Vec<_> = values.collect();
        let mut exponent = 0;
        let has_zeros = |values: &[i128]| values.iter().all(|value| value % 10 == 0);
        let is_zero = |values: &[i128]| values.iter().all(|value| *value == 0);
        while exponent < EXPONENT_MAX && has_zeros(&values) && !is_zero(&values) {
            values.iter_mut().for_each(|value| *value /= 10);
            exponent += 1;
        }
        Numbers { exponent, values }
    }

    pub(super) fn get(&self, row: usize) -> Result<i128, FactsError> {
        let factor = 10_i128.checked_pow(u32::from(self.exponent)).ok_or_else(short)?;
        let value = self.values.get(row).ok_or_else(short)?;
        value.checked_mul(factor).ok_or(FactsError::Damaged("a number is too large"))
    }
}

/// The differences between neighbours, from 0 on.
pub(super) fn steps(values: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut before = 0_i64;
    values.map(|value| value.wrapping_sub(std::mem::replace(&mut before, value))).collect()
}

/// The values whose differences these are.
pub(super) fn from_steps(steps: &[i64]) -> Vec<i64> {
    let mut sum = 0_i64;
    let add = |step: &i64| {
        sum = sum.wrapping_add(*step);
        sum
    };
    steps.iter().map(add).collect()
}

/// An element of a column without values that repeat.
pub(super) fn at<T: Clone>(column: &[T], row: usize) -> Result<T, FactsError> {
    column.get(row).cloned().ok_or_else(short)
}

fn short() -> FactsError {
    FactsError::Damaged("a column has too few rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_back_row_by_row() {
        for rows in [vec![], vec![5], vec![5, 5, 5], vec![5, 6, 5]] {
            let column = Column::of(rows.iter());
            let read: Result<Vec<_>, _> = (0..rows.len()).map(|row| column.get(row)).collect();
            assert_eq!(read, Ok(rows.iter().collect()));
        }
        assert!(Column::of([1, 2].iter()).get(2).is_err());
    }

    #[test]
    fn numbers_keep_their_zeros_and_their_signs() {
        for values in [vec![], vec![0, 0], vec![-1_000, 20], vec![i128::MIN, 0], vec![7, 0]] {
            let numbers = Numbers::of(values.iter().copied());
            let read: Result<Vec<_>, _> = (0..values.len()).map(|row| numbers.get(row)).collect();
            assert_eq!(read, Ok(values));
        }
        assert_eq!(Numbers::of([-1_000, 20].into_iter()).exponent, 1);
    }

    #[test]
    fn steps_read_back_at_the_ends_of_time_too() {
        let values = [5, 5, i64::MAX, i64::MIN, 0];
        assert_eq!(from_steps(&steps(values.into_iter())), values);
    }
}
