//! Costs: what was billed, or what was reported, by period, group and currency.

use axum::extract::State;
use domain::{ConnectionId, Currency, Granularity, ProviderId, Service};
use serde::Deserialize;

use crate::{
    Shared,
    auth::{Authorized, Caller, Read},
    dto_cost::CostsView,
    end_users::asked_number,
    error::{ApiError, FieldError},
    extract::Parameters,
    json_answer::Json,
    period,
    reported_sums::{ReportedDimension, ReportedQuery, reported_costs},
    reports::{CostQuery, Dimension, Filters, ReportError},
    schemas,
    state::AppState,
    usage_events::{parse_path, shard_of},
};

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
    /// With commas. Of billed costs any of `provider`, `service`, `model`, `unit`, `connection`,
    /// `sub_account`, `api_key`; of reported ones `provider`, `service`, `model`, `path`,
    /// `api_key`, `end_user`, `call_site`, `tag:NAME`.
    #[param(inline, value_type = schemas::GroupBy, required = false)]
    group_by: Option<String>,
    /// `billed` (the default), or `reported`: what applications reported, in both environments.
    #[param(inline, value_type = schemas::Source, required = false)]
    source: Option<String>,
    /// Who bills.
    #[param(inline, value_type = schemas::Slug, required = false)]
    provider: Option<String>,
    /// Who sells.
    #[param(inline, value_type = schemas::Slug, required = false)]
    service: Option<String>,
    /// Model as billed; of reported costs the canonical one.
    #[param(value_type = String, required = false)]
    model: Option<String>,
    /// Project, workspace or sub-account. Of billed costs.
    #[param(value_type = String, required = false)]
    sub_account: Option<String>,
    /// Id of a connection. Of billed costs.
    #[param(inline, value_type = schemas::ConnectionKey, required = false)]
    connection: Option<String>,
    /// This path and everything below. Of reported costs.
    #[param(inline, value_type = schemas::PathText, required = false)]
    path: Option<String>,
    /// For whom it was made: your own id of them. Of reported costs.
    #[param(inline, value_type = schemas::EndUserId, required = false)]
    end_user: Option<String>,
    /// ISO 4217 code.
    #[param(inline, value_type = schemas::CurrencyCode, required = false)]
    currency: Option<String>,
}

/// What was billed, or what was reported. Superseded charges do not count; an unknown cost is null,
/// never zero. Reported costs are summed by quarter hours: each counts where it begins.
#[utoipa::path(get, path = "/v1/costs", tag = "billing", params(CostsQuery),
    responses((status = 200, body = CostsView)))]
pub(crate) async fn get_costs(
    State(state): State<Shared>,
    Authorized { caller, .. }: Authorized<Read>,
    Parameters(query): Parameters<CostsQuery>,
) -> Result<Json<CostsView>, ApiError> {
    match query.source.as_deref() {
        None | Some("billed") => billed(&state, &caller, query).await.map(Json),
        Some("reported") => reported(&state, &caller, query).await.map(Json),
        Some("effective") => {
            let detail = "`effective` needs reconciliation, which is not built yet; `source` is \
                          `billed` or `reported`";
            Err(FieldError::parameter("source", detail).into())
        }
        Some(_) => {
            Err(FieldError::parameter("source", "`source` is `billed` or `reported`").into())
        }
    }
}

async fn billed(
    state: &AppState,
    caller: &Caller,
    query: CostsQuery,
) -> Result<CostsView, ApiError> {
    caller.must_be_live()?;
    let granularity = granularity(query.granularity.as_deref())?;
    let group_by = group_by(query.group_by.as_deref().unwrap_or_default())?;
    let reported_ones = [("path", &query.path), ("end_user", &query.end_user)];
    if let Some((name, _)) = reported_ones.iter().find(|(_, value)| value.is_some()) {
        return Err(reported_only(name).into());
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
    Ok(CostsView::from(report))
}

async fn reported(
    state: &AppState,
    caller: &Caller,
    query: CostsQuery,
) -> Result<CostsView, ApiError> {
    let granularity = granularity(query.granularity.as_deref())?;
    let group_by = reported_group_by(query.group_by.as_deref().unwrap_or_default())?;
    let billed_only = [("sub_account", &query.sub_account), ("connection", &query.connection)];
    if let Some((name, _)) = billed_only.iter().find(|(_, value)| value.is_some()) {
        return Err(FieldError::parameter(*name, "only billed costs are known by this").into());
    }
    let path = parse_path(query.path.as_deref())?;
    caller.may_use(&path)?;
    let texts = FilterTexts {
        provider: query.provider,
        service: query.service,
        model: query.model,
        sub_account: None,
        connection: None,
        currency: query.currency,
    };
    let filters = texts.parse()?;
    if filters.currency.is_some_and(|currency| currency != Currency::USD) {
        return Err(FieldError::parameter("currency", "reported costs are in `USD`").into());
    }
    let zone = state.zone(caller.organization).await?;
    let window = period::window(query.from.as_deref(), query.to.as_deref(), state.now(), &zone)?;
    let shard = shard_of(caller);
    let end_user = match &query.end_user {
        Some(shown) => Some(asked_number(&*state.store, shard, shown).await?),
        None => None,
    };
    let query = ReportedQuery {
        window,
        granularity,
        zone,
        group_by,
        provider: filters.provider.map(|name| name.to_string()),
        service: filters.service.map(|name| name.to_string()),
        model: filters.model,
        end_user,
        path,
    };
    let costs = reported_costs(&*state.store, shard, query).await.map_err(refused)?;
    Ok(CostsView::from(costs))
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

fn reported_group_by(text: &str) -> Result<Vec<ReportedDimension>, FieldError> {
    let mut dimensions = vec![];
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let dimension = ReportedDimension::parse(name).ok_or_else(|| {
            let known = ReportedDimension::NAMES.join(", ");
            let detail = format!("`group_by` of reported costs has: {known}, tag:NAME");
            FieldError::parameter("group_by", detail)
        })?;
        if !dimensions.contains(&dimension) {
            dimensions.push(dimension);
        }
    }
    Ok(dimensions)
}

fn unknown_dimension(name: &str) -> FieldError {
    if ReportedDimension::parse(name).is_some() {
        return reported_only("group_by");
    }
    let known = Dimension::ALL.map(Dimension::as_str).join(", ");
    FieldError::parameter("group_by", format!("`group_by` has, with commas: {known}"))
}

fn reported_only(parameter: &'static str) -> FieldError {
    let detail = "only reported costs are known by this; add `source=reported`";
    FieldError::parameter(parameter, detail)
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
