//! Costs: what was billed, by period, group and currency.

use axum::{Json, extract::State};
use domain::{ConnectionId, Currency, Granularity, ProviderId, Service};
use serde::Deserialize;

use crate::{
    Shared,
    auth::{Authorized, ReadBilling},
    dto_cost::CostsView,
    error::{ApiError, FieldError},
    extract::Parameters,
    period,
    reports::{CostQuery, Dimension, Filters, ReportError},
    schemas,
};

/// Dimensions that the contract has and only reported usage can fill.
const REPORTED_DIMENSIONS: [&str; 3] = ["path", "end_user", "call_site"];

/// Which costs, and how they are summed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CostsQuery {
    /// Date (of the organization's time zone) or instant; 30 days before `to` if absent.
    #[param(inline, value_type = schemas::Moment, required = false)]
    from: Option<String>,
    /// Date or instant, exclusive; now if absent.
    #[param(inline, value_type = schemas::Moment, required = false)]
    to: Option<String>,
    /// `hour`, `day` (the default), `week`, `month` or `total`.
    #[param(inline, value_type = schemas::Granularity, required = false)]
    granularity: Option<String>,
    /// Any of `provider`, `service`, `model`, `unit`, `connection`, `sub_account`, `api_key`, with
    /// commas.
    #[param(inline, value_type = schemas::GroupBy, required = false)]
    group_by: Option<String>,
    /// `billed`; the others of the contract are not built yet.
    #[param(inline, value_type = schemas::Source, required = false)]
    source: Option<String>,
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
    /// Needs reported usage, which is not built yet; refused with words that say so.
    #[param(ignore)]
    path: Option<String>,
    /// ISO 4217 code.
    #[param(inline, value_type = schemas::CurrencyCode, required = false)]
    currency: Option<String>,
}

/// What was billed. Superseded charges do not count; an unknown cost is null, never zero.
#[utoipa::path(get, path = "/v1/costs", tag = "billing", params(CostsQuery),
    responses((status = 200, body = CostsView)))]
pub(crate) async fn get_costs(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<ReadBilling>,
    Parameters(query): Parameters<CostsQuery>,
) -> Result<Json<CostsView>, ApiError> {
    let granularity = granularity(query.granularity.as_deref())?;
    let group_by = group_by(query.group_by.as_deref().unwrap_or_default())?;
    billed_only(query.source.as_deref())?;
    if query.path.is_some() {
        return Err(needs_reports("path").into());
    }
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
    let query = CostQuery { window, granularity, zone, group_by, filters };
    let report = state.reports.costs(caller.organization, &query).await.map_err(refused)?;
    Ok(Json(CostsView::from(report)))
}

fn granularity(text: Option<&str>) -> Result<Granularity, FieldError> {
    Granularity::parse(text.unwrap_or("day")).ok_or_else(|| {
        let detail = "`granularity` is `hour`, `day`, `week`, `month` or `total`";
        FieldError::parameter("granularity", detail)
    })
}

fn group_by(text: &str) -> Result<Vec<Dimension>, FieldError> {
    let mut dimensions = vec![];
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let dimension = Dimension::parse(name).ok_or_else(|| unknown_dimension(name))?;
        if !dimensions.contains(&dimension) {
            dimensions.push(dimension);
        }
    }
    Ok(dimensions)
}

fn unknown_dimension(name: &str) -> FieldError {
    if REPORTED_DIMENSIONS.contains(&name) || name.starts_with("tag:") {
        return needs_reports("group_by");
    }
    let known = Dimension::ALL.map(Dimension::as_str).join(", ");
    FieldError::parameter("group_by", format!("`group_by` has, with commas: {known}"))
}

fn needs_reports(parameter: &'static str) -> FieldError {
    FieldError::parameter(parameter, "this needs reported usage, which is not built yet")
}

fn billed_only(source: Option<&str>) -> Result<(), FieldError> {
    match source {
        None | Some("billed") => Ok(()),
        Some("reported" | "effective") => Err(needs_reports("source")),
        Some(_) => Err(FieldError::parameter("source", "`source` is `billed`")),
    }
}

/// A report that could not be made, as a problem.
pub(crate) fn refused(error: ReportError) -> ApiError {
    match error {
        ReportError::Store(cause) => ApiError::from(cause),
        ReportError::Refused { parameter, detail } => {
            FieldError::parameter(parameter, detail).into()
        }
        failed @ ReportError::Failed(_) => ApiError::internal(failed),
    }
}

/// Filters as they stand in a query.
pub(crate) struct FilterTexts {
    pub(crate) provider: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) sub_account: Option<String>,
    pub(crate) connection: Option<String>,
    pub(crate) currency: Option<String>,
}

impl FilterTexts {
    /// Filters as they are meant.
    pub(crate) fn parse(self) -> Result<Filters, FieldError> {
        Ok(Filters {
            provider: parsed("provider", self.provider, |text| {
                ProviderId::parse(text).map_err(|error| error.to_string())
            })?,
            service: parsed("service", self.service, |text| {
                Service::parse(text).map_err(|error| error.to_string())
            })?,
            model: self.model,
            sub_account: self.sub_account,
            connection: parsed("connection", self.connection, |text| {
                ConnectionId::parse(text).map_err(|error| error.to_string())
            })?,
            currency: parsed("currency", self.currency, |text| {
                Currency::parse(text).ok_or_else(|| "not an ISO 4217 code".to_owned())
            })?,
        })
    }
}

fn parsed<T>(
    name: &'static str,
    text: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, FieldError> {
    let value = text.as_deref().map(parse).transpose();
    value.map_err(|detail| FieldError::parameter(name, format!("`{name}`: {detail}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_once_each() {
        let dimensions = group_by("model, provider,model").unwrap();
        assert_eq!(dimensions, [Dimension::Model, Dimension::Provider]);
        assert_eq!(group_by("").unwrap(), []);
        for text in ["colour", "tag:team", "path", "Model"] {
            assert!(group_by(text).is_err(), "{text}");
        }
    }
}
