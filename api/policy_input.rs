//! Policies as people send them, checked: everything that is wrong is said at once.

use domain::{Path, Service, policy::THRESHOLDS_MAX};
use engine::policy::{Alert, Mode, PolicyChange, PolicyRecord, Threshold, Unit};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    amount::{read_amount, unit_of},
    error::{ApiError, FieldError},
    estimate::MODEL_BYTES_MAX,
    json_decimal::Decimal,
    schemas,
    window_input::WindowBody,
};

const CHANNELS_MAX: usize = 20;
const CHANNEL_CHARACTERS_MAX: usize = 128;

/// A policy to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    /// The path that it counts, with everything below; empty: the environment itself.
    #[schema(value_type = schemas::PathText)]
    path: String,
    /// What it counts of that; everything if absent.
    #[serde(default)]
    scope: ScopeBody,
    /// How much.
    limit: LimitBody,
    /// In which window.
    window: WindowBody,
    /// `open` records, `block` refuses once the limit is reached, `strict` admits what fits and
    /// needs reservations.
    #[schema(value_type = schemas::PolicyMode)]
    mode: String,
    /// What is answered while nobody can tell how much is used; `refuse` under `strict` and `allow`
    /// otherwise, if absent.
    #[serde(default)]
    #[schema(value_type = Option<schemas::OnUnavailable>)]
    on_unavailable: Option<String>,
    /// Not built yet.
    #[serde(default)]
    per: Option<String>,
    /// When people are told; at most 20.
    #[serde(default)]
    alerts: Vec<AlertBody>,
}

/// What a policy counts.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScopeBody {
    /// Only what this service sold.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Slug>)]
    service: Option<String>,
    /// Only this model; needs a service. Dated names mean the model that they are of.
    #[serde(default)]
    #[schema(max_length = 256)]
    model: Option<String>,
}

/// How much, of what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitBody {
    #[schema(value_type = schemas::LimitUnit)]
    unit: String,
    /// Dollars, credits with up to three decimals, calls or tokens.
    amount: Decimal,
}

/// When people are told: `at_percent` or `at_amount`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertBody {
    /// At so many percent of the limit: above 0, up to 1000, with up to three decimals.
    #[serde(default)]
    at_percent: Option<Decimal>,
    /// At so much, in the limit's unit.
    #[serde(default)]
    at_amount: Option<Decimal>,
    /// By which channels; the organization's own if absent.
    #[serde(default)]
    channels: Vec<String>,
}

/// What changes of a policy. Path, scope, unit and window never do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyPatch {
    #[serde(default)]
    limit: Option<LimitPatch>,
    #[serde(default)]
    #[schema(value_type = Option<schemas::PolicyMode>)]
    mode: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<schemas::OnUnavailable>)]
    on_unavailable: Option<String>,
    /// Takes the place of all alerts.
    #[serde(default)]
    alerts: Option<Vec<AlertBody>>,
}

/// Another limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitPatch {
    /// The policy's own unit, if it is said.
    #[serde(default)]
    #[schema(value_type = Option<schemas::LimitUnit>)]
    unit: Option<String>,
    amount: Decimal,
}

impl PolicyBody {
    /// The policy with this id, made then. `canonical` gives a model's canonical name.
    pub(crate) fn check(
        self,
        id: u128,
        created_at: Timestamp,
        canonical: impl Fn(&Service, &str) -> String,
    ) -> Result<PolicyRecord, ApiError> {
        let mut errors = vec![];
        let path = noted(&mut errors, read_path(&self.path, "/path"));
        let (service, model) = self.scope.check(canonical, &mut errors);
        let unit = unit_of(&self.limit.unit).ok_or_else(|| {
            let detail = "`unit` is `usd`, `credits`, `requests` or `tokens`";
            FieldError::at("/limit/unit", detail)
        });
        let unit = noted(&mut errors, unit);
        let limit = unit.and_then(|unit| {
            let limit = limit(&self.limit.amount, unit);
            noted(&mut errors, limit)
        });
        let window = noted(&mut errors, self.window.check());
        let mode = noted(&mut errors, mode(&self.mode));
        let allows = self.on_unavailable.as_deref().map(allows);
        let allows = allows.and_then(|allows| noted(&mut errors, allows));
        if self.per.is_some() {
            let detail = "a counter for each end user is not built yet: leave `per` out";
            errors.push(FieldError::at("/per", detail));
        }
        let alerts = alerts(&self.alerts, unit.unwrap_or(Unit::Usd), &mut errors);
        match (path, unit, limit, window, mode) {
            (Some(path), Some(unit), Some(limit), Some(window), Some(mode))
                if errors.is_empty() =>
            {
                Ok(PolicyRecord {
                    id,
                    path: path.to_string(),
                    service,
                    model,
                    unit,
                    limit,
                    window: window.into(),
                    mode,
                    allow_on_unavailable: allows.unwrap_or(mode != Mode::Strict),
                    alerts,
                    created_at: created_at.as_microsecond(),
                })
            }
            _ => Err(errors.into()),
        }
    }
}

