//! What others do with the same file: DuckDB, and SQLite with a row for each line.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use rusqlite::{Connection, params_from_iter};

use crate::focus_file::COLUMNS;

/// A Python that has DuckDB, as `scripts/bench` installs it.
#[expect(clippy::disallowed_methods, reason = "a benchmark is told where its rival is")]
pub(crate) fn duckdb_python() -> Option<PathBuf> {
    std::env::var_os("OUTLAY_BENCH_DUCKDB_PYTHON").map(PathBuf::from)
}

/// The plain way to load a CSV into a database file. The files' money columns are typed, as ours
/// are.
const DUCKDB: &str = "
import duckdb, sys
database = duckdb.connect(sys.argv[1], config={'threads': 2})
database.execute('''create table charges as select * from read_csv(?, nullstr='NULL',
    types={'BilledCost': 'DECIMAL(38,15)', 'EffectiveCost': 'DECIMAL(38,15)',
           'ListCost': 'DECIMAL(38,15)', 'ConsumedQuantity': 'DECIMAL(38,15)'})''', [sys.argv[2]])
database.close()
";

pub(crate) fn load_with_duckdb(python: &Path, database: &Path, file: &Path) -> Result<()> {
    let status = Command::new(python).args(["-c", DUCKDB]).arg(database).arg(file).status()?;
    ensure!(status.success(), "DuckDB failed");
    Ok(())
}

/// The form that was turned down: 32 columns a row, all text, no index, one transaction.
pub(crate) fn insert_rows(database: &Path, file: &Path) -> Result<()> {
    let mut connection = Connection::open(database)?;
    connection.execute_batch("pragma journal_mode = wal; pragma synchronous = full;")?;
    let columns = COLUMNS.join(", ");
    let transaction = connection.transaction()?;
    transaction.execute_batch(&format!("create table charges ({columns})"))?;
    let marks = vec!["?"; COLUMNS.len()].join(", ");
    {
        let mut insert = transaction.prepare(&format!("insert into charges values ({marks})"))?;
        let mut reader = csv::Reader::from_path(file)?;
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            insert.execute(params_from_iter(record.iter()))?;
        }
    }
    Ok(transaction.commit()?)
}

/// The same question as a cost query, asked of rows: costs by day and service.
pub(crate) fn sum_rows(database: &Path) -> Result<()> {
    let connection = Connection::open(database)?;
    let question = "select substr(ChargePeriodStart, 1, 10), ServiceName, sum(BilledCost)
                    from charges group by 1, 2";
    let count = connection.prepare(question)?.query_map([], |_| Ok(()))?.count();
    ensure!(count > 0, "the rows were summed");
    Ok(())
}
