//! Nodes in SQLite: there is only one, as the lock file admits one process.

use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    database::{Fields, all, big, change, first, from_big, micros_now},
};
use crate::{Nodes, Result, nodes::Node};

#[async_trait::async_trait]
impl Nodes for SqliteStore {
    async fn beat(&self, node: &Node) -> Result<()> {
        let Node { id, address, format, .. } = node.clone();
        let sql = "INSERT OR REPLACE INTO nodes (id, address, format, seen_at)
                   VALUES (?, ?, ?, ?)";
        self.write(move |db| {
            let seen_at = micros_now(db)?;
            change(db, sql, params![big(id), address, format, seen_at])?;
            Ok(())
        })
        .await
    }

    async fn live_nodes(&self, micros: i64) -> Result<Vec<Node>> {
        let sql = "SELECT * FROM nodes WHERE seen_at >= ? ORDER BY id";
        self.read(move |db| {
            let since = micros_now(db)?.saturating_sub(micros);
            all(db, sql, [since], node_of)
        })
        .await
    }

    async fn remove_node(&self, id: u128) -> Result<()> {
        self.write(move |db| {
            change(db, "DELETE FROM nodes WHERE id = ?", [big(id)])?;
            Ok(())
        })
        .await
    }

    async fn cluster_secret(&self, offered: &[u8]) -> Result<Vec<u8>> {
        let offered = offered.to_vec();
        self.write(move |db| {
            let sql = "INSERT INTO cluster_secrets (number, ciphertext) VALUES (1, ?)
                       ON CONFLICT DO NOTHING";
            change(db, sql, [&offered])?;
            let sql = "SELECT ciphertext FROM cluster_secrets WHERE number = 1";
            Ok(first(db, sql, [], |row| row.get("ciphertext"))?.unwrap_or(offered))
        })
        .await
    }
}

/// Whoever beat before this process opened the store is gone.
pub(super) fn remove_all(db: &Connection) -> Result<()> {
    change(db, "DELETE FROM nodes", [])?;
    Ok(())
}

fn node_of(row: &Fields<'_>) -> Result<Node> {
    Ok(Node {
        id: from_big(row, "id")?,
        address: row.get("address")?,
        format: row.get("format")?,
        seen_at: row.get("seen_at")?,
    })
}