impl ScopeBody {
    fn check(
        self,
        canonical: impl Fn(&Service, &str) -> String,
        errors: &mut Vec<FieldError>,
    ) -> (String, String) {
        let service = self.service.as_deref().map(|text| {
            Service::parse(text)
                .map_err(|error| FieldError::at("/scope/service", error.to_string()))
        });
        let service = service.and_then(|service| noted(errors, service));
        let model = self.model.filter(|model| !model.is_empty());
        match (service, model) {
            (_, Some(model)) if model.len() > MODEL_BYTES_MAX => {
                let detail = format!("a model's name has up to {MODEL_BYTES_MAX} bytes");
                errors.push(FieldError::at("/scope/model", detail));
                Default::default()
            }
            (Some(service), Some(model)) => {
                let model = canonical(&service, &model);
                (service.to_string(), model)
            }
            (Some(service), None) => (service.to_string(), String::new()),
            (None, Some(_)) => {
                errors.push(FieldError::at("/scope/service", "a model needs its service"));
                Default::default()
            }
            (None, None) => Default::default(),
        }
    }
}

impl PolicyPatch {
    /// What changes of `record`.
    pub(crate) fn check(self, record: &PolicyRecord) -> Result<PolicyChange, ApiError> {
        let mut errors = vec![];
        let limit = self.limit.and_then(|patch| {
            let is_same = patch.unit.is_none_or(|unit| unit_of(&unit) == Some(record.unit));
            if !is_same {
                let detail = "a policy's unit never changes: make another policy";
                errors.push(FieldError::at("/limit/unit", detail));
            }
            noted(&mut errors, limit(&patch.amount, record.unit))
        });
        let mode = self.mode.and_then(|word| noted(&mut errors, mode(&word)));
        let allows = self.on_unavailable.and_then(|word| noted(&mut errors, allows(&word)));
        let alerts = self.alerts.map(|all| alerts(&all, record.unit, &mut errors));
        match errors.is_empty() {
            true => Ok(PolicyChange { limit, mode, allow_on_unavailable: allows, alerts }),
            false => Err(errors.into()),
        }
    }
}

/// A path of the body or of a query.
pub(crate) fn read_path(text: &str, pointer: &str) -> Result<Path, FieldError> {
    Path::parse(text).map_err(|error| FieldError::at(pointer, error.to_string()))
}

fn noted<T>(errors: &mut Vec<FieldError>, read: Result<T, FieldError>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

fn limit(amount: &Decimal, unit: Unit) -> Result<i128, FieldError> {
    read_amount(amount.text(), unit).map_err(|wrong| FieldError::at("/limit/amount", wrong))
}

fn mode(word: &str) -> Result<Mode, FieldError> {
    match word {
        "open" => Ok(Mode::Open),
        "block" => Ok(Mode::Block),
        "strict" => Ok(Mode::Strict),
        _ => Err(FieldError::at("/mode", "`mode` is `open`, `block` or `strict`")),
    }
}

fn allows(word: &str) -> Result<bool, FieldError> {
    match word {
        "allow" => Ok(true),
        "refuse" => Ok(false),
        _ => Err(FieldError::at("/on_unavailable", "`on_unavailable` is `refuse` or `allow`")),
    }
}

fn alerts(all: &[AlertBody], unit: Unit, errors: &mut Vec<FieldError>) -> Vec<Alert> {
    if all.len() > THRESHOLDS_MAX {
        let detail = format!("a policy has at most {THRESHOLDS_MAX} alerts");
        errors.push(FieldError::at("/alerts", detail));
        return vec![];
    }
    let read = all.iter().enumerate().map(|(index, alert)| {
        alert.check(unit).map_err(|wrong| wrong.within(&format!("/alerts/{index}")))
    });
    let read: Vec<_> = read.collect();
    read.into_iter().filter_map(|alert| noted(errors, alert)).collect()
}

impl AlertBody {
    fn check(&self, unit: Unit) -> Result<Alert, FieldError> {
        let fits =
            |name: &String| !name.is_empty() && name.chars().count() <= CHANNEL_CHARACTERS_MAX;
        if self.channels.len() > CHANNELS_MAX || !self.channels.iter().all(fits) {
            let detail = format!(
                "at most {CHANNELS_MAX} channels of 1 to {CHANNEL_CHARACTERS_MAX} characters"
            );
            return Err(FieldError::at("/channels", detail));
        }
        let at = match (&self.at_percent, &self.at_amount) {
            (Some(percent), None) => Threshold::Percent(millipercent(percent.text())?),
            (None, Some(amount)) => {
                let amount = read_amount(amount.text(), unit);
                let amount = amount.map_err(|wrong| FieldError::at("/at_amount", wrong))?;
                Threshold::Amount(amount)
            }
            _ => return Err(FieldError::at("", "an alert has `at_percent` or `at_amount`")),
        };
        Ok(Alert { at, channels: self.channels.clone() })
    }
}

fn millipercent(text: &str) -> Result<u32, FieldError> {
    // Percent have the decimals of credits: three.
    let value = read_amount(text, Unit::Credits).ok().and_then(|value| u32::try_from(value).ok());
    value.filter(|value| (1..=1_000_000).contains(value)).ok_or_else(|| {
        let detail = "`at_percent` is above 0 and up to 1000, with up to three decimals";
        FieldError::at("/at_percent", detail)
    })
}
