//! A large FOCUS file out of the public sample's rows: 32 columns, 30 days, costs and ids that
//! differ.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use domain::fixed;

use crate::sample;

/// The columns of the large file, as in the sample but for the last.
pub(crate) const COLUMNS: [&str; 32] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SubAccountId",
    "Tags",
    "x_Line",
];

/// Writes it; its size in bytes and the exact sum of its billed costs.
pub(crate) fn write(path: &Path, row_count: usize) -> Result<(u64, String)> {
    let text = sample()?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers()?.clone();
    let at = |name: &&str| header.iter().position(|column| column == *name);
    let places: Vec<_> =
        COLUMNS[..31].iter().map(|name| at(name).context(*name)).collect::<Result<_>>()?;
    let rows: Vec<_> = reader.records().collect::<Result<_, _>>()?;
    let mut writer = csv::Writer::from_writer(BufWriter::new(File::create(path)?));
    writer.write_record(COLUMNS)?;
    let mut total = 0;
    for line in 0..row_count {
        let row = &rows[line % rows.len()];
        let day = line * 30 / row_count + 1;
        let id = line.to_string();
        let cost = format!("0.{:09}", (line * 7919) % 1_000_000_000);
        total += fixed::parse_exact(&cost)?;
        let (start, end) =
            (format!("2024-09-{day:02} 22:00:00"), format!("2024-09-{day:02} 23:00:00"));
        let cells = places.iter().zip(COLUMNS).map(|(place, name)| match name {
            "BilledCost" => cost.as_str(),
            "ChargePeriodStart" => start.as_str(),
            "ChargePeriodEnd" => end.as_str(),
            _ => &row[*place],
        });
        writer.write_record(cells.chain([id.as_str()]))?;
    }
    writer.into_inner().ok().context("flushing")?.flush()?;
    let mut text = String::new();
    fixed::write_decimal(total, &mut text)?;
    Ok((std::fs::metadata(path)?.len(), text))
}
