//! Stored values to the words of the domain and back, by hand. What does not read is corrupt, never
//! a default.

use jiff::Timestamp;
use rusqlite::{Row, types::FromSql};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, StoreError, StoreErrorKind, instants::from_micros};

/// A row, read by column name.
pub(in crate::sqlite) struct Fields<'r>(pub(super) &'r Row<'r>);

impl<'r> Fields<'r> {
    /// A row whose statement is stepped by the caller.
    pub(in crate::sqlite) const fn of(row: &'r Row<'r>) -> Fields<'r> {
        Fields(row)
    }

    /// A value that needs no conversion.
    pub(in crate::sqlite) fn get<T: FromSql>(&self, column: &str) -> Result<T> {
        Ok(self.0.get(column)?)
    }

    /// The same by position, where thousands of rows are read.
    pub(in crate::sqlite) fn at<T: FromSql>(&self, index: usize) -> Result<T> {
        Ok(self.0.get(index)?)
    }

    /// An id, or anything else that parses with an error.
    pub(in crate::sqlite) fn parsed<T, E>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<T>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        self.parsed_or_none(column, parse)?.ok_or_else(|| unreadable(column))
    }

    /// The same, or null.
    pub(in crate::sqlite) fn parsed_or_none<T, E>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<T>>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let text: Option<String> = self.get(column)?;
        let value = text.as_deref().map(parse).transpose();
        value.map_err(|error| unreadable(column).caused_by(error))
    }

    /// A state, or anything else that has a name.
    pub(in crate::sqlite) fn named<T>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T> {
        let text: String = self.get(column)?;
        parse(&text).ok_or_else(|| unreadable(column))
    }

    /// An instant.
    pub(in crate::sqlite) fn instant(&self, column: &str) -> Result<Timestamp> {
        self.instant_or_none(column)?.ok_or_else(|| unreadable(column))
    }

    /// An instant, or null.
    pub(in crate::sqlite) fn instant_or_none(&self, column: &str) -> Result<Option<Timestamp>> {
        let micros: Option<i64> = self.get(column)?;
        micros.map(from_micros).transpose().map_err(|error| unreadable(column).caused_by(error))
    }

    /// A count.
    pub(in crate::sqlite) fn count(&self, column: &str) -> Result<u64> {
        let value: i64 = self.get(column)?;
        u64::try_from(value).map_err(|error| unreadable(column).caused_by(error))
    }

    /// A value stored as JSON.
    pub(in crate::sqlite) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        let text: String = self.get(column)?;
        from_json(&text)
    }

    /// A value stored as JSON, or null.
    pub(in crate::sqlite) fn json_or_none<T: DeserializeOwned>(
        &self,
        column: &str,
    ) -> Result<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| from_json(&text)).transpose()
    }
}

fn unreadable(column: &str) -> StoreError {
    StoreError::corrupt(format!("a stored `{column}` cannot be read"))
}

/// An instant as it is stored.
pub(in crate::sqlite) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A count as it is stored: SQLite's integers have a sign.
pub(in crate::sqlite) fn stored_count(count: impl TryInto<i64>) -> Result<i64> {
    let bug = || StoreError::new(StoreErrorKind::Bug, true, "a count beyond 2^63");
    count.try_into().map_err(|_| bug())
}

/// A value as JSON text.
pub(in crate::sqlite) fn to_json(value: &impl Serialize) -> Result<String> {
    let bug = |error| StoreError::new(StoreErrorKind::Bug, true, "no JSON").caused_by(error);
    serde_json::to_string(value).map_err(bug)
}

/// A value from JSON text.
fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::corrupt("stored JSON cannot be read").caused_by(error))
}
