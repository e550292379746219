//! Own prices on MongoDB: one document for each entry, and one for each owner's revision.
//!
//! Every change counts the owner's revision up in its transaction. So two changes of one owner
//! collide, and none counts entries while another adds some.

use domain::AuditEvent;
use futures::TryStreamExt as _;
use mongodb::{
    ClientSession, Collection,
    bson::{Bson, Document, doc},
};
use serde::{Deserialize, Serialize};

use super::{
    MongoStore,
    failure::Attempt,
    stored::{count, instant, known, limit},
    transaction::atomically,
};
use crate::{
    OwnPrices, PageQuery, Result,
    own_prices::{AllOwnPrices, OwnPrice, OwnPricePut, OwnService, PriceOwner, WHOLE_SERVICE},
};

#[derive(Serialize, Deserialize)]
struct StoredPrice {
    organization: String,
    environment: String,
    service: String,
    model: String,
    value: String,
    updated_at: i64,
}

impl StoredPrice {
    fn new(owner: PriceOwner, entry: &OwnPrice) -> StoredPrice {
        StoredPrice {
            organization: owner.organization.to_string(),
            environment: owner.environment.as_str().to_owned(),
            service: entry.service.clone(),
            model: entry.model.clone(),
            value: entry.value.clone(),
            updated_at: entry.updated_at.as_microsecond(),
        }
    }

