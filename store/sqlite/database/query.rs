//! Statements, prepared once for each connection and kept in its cache: `sql` should therefore be
//! one of a fixed set of texts, with every value a parameter.

use rusqlite::{Connection, Params};

use super::Fields;
use crate::Result;

/// All rows of a query.
pub(in crate::sqlite) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Fields<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&Fields(row))?);
    }
    Ok(found)
}

/// The first row of a query, if there is one.
pub(in crate::sqlite) fn first<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Fields<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(|row| read(&Fields(row))).transpose()
}

/// Inserts, updates or deletes. Returns how many rows it touched.
pub(in crate::sqlite) fn change(db: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    Ok(db.prepare_cached(sql)?.execute(params)?)
}
