//! The schema's history: numbered SQL files, applied once and in order, each in a transaction of
//! its own.
//!
//! `user_version` says how far a file has come, and a table records what was applied with its
//! checksum. There is no way back: a file from a newer version is refused with a word on what to
//! do.

use rusqlite::{Connection, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::{all, first};
use crate::{Result, StoreError};

/// "Outl": tells our files from other SQLite databases. <https://www.sqlite.org/pragma.html#pragma_application_id>
const APPLICATION_ID: i32 = 0x4f75_746c;
/// "OutE": the engine's file, which must not be taken for the other one.
const ENGINE_APPLICATION_ID: i32 = 0x4f75_7445;

struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// Number 1 first. An entry never changes once it was released.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "first", sql: include_str!("../migrations/0001_first.sql") },
    Migration { name: "own_prices", sql: include_str!("../migrations/0002_own_prices.sql") },
    Migration {
        name: "keys_and_settings",
        sql: include_str!("../migrations/0003_keys_and_settings.sql"),
    },
    Migration { name: "facts", sql: include_str!("../migrations/0004_facts.sql") },
    Migration { name: "end_users", sql: include_str!("../migrations/0005_end_users.sql") },
    Migration { name: "bodies", sql: include_str!("../migrations/0006_bodies.sql") },
];

/// The same of the engine's file.
const ENGINE_MIGRATIONS: &[Migration] =
    &[Migration { name: "first", sql: include_str!("../engine/migrations/0001_first.sql") }];

/// Brings the schema up to date.
pub(in crate::sqlite) fn migrate(db: &mut Connection) -> Result<()> {
    apply(db, APPLICATION_ID, MIGRATIONS)
}

/// Brings the schema of the engine's file up to date.
pub(in crate::sqlite) fn migrate_engine(db: &mut Connection) -> Result<()> {
    apply(db, ENGINE_APPLICATION_ID, ENGINE_MIGRATIONS)
}

fn apply(db: &mut Connection, application: i32, migrations: &[Migration]) -> Result<()> {
    let applied_count = inspect(db, application, migrations)?;
    for (index, migration) in migrations.iter().enumerate().skip(applied_count) {
        let number = number_of(index);
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration.sql)?;
        transaction.execute(
            "INSERT INTO schema_migrations (number, name, sha256) VALUES (?, ?, ?)",
            params![number, migration.name, checksum(migration)],
        )?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.pragma_update(None, "application_id", application)?;
        transaction.commit()?;
    }
    Ok(())
}

/// How many migrations the file has; refuses files that are not ours, newer, or differ.
fn inspect(db: &Connection, expected: i32, migrations: &[Migration]) -> Result<usize> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != expected {
        let is_empty = first(db, "SELECT 1 FROM sqlite_schema", [], |_| Ok(()))?.is_none();
        if is_empty && version == 0 && application == 0 {
            return Ok(0);
        }
        let message = "the file is an SQLite database, but not a store of Outlay; choose another";
        return Err(StoreError::misconfigured(message));
    }
    let newest = migrations.len();
    let applied_count = usize::try_from(version).unwrap_or(usize::MAX);
    if applied_count > newest {
        return Err(StoreError::misconfigured(format!(
            "the store has schema {version}, and this version of Outlay knows up to {newest}; \
             run the newer version that wrote it, or restore a backup from before the upgrade",
        )));
    }
    let sql = "SELECT sha256 FROM schema_migrations ORDER BY number";
    let recorded: Vec<[u8; 32]> = all(db, sql, [], |row| row.get("sha256"))?;
    let expected: Vec<[u8; 32]> = migrations.iter().take(applied_count).map(checksum).collect();
    if recorded != expected {
        let message = "the store's schema was not made by this version or one before it; \
                       run the version that wrote it";
        return Err(StoreError::misconfigured(message));
    }
    Ok(applied_count)
}

fn number_of(index: usize) -> i64 {
    i64::try_from(index).expect("migrations are few").saturating_add(1)
}

