//! What no provider has: the page that explains the sandbox, its books, its clock and its failures.
//!
//! Everything here begins with `/_`, needs no key, and is never throttled.

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{Uri, header},
    response::IntoResponse,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Books, BooksRow, Fault, Sandbox, errors::Refusal, query::Parameters};

#[derive(Serialize)]
pub(crate) struct WireClock {
    today: Date,
    first_day: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMove {
    today: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireRestatement {
    date: Date,
    seed: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct WireRestated {
    restated: Date,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFault {
    status: u16,
    #[serde(default = "once")]
    count: u32,
    path: Option<String>,
    retry_after: Option<u32>,
    body: Option<String>,
}

const fn once() -> u32 {
    1
}

#[derive(Serialize)]
pub(crate) struct WirePending {
    pending: u64,
}

#[derive(Serialize)]
pub(crate) struct WireBooks {
    currency: String,
    total: String,
    rows: Vec<WireBooksRow>,
}

#[derive(Serialize)]
struct WireBooksRow {
    provider: &'static str,
    date: Date,
    model: Option<String>,
    cost: String,
    quantities: Vec<WireQuantity>,
}

#[derive(Serialize)]
struct WireQuantity {
    unit: &'static str,
    quantity: u64,
}

/// `GET /`
pub(crate) async fn welcome(State(sandbox): State<Sandbox>) -> impl IntoResponse {
    let (world, options) = (sandbox.world(), sandbox.options());
    let text = include_str!("welcome.txt")
        .replace("{seed}", &options.seed.to_string())
        .replace("{first_day}", &world.first_day.to_string())
        .replace("{today}", &world.today.to_string());
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}

/// `GET /_books?from=&to=`: half-open; what is left out reaches as far as the data.
pub(crate) async fn books(
    State(sandbox): State<Sandbox>,
    uri: Uri,
) -> Result<Json<WireBooks>, Refusal> {
    let parameters = Parameters::of(&uri, &["from", "to"])?;
    let world = sandbox.world();
    let date = |name: &str, default: Date| match parameters.one(name) {
        None => Ok(default),
        Some(text) => text.parse::<Date>().map_err(|_| {
            let message = format!("Invalid '{name}': expected a date, but got '{text}'.");
            Refusal::parameter(name, message)
        }),
    };
    let books = sandbox.books(date("from", world.first_day)?, date("to", world.today)?);
    Ok(Json(write_books(books)))
}

/// `GET /_clock`
pub(crate) async fn clock(State(sandbox): State<Sandbox>) -> Json<WireClock> {
    let world = sandbox.world();
    Json(WireClock { today: world.today, first_day: world.first_day })
}

/// `POST /_clock {"today": "2026-11-21"}`
pub(crate) async fn move_clock(
    State(sandbox): State<Sandbox>,
    body: Bytes,
) -> Result<Json<WireClock>, Refusal> {
    let WireMove { today } = read(&body)?;
    sandbox.move_clock(today).map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok(clock(State(sandbox)).await)
}

/// `POST /_restate {"date": "2026-11-10", "seed": 7}`
pub(crate) async fn restate(
    State(sandbox): State<Sandbox>,
    body: Bytes,
) -> Result<Json<WireRestated>, Refusal> {
    let WireRestatement { date, seed } = read(&body)?;
    sandbox.restate(date, seed).map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok(Json(WireRestated { restated: date }))
}

/// `POST /_faults {"status": 500, "count": 3}`
pub(crate) async fn add_fault(
    State(sandbox): State<Sandbox>,
    body: Bytes,
) -> Result<Json<WirePending>, Refusal> {
    let WireFault { status, count, path, retry_after, body } = read(&body)?;
    if !(400..600).contains(&status) {
        return Err(Refusal::bad_request(format!("no failure has the status {status}")));
    }
    let fault = Fault { status, count, path, retry_after_seconds: retry_after, body };
    Ok(Json(WirePending { pending: sandbox.fail_next(fault) }))
}

/// `DELETE /_faults`: no more failures.
pub(crate) async fn clear_faults(State(sandbox): State<Sandbox>) -> Json<WirePending> {
    sandbox.stop_failing();
    Json(WirePending { pending: 0 })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(error.to_string()))
}

fn write_books(books: Books) -> WireBooks {
    let quantity = |(unit, quantity)| WireQuantity { unit, quantity };
    let row = |row: BooksRow| WireBooksRow {
        provider: row.provider,
        date: row.date,
        model: row.model,
        cost: row.cost.to_string(),
        quantities: row.quantities.into_iter().map(quantity).collect(),
    };
    WireBooks {
        currency: books.currency.to_string(),
        total: books.total.to_string(),
        rows: books.rows.into_iter().map(row).collect(),
    }
}
