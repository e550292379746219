//! `outlay prices reprice`: what later prices change of what was reported, and with `--apply` the
//! corrections that book it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use domain::fixed;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use crate::{
    cli::{Output, PricesRepriceArgs},
    client::Client,
    output::{Listing, say},
};

/// The API's answer to `POST /v1/prices/reprice`.
#[derive(Deserialize)]
struct Page {
    examined: u64,
    changed: u64,
    priced: u64,
    skipped: u64,
    conflicts: u64,
    changes: Vec<Change>,
    next_cursor: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Change {
    service: String,
    model: String,
    events: u64,
    difference: String,
}

/// All pages together.
#[derive(Default)]
struct Told {
    examined: u64,
    changed: u64,
    priced: u64,
    skipped: u64,
    conflicts: u64,
    by_model: BTreeMap<(String, String), (u64, i128)>,
}

/// Reprices page by page, and prints what changed or would.
pub(crate) async fn run(client: &Client, args: &PricesRepriceArgs) -> Result<()> {
    let mut body = serde_json::Map::new();
    let fields = [
        ("from", &args.from),
        ("to", &args.to),
        ("path", &args.path),
        ("service", &args.service),
        ("model", &args.model),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            body.insert(name.to_owned(), value.clone().into());
        }
    }
    body.insert("only_unpriced".to_owned(), (!args.all).into());
    body.insert("dry_run".to_owned(), (!args.apply).into());
    let mut told = Told::default();
    loop {
        let page: Page = client.post("/v1/prices/reprice", &body.clone().into()).await?;
        let next = page.next_cursor.clone();
        told.add(page)?;
        let Some(next) = next else { break };
        eprintln!("{} events looked at, {} change …", told.examined, told.changed);
        body.insert("cursor".to_owned(), next.into());
    }
    told.print(args)
}

impl Told {
    fn add(&mut self, page: Page) -> Result<()> {
        self.examined = self.examined.saturating_add(page.examined);
        self.changed = self.changed.saturating_add(page.changed);
        self.priced = self.priced.saturating_add(page.priced);
        self.skipped = self.skipped.saturating_add(page.skipped);
        self.conflicts = self.conflicts.saturating_add(page.conflicts);
        for change in page.changes {
            let difference = fixed::parse_exact(&change.difference);
            let difference = difference.context("the answer is not what this version expects")?;
            let (events, sum) = self.by_model.entry((change.service, change.model)).or_default();
            *events = events.saturating_add(change.events);
            *sum = sum.saturating_add(difference);
        }
        Ok(())
    }

    fn print(self, args: &PricesRepriceArgs) -> Result<()> {
        let total = self.by_model.values().fold(0_i128, |sum, (_, one)| sum.saturating_add(*one));
        let changes: Vec<Change> = self.by_model.into_iter().map(Change::from).collect();
        let rows = changes.iter().map(|change| {
            let Change { service, model, events, difference } = change;
            vec![service.clone(), model.clone(), events.to_string(), difference.clone()]
        });
        let columns = vec!["service", "model", ">events", ">difference in USD"];
        let json = to_raw_value(&changes)?;
        let listing = Listing { columns, rows: rows.collect(), json: &json };
        if args.output.output != Output::Table {
            return listing.print(args.output.output);
        }
        if !listing.rows.is_empty() {
            listing.print(Output::Table)?;
        }
        let verb = if args.apply { "changed" } else { "would change" };
        say(&format!(
            "{} of {} events {verb} by {} USD together; {} of them had no price before.",
            self.changed,
            self.examined,
            decimal(total),
            self.priced
        ));
        if self.skipped > 0 {
            say(&format!(
                "{} are never repriced: taken back, incomplete, with a cost that was stated, or \
                 with something that prices do not know.",
                self.skipped
            ));
        }
        if self.conflicts > 0 {
            say(&format!("{} were corrected meanwhile: run this again.", self.conflicts));
        }
        if !args.apply && self.changed > 0 {
            say("Nothing was booked; `--apply` books it.");
        }
        Ok(())
    }
}

impl From<((String, String), (u64, i128))> for Change {
    fn from(((service, model), (events, sum)): ((String, String), (u64, i128))) -> Change {
        Change { service, model, events, difference: decimal(sum) }
    }
}

fn decimal(femtos: i128) -> String {
    let mut text = String::new();
    fixed::write_decimal(femtos, &mut text).expect("memory takes what is written");
    text
}
