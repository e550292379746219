//! Own prices in SQLite. Every change also counts the owner's revision up, in its transaction.

use domain::AuditEvent;
use rusqlite::{Connection, params};

use super::{
    SqliteStore, audit,
    database::{Fields, all, change, first, micros, stored_count},
};
use crate::{
    OwnPrices, PageQuery, Result,
    own_prices::{AllOwnPrices, OwnPrice, OwnPricePut, OwnService, PriceOwner},
};

/// Services with what a list says of them. The entry of the whole service is the one of model `*`.
const SERVICES: &str = "
    SELECT service, COUNT(*) AS entry_count, MAX(updated_at) AS newest_at,
        MAX(CASE WHEN model = '*' THEN value END) AS whole_value,
        MAX(CASE WHEN model = '*' THEN updated_at END) AS whole_updated_at
    FROM own_prices
    WHERE organization = ?1 AND environment = ?2";

#[async_trait::async_trait]
impl OwnPrices for SqliteStore {
    async fn put_own_price(
        &self,
        owner: PriceOwner,
        entry: &OwnPrice,
        entries_max: usize,
        audit: &AuditEvent,
    ) -> Result<OwnPricePut> {
        let (entry, audit, most) = (entry.clone(), audit.clone(), stored_count(entries_max)?);
        self.write(move |db| {
            let put = match one(db, owner, &entry.service, &entry.model)? {
                Some(stored) if stored.value == entry.value => {
                    return Ok(OwnPricePut::Unchanged(stored));
                }
                Some(_) => OwnPricePut::Replaced,
                None if entry_count(db, owner)? >= most => return Ok(OwnPricePut::Full),
                None => OwnPricePut::Created,
            };
            write(db, owner, &entry)?;
            count_up(db, owner)?;
            audit::append(db, &audit)?;
            Ok(put)
        })
        .await
    }

    async fn own_price(
        &self,
        owner: PriceOwner,
        service: &str,
        model: &str,
    ) -> Result<Option<OwnPrice>> {
        let (service, model) = (service.to_owned(), model.to_owned());
        self.read(move |db| one(db, owner, &service, &model)).await
    }

    async fn own_prices(
        &self,
        owner: PriceOwner,
        service: Option<&str>,
        page: &PageQuery,
    ) -> Result<Vec<OwnPrice>> {
        let (service, limit) = (service.map(str::to_owned), stored_count(page.limit)?);
        let (after_service, after_model) = place_of(page);
        let sql = "SELECT * FROM own_prices
                   WHERE organization = ?1 AND environment = ?2 AND (service, model) > (?3, ?4)
                       AND (?5 IS NULL OR service = ?5)
                   ORDER BY service, model LIMIT ?6";
        self.read(move |db| {
            let (organization, environment) = key(owner);
            let which =
                params![organization, environment, after_service, after_model, service, limit];
            all(db, sql, which, entry_of)
        })
        .await
    }

    async fn own_services(&self, owner: PriceOwner, page: &PageQuery) -> Result<Vec<OwnService>> {
        let (after, limit) = (page.after.clone().unwrap_or_default(), stored_count(page.limit)?);
        let sql = format!("{SERVICES} AND service > ?3 GROUP BY service ORDER BY service LIMIT ?4");
        self.read(move |db| {
            let (organization, environment) = key(owner);
            all(db, &sql, params![organization, environment, after, limit], service_of)
        })
        .await
    }

    async fn own_service(&self, owner: PriceOwner, service: &str) -> Result<Option<OwnService>> {
        let service = service.to_owned();
        let sql = format!("{SERVICES} AND service = ?3 GROUP BY service");
        self.read(move |db| {
            let (organization, environment) = key(owner);
            first(db, &sql, params![organization, environment, service], service_of)
        })
        .await
    }

    async fn delete_own_price(
        &self,
        owner: PriceOwner,
        service: &str,
        model: &str,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let sql = "DELETE FROM own_prices
                   WHERE organization = ? AND environment = ? AND service = ? AND model = ?";
        let (service, model, audit) = (service.to_owned(), model.to_owned(), audit.clone());
        self.write(move |db| {
            let (organization, environment) = key(owner);
            let gone = change(db, sql, params![organization, environment, service, model])?;
            noted(db, owner, gone, &audit)
        })
        .await
    }

