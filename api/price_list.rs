//! Prices: the rows of a model, own ones and the catalogue's.

use axum::extract::State;
use jiff::Timestamp;
use prices::{Catalogue, Model, OwnPrices, Row, Seller};
use serde::Deserialize;

use crate::{
    Shared,
    auth::{Authorized, Read},
    dto_price::{PriceRowView, PricesView},
    error::{ApiError, FieldError},
    extract::Parameters,
    json_answer::Json,
    own_prices::owner,
    schemas,
};

/// Which model, sold by whom, when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PricesQuery {
    /// Model as it is sent, or as the response names it.
    model: String,
    /// Who sells it; everybody who knows the name if absent.
    #[param(inline, value_type = schemas::Slug, required = false)]
    service: Option<String>,
    /// Instant, or date in UTC, past or future; now if absent.
    #[param(inline, value_type = schemas::Moment, required = false)]
    at: Option<String>,
    /// Rows of every time instead of those in force.
    #[param(required = false)]
    history: Option<bool>,
}

/// What a model costs, rate by rate: own rows first, then the catalogue's.
#[utoipa::path(get, path = "/v1/prices", tag = "quota", params(PricesQuery),
    responses((status = 200, body = PricesView)))]
pub(crate) async fn list_prices(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Parameters(query): Parameters<PricesQuery>,
) -> Result<Json<PricesView>, ApiError> {
    let at = match &query.at {
        None => state.now(),
        Some(text) => prices::instant(text).ok_or_else(|| {
            let what = "is an instant (`2026-01-31T12:00:00Z`) or a date (`2026-01-31`) in UTC";
            FieldError::parameter("at", format!("`at` {what}"))
        })?,
    };
    let service = query.service.as_deref().map(str::to_ascii_lowercase);
    let book = state.own_prices.book(&state, owner(&caller)).await?;
    let asked = Asked { query: &query, service: service.as_deref(), at };
    let own: [&OwnPrices; 2] = [&book.prices, &state.operator_prices];
    let mut data: Vec<_> = own.iter().flat_map(|own| asked.own_rows(&state.prices, own)).collect();
    data.extend(asked.rows(&state.prices));
    let nearest = match data.is_empty() {
        true => state.prices.nearest(service.as_deref().unwrap_or_default(), &query.model),
        false => vec![],
    };
    let catalogue = state.prices.id().to_owned();
    Ok(Json(PricesView { catalogue, data, nearest }))
}

/// A question about a model's rows.
struct Asked<'a> {
    query: &'a PricesQuery,
    service: Option<&'a str>,
    at: Timestamp,
}

impl Asked<'_> {
    fn own_rows(&self, catalogue: &Catalogue, own: &OwnPrices) -> Vec<PriceRowView> {
        let name = self.query.model.as_str();
        let services = own.services().filter(|one| self.service.is_none_or(|asked| asked == *one));
        let of_service = |service| {
            let found = catalogue.resolve(service, name, self.at);
            let canonical = found.as_ref().map(|found| found.model.id.as_str());
            let models: Vec<_> = own.models(service, name, canonical).collect();
            models.into_iter().flat_map(|model| self.views(service, model)).collect::<Vec<_>>()
        };
        services.flat_map(of_service).collect()
    }

    fn rows(&self, catalogue: &Catalogue) -> Vec<PriceRowView> {
        let name = self.query.model.as_str();
        if let Some(service) = self.service {
            let found = catalogue.resolve(service, name, self.at);
            return found.map_or(vec![], |found| self.views(&found.seller.name, found.model));
        }
        let of_seller = |seller: &Seller| {
            let found = seller.model(name, self.at);
            found.map_or(vec![], |(model, _)| self.views(&seller.name, model))
        };
        catalogue.sellers().into_iter().flat_map(of_seller).collect()
    }

    /// Rows for certain hours are listed at all hours.
    fn views(&self, service: &str, model: &Model) -> Vec<PriceRowView> {
        let is_asked = |row: &&Row| {
            self.query.history.unwrap_or(false)
                || (row.from.is_none_or(|from| from <= self.at)
                    && row.until.is_none_or(|until| self.at < until))
        };
        let rows = model.rows.iter().filter(is_asked);
        rows.map(|row| PriceRowView::new(service, &model.id, row)).collect()
    }
}
