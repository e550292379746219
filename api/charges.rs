//! Charges: the lines that providers and files brought, those that do not count included.

use axum::extract::State;
use serde::Deserialize;

use crate::{
    Shared,
    auth::{Authorized, ReadBilling},
    costs::{FilterTexts, refused},
    dto_charge::ChargeView,
    error::ApiError,
    extract::Parameters,
    json_answer::Json,
    pages::{self, Asked, Page},
    period,
    reports::ChargeQuery,
    schemas,
};

/// Which charges.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChargesQuery {
    /// Date (of the organization's time zone) or instant; 30 days before `to` if absent.
    #[param(inline, value_type = schemas::Moment, required = false)]
    from: Option<String>,
    /// Date or instant, exclusive; now if absent.
    #[param(inline, value_type = schemas::Moment, required = false)]
    to: Option<String>,
    /// Who bills.
    #[param(inline, value_type = schemas::Slug, required = false)]
    provider: Option<String>,
    /// Who sells.
    #[param(inline, value_type = schemas::Slug, required = false)]
    service: Option<String>,
    /// Model as billed.
    #[param(value_type = String, required = false)]
    model: Option<String>,
    /// Project, workspace or sub-account.
    #[param(value_type = String, required = false)]
    sub_account: Option<String>,
    /// Id of a connection.
    #[param(inline, value_type = schemas::ConnectionKey, required = false)]
    connection: Option<String>,
    /// ISO 4217 code.
    #[param(inline, value_type = schemas::CurrencyCode, required = false)]
    currency: Option<String>,
    /// Most items, 1 to 1000; 100 if absent.
    #[param(inline, value_type = schemas::Limit, required = false)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(inline, value_type = schemas::Cursor, required = false)]
    cursor: Option<String>,
}

/// The lines billed in a window. A line that a newer pull or another source stands in for is
/// `superseded`.
#[utoipa::path(get, path = "/v1/charges", tag = "billing", params(ChargesQuery),
    responses((status = 200, body = Page<ChargeView>)))]
pub(crate) async fn list_charges(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Parameters(query): Parameters<ChargesQuery>,
) -> Result<Json<Page<ChargeView>>, ApiError> {
    let asked = Asked::parse(query.limit.as_deref(), query.cursor.as_deref())?;
    let texts = FilterTexts {
        provider: query.provider,
        service: query.service,
        model: query.model,
        sub_account: query.sub_account,
        connection: query.connection,
        currency: query.currency,
    };
    let filters = texts.parse()?;
    let zone = state.zone(caller.organization).await?;
    let window = period::window(query.from.as_deref(), query.to.as_deref(), state.now(), &zone)?;
    let query = ChargeQuery { window, filters, limit: asked.limit, after: asked.after };
    let page = state.reports.charges(caller.organization, &query).await.map_err(refused)?;
    Ok(Json(Page {
        data: page.lines.into_iter().map(ChargeView::from).collect(),
        next_cursor: page.next.as_deref().map(pages::cursor),
    }))
}