    async fn delete_own_service(
        &self,
        owner: PriceOwner,
        service: &str,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let sql = "DELETE FROM own_prices
                   WHERE organization = ? AND environment = ? AND service = ?";
        let (service, audit) = (service.to_owned(), audit.clone());
        self.write(move |db| {
            let (organization, environment) = key(owner);
            let gone = change(db, sql, params![organization, environment, service])?;
            noted(db, owner, gone, &audit)
        })
        .await
    }

    async fn own_prices_revision(&self, owner: PriceOwner) -> Result<u64> {
        self.read(move |db| revision(db, owner)).await
    }

    async fn all_own_prices(&self, owner: PriceOwner) -> Result<AllOwnPrices> {
        let sql = "SELECT * FROM own_prices WHERE organization = ? AND environment = ?
                   ORDER BY service, model";
        self.read(move |db| {
            let entries = all(db, sql, key(owner), entry_of)?;
            Ok(AllOwnPrices { revision: revision(db, owner)?, entries })
        })
        .await
    }
}

fn key(owner: PriceOwner) -> (String, &'static str) {
    (owner.organization.to_string(), owner.environment.as_str())
}

/// The service and model that a page comes after.
fn place_of(page: &PageQuery) -> (String, String) {
    let after = page.after.as_deref().unwrap_or_default();
    let (service, model) = after.split_once('/').unwrap_or((after, ""));
    (service.to_owned(), model.to_owned())
}

fn one(db: &Connection, owner: PriceOwner, service: &str, model: &str) -> Result<Option<OwnPrice>> {
    let sql = "SELECT * FROM own_prices
               WHERE organization = ? AND environment = ? AND service = ? AND model = ?";
    let (organization, environment) = key(owner);
    first(db, sql, params![organization, environment, service, model], entry_of)
}

fn entry_count(db: &Connection, owner: PriceOwner) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM own_prices WHERE organization = ? AND environment = ?";
    Ok(first(db, sql, key(owner), |row| row.at(0))?.unwrap_or(0))
}

fn write(db: &Connection, owner: PriceOwner, entry: &OwnPrice) -> Result<()> {
    let (organization, environment) = key(owner);
    change(
        db,
        "INSERT INTO own_prices (organization, environment, service, model, value, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET value = ?5, updated_at = ?6",
        params![
            organization,
            environment,
            entry.service,
            entry.model,
            entry.value,
            micros(entry.updated_at)
        ],
    )?;
    Ok(())
}

/// Counts the owner's revision up, as part of the change that it counts.
fn count_up(db: &Connection, owner: PriceOwner) -> Result<()> {
    let sql = "INSERT INTO own_price_revisions (organization, environment, revision)
               VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET revision = revision + 1";
    change(db, sql, key(owner))?;
    Ok(())
}

/// Notes that entries are gone, where any are.
fn noted(
    db: &Connection,
    owner: PriceOwner,
    gone_count: usize,
    audit: &AuditEvent,
) -> Result<bool> {
    if gone_count == 0 {
        return Ok(false);
    }
    count_up(db, owner)?;
    audit::append(db, audit)?;
    Ok(true)
}

fn revision(db: &Connection, owner: PriceOwner) -> Result<u64> {
    let sql = "SELECT revision FROM own_price_revisions WHERE organization = ? AND environment = ?";
    Ok(first(db, sql, key(owner), |row| row.count("revision"))?.unwrap_or(0))
}

fn entry_of(row: &Fields<'_>) -> Result<OwnPrice> {
    Ok(OwnPrice {
        service: row.get("service")?,
        model: row.get("model")?,
        value: row.get("value")?,
        updated_at: row.instant("updated_at")?,
    })
}

fn service_of(row: &Fields<'_>) -> Result<OwnService> {
    let service: String = row.get("service")?;
    let value: Option<String> = row.get("whole_value")?;
    let updated_at = row.instant_or_none("whole_updated_at")?;
    let whole = value.zip(updated_at).map(|(value, updated_at)| {
        let model = crate::own_prices::WHOLE_SERVICE.to_owned();
        OwnPrice { service: service.clone(), model, value, updated_at }
    });
    let others = row.count("entry_count")?.checked_sub(u64::from(whole.is_some()));
    Ok(OwnService {
        model_count: others.expect("the whole service's entry is one of those counted"),
        updated_at: row.instant("newest_at")?,
        service,
        whole,
    })
}