fn checksum(migration: &Migration) -> [u8; 32] {
    Sha256::digest(migration.sql).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreErrorKind;

    /// Those that there are, and one more.
    fn with_next(sql: &'static str) -> Vec<Migration> {
        let copy = |made: &Migration| Migration { name: made.name, sql: made.sql };
        let next = Migration { name: "next", sql };
        MIGRATIONS.iter().map(copy).chain([next]).collect()
    }

    const LATER: &str = "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT";

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    fn refusal(result: Result<()>) -> String {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        error.to_string()
    }

    #[test]
    fn migrations_are_applied_once() {
        let mut db = memory();
        migrate(&mut db).unwrap();
        migrate(&mut db).unwrap();
        apply(&mut db, APPLICATION_ID, &with_next(LATER)).unwrap();
        let numbers = all(&db, "SELECT number FROM schema_migrations", [], |row| row.at::<i64>(0));
        let expected: Vec<i64> = (0..=MIGRATIONS.len()).map(number_of).collect();
        assert_eq!(numbers.unwrap(), expected);
    }

    #[test]
    fn keys_and_organizations_from_before_their_settings_get_the_defaults() {
        let mut db = memory();
        apply(&mut db, APPLICATION_ID, &MIGRATIONS[..2]).unwrap();
        db.execute_batch(
            "INSERT INTO organizations VALUES ('org_1', 'Acme', 'UTC', 1);
             INSERT INTO api_keys VALUES ('key_1', 'org_1', 'a', 'live', 'read', x'00', 1, NULL)",
        )
        .unwrap();
        migrate(&mut db).unwrap();
        let sql = "SELECT concat_ws(' ', name, week_start, reset_hour, fiscal_year_start_month,
                       quote(currency), retention_days, auto_create_paths, capture_bodies,
                       settings_revision) AS row FROM organizations
                   UNION ALL SELECT concat_ws(' ', name, quote(path_prefix), quote(expires_at),
                       quote(rotated_to)) FROM api_keys";
        let rows: Vec<String> = all(&db, sql, [], |row| row.get("row")).unwrap();
        assert_eq!(rows, ["Acme mon 0 1 NULL 90 1 0 0", "a NULL NULL NULL"]);
    }

    #[test]
    fn a_newer_schema_is_refused_with_a_word_on_what_to_do() {
        let mut db = memory();
        apply(&mut db, APPLICATION_ID, &with_next(LATER)).unwrap();
        assert!(refusal(migrate(&mut db)).contains("run the newer version"));
    }

    #[test]
    fn a_migration_that_was_changed_later_is_refused() {
        let mut db = memory();
        apply(&mut db, APPLICATION_ID, &with_next(LATER)).unwrap();
        let edited = with_next("CREATE TABLE other (id INTEGER) STRICT");
        assert!(
            refusal(apply(&mut db, APPLICATION_ID, &edited))
                .contains("was not made by this version")
        );
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_behind() {
        let mut db = memory();
        migrate(&mut db).unwrap();
        let broken = with_next("CREATE TABLE later (id INTEGER) STRICT; NONSENSE");
        assert!(apply(&mut db, APPLICATION_ID, &broken).is_err());
        apply(&mut db, APPLICATION_ID, &with_next(LATER)).unwrap();
    }

    #[test]
    fn other_databases_are_left_alone() {
        let mut db = memory();
        db.execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
        assert!(refusal(migrate(&mut db)).contains("not a store of Outlay"));
    }

    #[test]
    fn neither_file_is_taken_for_the_other() {
        let (mut db, mut engine) = (memory(), memory());
        migrate(&mut db).unwrap();
        migrate_engine(&mut engine).unwrap();
        assert!(refusal(migrate_engine(&mut db)).contains("not a store of Outlay"));
        assert!(refusal(migrate(&mut engine)).contains("not a store of Outlay"));
    }

    #[test]
    fn no_column_is_a_float() {
        let sql = "SELECT t.name || '.' || c.name AS name FROM sqlite_schema AS t,
                       pragma_table_info(t.name) AS c
                   WHERE t.type = 'table' AND c.type NOT IN ('INTEGER', 'TEXT', 'BLOB')";
        for migrate in [migrate, migrate_engine] {
            let mut db = memory();
            migrate(&mut db).unwrap();
            let others: Vec<String> = all(&db, sql, [], |row| row.get("name")).unwrap();
            assert_eq!(others, Vec::<String>::new());
        }
    }
}
