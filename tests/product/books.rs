//! What a product says that a provider billed, beside the provider's own books.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use domain::{Currency, Money};
use jiff::civil::Date;

use crate::{Client, Provider};

/// Costs by day and model.
pub type Book = BTreeMap<(String, Option<String>), Money>;

/// Costs per day and model, as the product answers them. `filter` is one of the query's, such as
/// `provider=openai`.
///
/// # Errors
/// Where the answer is not one, or contradicts itself.
pub async fn told(client: &Client, filter: &str, from: Date, to: Date) -> Result<Book> {
    let path =
        format!("/v1/costs?from={from}&to={to}&granularity=day&group_by=provider,model&{filter}");
    let costs = client.get(&path).await?;
    let mut book = Book::new();
    let mut total = Money::zero(Currency::USD);
    for row in costs["rows"].as_array().context("rows")? {
        let Some(cost) = row["cost"].as_str() else { continue };
        let cost = Money::parse_exact(cost, Currency::USD)?;
        let day = row["period_start"].as_str().context("a period")?[..10].to_owned();
        let model = row["group"]["model"].as_str().map(str::to_owned);
        total = total.checked_add(cost).context("a sum")?;
        ensure!(book.insert((day, model), cost).is_none(), "a row twice: {row}");
    }
    let said = costs["totals"][0]["total"].as_str().unwrap_or("0");
    ensure!(total == Money::parse_exact(said, Currency::USD)?, "the rows are not the total");
    Ok(book)
}

/// Costs per day and model, as the provider's books have them.
#[must_use]
pub fn kept(provider: &Provider, from: Date, to: Date) -> Book {
    let rows = provider.sandbox.books(from, to).rows.into_iter();
    let has_cost = |row: &sandbox::BooksRow| row.cost != Money::zero(Currency::USD);
    rows.filter(has_cost).map(|row| ((row.date.to_string(), row.model), row.cost)).collect()
}

/// The same without what cost nothing.
#[must_use]
pub fn without_zeros(mut book: Book) -> Book {
    book.retain(|_, cost| *cost != Money::zero(Currency::USD));
    book
}

/// Compares all that OpenAI billed with the books of one sandbox.
///
/// # Errors
/// With the first difference.
pub async fn compare(client: &Client, provider: &Provider, from: Date, to: Date) -> Result<()> {
    compare_where(client, "provider=openai", provider, from, to).await
}

/// Compares what `filter` lets through with the books of one sandbox.
///
/// # Errors
/// With the first difference.
pub async fn compare_where(
    client: &Client,
    filter: &str,
    provider: &Provider,
    from: Date,
    to: Date,
) -> Result<()> {
    let told = without_zeros(told(client, filter, from, to).await?);
    let kept = kept(provider, from, to);
    for (key, cost) in &kept {
        ensure!(
            told.get(key) == Some(cost),
            "{key:?}: {cost} in the books, {:?} told",
            told.get(key)
        );
    }
    ensure!(told.len() == kept.len(), "{} rows told, {} in the books", told.len(), kept.len());
    ensure!(!kept.is_empty(), "the books are empty");
    Ok(())
}
