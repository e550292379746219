//! How shards, 128-bit numbers and the database's own clock read and write.

use domain::OrganizationId;
use rusqlite::Connection;

use super::{Fields, first};
use crate::{Result, StoreError, journal::Shard};
use domain::organization::Environment;

/// A shard as its two columns, `organization` and `environment`.
pub(in crate::sqlite) fn owner(shard: Shard) -> (String, &'static str) {
    (shard.organization.to_string(), shard.environment.as_str())
}

/// The shard of these two columns.
pub(in crate::sqlite) fn shard_of(row: &Fields<'_>) -> Result<Shard> {
    Ok(Shard {
        organization: row.parsed("organization", OrganizationId::parse)?,
        environment: row.named("environment", Environment::parse)?,
    })
}

/// A number of 128 bits: 16 bytes that sort as the numbers do.
pub(in crate::sqlite) const fn big(number: u128) -> [u8; 16] {
    number.to_be_bytes()
}

/// A number written by [`big`].
pub(in crate::sqlite) fn from_big(row: &Fields<'_>, column: &str) -> Result<u128> {
    Ok(u128::from_be_bytes(row.get(column)?))
}

/// The database's clock in microseconds since 1970, to the millisecond.
pub(in crate::sqlite) fn micros_now(db: &Connection) -> Result<i64> {
    // Both of one instant: within a statement the time stands still.
    let sql = "SELECT strftime('%s', 'now') AS second, strftime('%f', 'now') AS of_minute";
    let found = first(db, sql, [], |row| {
        let (second, of_minute): (String, String) = (row.get("second")?, row.get("of_minute")?);
        Ok(micros_of(&second, &of_minute))
    })?;
    found.flatten().ok_or_else(|| StoreError::corrupt("the database's clock cannot be read"))
}

/// Seconds since 1970, and the seconds of the minute as `SS.SSS`.
fn micros_of(second: &str, of_minute: &str) -> Option<i64> {
    let (_, millis) = of_minute.split_once('.').filter(|(_, millis)| millis.len() == 3)?;
    let millis: i64 = millis.parse().ok()?;
    second.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(millis.checked_mul(1000)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_clock_reads_in_microseconds() {
        assert_eq!(micros_of("1700000000", "20.123"), Some(1_700_000_000_123_000));
        assert_eq!(micros_of("0", "00.000"), Some(0));
        assert_eq!(micros_of("0", "00.1"), None);
        let db = Connection::open_in_memory().unwrap();
        assert!(micros_now(&db).unwrap() > 1_700_000_000_000_000);
    }
}