    fn read(self) -> Result<OwnPrice> {
        let updated_at = instant(self.updated_at)?;
        Ok(OwnPrice { service: self.service, model: self.model, value: self.value, updated_at })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredRevision {
    organization: String,
    environment: String,
    revision: i64,
}

/// A service as the server sums its entries up.
#[derive(Deserialize)]
struct ServiceSummary {
    #[serde(rename = "_id")]
    service: String,
    entry_count: i64,
    newest_at: i64,
    whole_value: Option<String>,
    whole_updated_at: Option<i64>,
}

impl ServiceSummary {
    fn read(self) -> Result<OwnService> {
        let whole = match self.whole_value.zip(self.whole_updated_at) {
            None => None,
            Some((value, updated_at)) => Some(OwnPrice {
                service: self.service.clone(),
                model: WHOLE_SERVICE.to_owned(),
                value,
                updated_at: instant(updated_at)?,
            }),
        };
        let others = count(self.entry_count)?.checked_sub(u64::from(whole.is_some()));
        Ok(OwnService {
            service: self.service,
            model_count: known(others, "a service's count of entries")?,
            updated_at: instant(self.newest_at)?,
            whole,
        })
    }
}

fn of(owner: PriceOwner) -> Document {
    doc! {
        "organization": owner.organization.to_string(),
        "environment": owner.environment.as_str(),
    }
}

fn of_service(owner: PriceOwner, service: &str) -> Document {
    let mut which = of(owner);
    which.insert("service", service);
    which
}

fn of_model(owner: PriceOwner, service: &str, model: &str) -> Document {
    let mut which = of_service(owner, service);
    which.insert("model", model);
    which
}

impl MongoStore {
    fn price_documents(&self) -> Collection<StoredPrice> {
        self.collection("own_prices")
    }

    fn price_revisions(&self) -> Collection<StoredRevision> {
        self.collection("own_price_revisions")
    }

    async fn count_prices_up(
        &self,
        session: &mut ClientSession,
        owner: PriceOwner,
        audit: &AuditEvent,
    ) -> Attempt<()> {
        let next = doc! { "$inc": { "revision": 1_i64 } };
        let revisions = self.price_revisions();
        revisions.update_one(of(owner), next).upsert(true).session(&mut *session).await?;
        self.append(session, audit).await?;
        Ok(())
    }

    async fn try_put_price(
        &self,
        session: &mut ClientSession,
        owner: PriceOwner,
        (entry, entries_max): (&OwnPrice, usize),
        audit: &AuditEvent,
    ) -> Attempt<OwnPricePut> {
        let prices = self.price_documents();
        let this = of_model(owner, &entry.service, &entry.model);
        let found = prices.find_one(this.clone()).session(&mut *session).await?;
        let stored = found.map(StoredPrice::read).transpose()?;
        let put = match stored {
            Some(stored) if stored.value == entry.value => {
                return Ok(OwnPricePut::Unchanged(stored));
            }
            Some(_) => OwnPricePut::Replaced,
            None => OwnPricePut::Created,
        };
        if put == OwnPricePut::Created {
            let entry_count = prices.count_documents(of(owner)).session(&mut *session).await?;
            if usize::try_from(entry_count).is_ok_and(|count| count >= entries_max) {
                return Ok(OwnPricePut::Full);
            }
        }
        let new = StoredPrice::new(owner, entry);
        prices.replace_one(this, new).upsert(true).session(&mut *session).await?;
        self.count_prices_up(session, owner, audit).await?;
        Ok(put)
    }

    async fn try_delete_prices(
        &self,
        session: &mut ClientSession,
        owner: PriceOwner,
        which: Document,
        audit: &AuditEvent,
    ) -> Attempt<bool> {
        let gone = self.price_documents().delete_many(which).session(&mut *session).await?;
        if gone.deleted_count == 0 {
            return Ok(false);
        }
        self.count_prices_up(session, owner, audit).await?;
        Ok(true)
    }

    async fn try_read_prices(
        &self,
        session: &mut ClientSession,
        owner: PriceOwner,
    ) -> Attempt<AllOwnPrices> {
        let revision = self.price_revisions().find_one(of(owner)).session(&mut *session).await?;
        let revision = revision.map_or(Ok(0), |stored| count(stored.revision))?;
        let prices = self.price_documents();
        let found = prices.find(of(owner)).sort(in_order());
        let mut found = found.session(&mut *session).await?;
        let entries: Vec<_> = found.stream(session).try_collect().await?;
        let entries = entries.into_iter().map(StoredPrice::read).collect::<Result<_>>()?;
        Ok(AllOwnPrices { revision, entries })
    }

    async fn price_services(&self, which: Document, most: usize) -> Result<Vec<OwnService>> {
        // To the server a limit of 0 is an error.
        if most == 0 {
            return Ok(Vec::new());
        }
        let if_whole = |field: &str| {
            let is_whole = doc! { "$eq": ["$model", { "$literal": WHOLE_SERVICE }] };
            doc! { "$max": { "$cond": [is_whole, field, Bson::Null] } }
        };
        let summary = doc! {
            "_id": "$service",
            "entry_count": { "$sum": 1_i64 },
            "newest_at": { "$max": "$updated_at" },
            "whole_value": if_whole("$value"),
            "whole_updated_at": if_whole("$updated_at"),
        };
        let steps = [
            doc! { "$match": which },
            doc! { "$group": summary },
            doc! { "$sort": { "_id": 1 } },
            doc! { "$limit": limit(most) },
        ];
        let found = self.price_documents().aggregate(steps).with_type::<ServiceSummary>().await?;
        let services: Vec<_> = found.try_collect().await?;
        services.into_iter().map(ServiceSummary::read).collect()
    }
}

fn in_order() -> Document {
    doc! { "service": 1, "model": 1 }
}

#[async_trait::async_trait]
impl OwnPrices for MongoStore {
    async fn put_own_price(
        &self,
        owner: PriceOwner,
        entry: &OwnPrice,
        entries_max: usize,
        audit: &AuditEvent,
    ) -> Result<OwnPricePut> {
        let what = (entry, entries_max);
        atomically!(self, |session| self.try_put_price(session, owner, what, audit))
    }

    async fn own_price(
        &self,
        owner: PriceOwner,
        service: &str,
        model: &str,
    ) -> Result<Option<OwnPrice>> {
        let found = self.price_documents().find_one(of_model(owner, service, model)).await?;
        found.map(StoredPrice::read).transpose()
    }

    async fn own_prices(
        &self,
        owner: PriceOwner,
        service: Option<&str>,
        page: &PageQuery,
    ) -> Result<Vec<OwnPrice>> {
        // To the server a limit of 0 means none.
        if page.limit == 0 {
            return Ok(Vec::new());
        }
        let which = service.map_or_else(|| of(owner), |service| of_service(owner, service));
        let which = match page.after.as_deref() {
            None => which,
            Some(after) => {
                let (service, model) = after.split_once('/').unwrap_or((after, ""));
                let further = doc! { "service": service, "model": { "$gt": model } };
                let places = [doc! { "service": { "$gt": service } }, further];
                doc! { "$and": [which, { "$or": places.to_vec() }] }
            }
        };
        let prices = self.price_documents();
        let found = prices.find(which).sort(in_order());
        let entries: Vec<_> = found.limit(limit(page.limit)).await?.try_collect().await?;
        entries.into_iter().map(StoredPrice::read).collect()
    }

    async fn own_services(&self, owner: PriceOwner, page: &PageQuery) -> Result<Vec<OwnService>> {
        let mut which = of(owner);
        if let Some(after) = &page.after {
            which.insert("service", doc! { "$gt": after });
        }
        self.price_services(which, page.limit).await
    }

    async fn own_service(&self, owner: PriceOwner, service: &str) -> Result<Option<OwnService>> {
        Ok(self.price_services(of_service(owner, service), 1).await?.pop())
    }

    async fn delete_own_price(
        &self,
        owner: PriceOwner,
        service: &str,
        model: &str,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let which = of_model(owner, service, model);
        atomically!(self, |session| self.try_delete_prices(session, owner, which.clone(), audit))
    }

    async fn delete_own_service(
        &self,
        owner: PriceOwner,
        service: &str,
        audit: &AuditEvent,
    ) -> Result<bool> {
        let which = of_service(owner, service);
        atomically!(self, |session| self.try_delete_prices(session, owner, which.clone(), audit))
    }

    async fn own_prices_revision(&self, owner: PriceOwner) -> Result<u64> {
        let revision = self.price_revisions().find_one(of(owner)).await?;
        revision.map_or(Ok(0), |stored| count(stored.revision))
    }

    async fn all_own_prices(&self, owner: PriceOwner) -> Result<AllOwnPrices> {
        atomically!(self, |session| self.try_read_prices(session, owner))
    }
}
