//! Billing files of one round: made up, uploaded through whatever happens, some taken back.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use domain::{Currency, Money};
use jiff::{ToSpan, civil::date};
use product::{Client, until};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::{dice::Dice, servers::Servers};

/// A file that a client made, and what it holds.
pub(crate) struct BillingFile {
    name: String,
    bytes: Vec<u8>,
    pub(crate) rows: u64,
    pub(crate) cost: Money,
}

impl BillingFile {
    /// A FOCUS file of an account of its own, in the year 2024, before all that is polled.
    pub(crate) fn made_up(number: u64, dice: &mut Dice) -> Result<BillingFile> {
        let rows = dice.between(1, 6000);
        let mut cost = Money::zero(Currency::USD);
        let mut text = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,\
                        ChargePeriodEnd,ServiceName,ProviderName,BillingAccountId\n"
            .to_owned();
        for _ in 0..rows {
            let (units, fraction) = (dice.between(0, 50), dice.between(0, 1_000_000_000_000));
            let billed = format!("{units}.{fraction:012}");
            cost = cost
                .checked_add(Money::parse_exact(&billed, Currency::USD)?)
                .context("a sum of thousands of small costs")?;
            let day = date(2024, 1, 1).checked_add(i64::try_from(dice.between(0, 360))?.days())?;
            let next = day.tomorrow()?;
            text.push_str(&format!(
                "{billed},{billed},USD,Usage,{day}T00:00:00Z,{next}T00:00:00Z,\
                 API,OpenAI,org-{number}\n"
            ));
        }
        Ok(BillingFile { name: format!("{number}.csv"), bytes: text.into_bytes(), rows, cost })
    }

    /// Uploads it until somebody has said that it was taken; its id.
    async fn upload(&self, servers: &Servers<'_>, dice: &mut Dice) -> Result<String> {
        until(&format!("{} was not taken", self.name), async || {
            let client = servers.any(dice);
            let (status, answer) = client.upload(&self.name, self.bytes.clone(), &[]).await?;
            ensure!(matches!(status, 200 | 202), "{status}: {answer}");
            Ok(Some(answer["id"].as_str().context("an id")?.to_owned()))
        })
        .await
    }
}

/// Uploads `count` files one after the other. Some are taken back as soon as they have been read,
/// and some of those uploaded again. What is there at the end, by id.
pub(crate) async fn upload_some(
    first_number: u64,
    count: u64,
    servers: &Servers<'_>,
    mut dice: Dice,
) -> Result<BTreeMap<String, BillingFile>> {
    let mut kept = BTreeMap::new();
    // How often a request is repeated is not the seed's to say; what the files hold is.
    let mut clients = dice.fork();
    for number in first_number..first_number + count {
        let file = BillingFile::made_up(number, &mut dice)?;
        let mut id = file.upload(servers, &mut clients).await?;
        if dice.happens(30) {
            take_back(&id, servers, &mut clients).await?;
            if dice.happens(50) {
                continue;
            }
            id = file.upload(servers, &mut clients).await?;
        }
        kept.insert(id, file);
    }
    Ok(kept)
}

/// Waits for the end of the import and deletes the file.
async fn take_back(id: &str, servers: &Servers<'_>, dice: &mut Dice) -> Result<()> {
    until(&format!("{id} was not deleted"), async || {
        let client = servers.any(dice);
        let file = client.get(&format!("/v1/files/{id}")).await;
        if file.is_ok_and(|file| file["state"] != "done") {
            return Ok(None);
        }
        let response = client.request(Method::DELETE, &format!("/v1/files/{id}")).send().await?;
        let status = response.status();
        // An earlier try may have done it and lost its answer.
        let is_gone = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_FOUND;
        ensure!(is_gone, "DELETE: {status}");
        Ok(Some(()))
    })
    .await
}

/// Waits until every import has ended, and compares the list of files with what was uploaded.
pub(crate) async fn compare(client: &Client, kept: &BTreeMap<String, BillingFile>) -> Result<()> {
    for (id, file) in kept {
        let told = client.imported(id).await?;
        ensure!(told["state"] == "done" && told["charges"] == file.rows, "{told}");
        let billed = told["totals"][0]["billed_cost"].as_str().context("a total")?;
        let billed = Money::parse_exact(billed, Currency::USD)?;
        ensure!(billed == file.cost, "{} uploaded: {told}", file.cost);
    }
    let listed = all_pages(client, "/v1/files?limit=5").await?;
    let unknown = listed.iter().find(|file| !kept.contains_key(file["id"].as_str().unwrap_or("")));
    ensure!(unknown.is_none(), "a file that nobody uploaded, or that was deleted: {unknown:?}");
    ensure!(listed.len() == kept.len(), "{} files of {} are listed", listed.len(), kept.len());

    let lines = all_pages(client, "/v1/charges?from=2024-01-01&to=2025-01-01&limit=1000").await?;
    let superseded = lines.iter().find(|line| line["superseded"] == true);
    ensure!(superseded.is_none(), "each file has an account of its own: {superseded:?}");
    let rows: u64 = kept.values().map(|file| file.rows).sum();
    ensure!(u64::try_from(lines.len())? == rows, "{} charges of {rows} rows", lines.len());
    Ok(())
}

/// Everything that a list has.
pub(crate) async fn all_pages(client: &Client, path: &str) -> Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = client.get(&format!("{path}{cursor}")).await?;
        all.append(page["data"].as_array_mut().context("a list")?);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}
