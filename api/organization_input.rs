//! What people send about their organization, and what of it is right. All that is wrong is said at
//! once.

use domain::{Currency, Organization, Zone, time::parse_weekday};
use jiff::civil::Weekday;
use serde::{Deserialize, Deserializer};
use store::organizations::SettingsPatch;
use utoipa::ToSchema;

use crate::{
    connection_input::{check_name, noted},
    error::{ApiError, FieldError},
    schemas,
};

/// Changes to the organization; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateOrganization {
    /// Name for people, 1 to 200 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// IANA time zone, such as `Europe/Berlin`.
    #[serde(default)]
    time_zone: Option<String>,
    /// First day of weeks, `mon` to `sun`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::WeekdayName>)]
    week_start: Option<String>,
    /// Hour of the wall clock at which the days of caps begin, 0 to 23.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 23)]
    reset_hour: Option<u64>,
    /// First month of the fiscal year, 1 to 12.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 12)]
    fiscal_year_start_month: Option<u64>,
    /// ISO 4217 code of the currency in which costs are read; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    currency: Option<Option<String>>,
    /// How many days reported usage is kept, 1 to 3650.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3650)]
    retention_days: Option<u64>,
    /// Whether reports and reservations make the paths that they name.
    #[serde(default)]
    auto_create_paths: Option<bool>,
    /// Whether the bodies of reported calls are kept.
    #[serde(default)]
    capture_bodies: Option<bool>,
}

/// A field that is there, if only as null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl UpdateOrganization {
    /// The change for the store.
    pub(crate) fn check(self) -> Result<SettingsPatch, ApiError> {
        let mut errors = vec![];
        let noted_in = &mut errors;
        let patch = SettingsPatch {
            name: self.name.and_then(|name| noted(check_name(&name), noted_in)),
            time_zone: self.time_zone.and_then(|name| noted(check_zone(&name), noted_in)),
            week_start: self.week_start.and_then(|name| noted(check_weekday(&name), noted_in)),
            reset_hour: self
                .reset_hour
                .and_then(|hour| noted(check_number("reset_hour", hour, 0, 23), noted_in)),
            fiscal_year_start_month: self.fiscal_year_start_month.and_then(|month| {
                noted(check_number("fiscal_year_start_month", month, 1, 12), noted_in)
            }),
            currency: self.currency.and_then(|code| match code {
                None => Some(None),
                Some(code) => noted(check_currency(&code), noted_in).map(Some),
            }),
            retention_days: self.retention_days.and_then(|days| {
                let most = Organization::RETENTION_DAYS_MAX;
                noted(check_number("retention_days", days, 1, most), noted_in)
            }),
            auto_create_paths: self.auto_create_paths,
            capture_bodies: self.capture_bodies,
        };
        if errors.is_empty() { Ok(patch) } else { Err(errors.into()) }
    }
}

/// The zone's name as the database spells it.
fn check_zone(name: &str) -> Result<String, FieldError> {
    let zone = Zone::parse(name).map(|zone| zone.name().to_owned());
    zone.ok_or_else(|| {
        let detail = "`time_zone` is the name of an IANA time zone, such as `Europe/Berlin`";
        FieldError::at("/time_zone", detail)
    })
}

fn check_weekday(name: &str) -> Result<Weekday, FieldError> {
    parse_weekday(name).ok_or_else(|| {
        let detail = "`week_start` is `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`";
        FieldError::at("/week_start", detail)
    })
}

fn check_currency(code: &str) -> Result<Currency, FieldError> {
    let detail = "`currency` is an ISO 4217 code such as `EUR`, or null";
    Currency::parse(code).ok_or_else(|| FieldError::at("/currency", detail))
}

fn check_number<T: TryFrom<u64> + PartialOrd + std::fmt::Display>(
    field: &str,
    value: u64,
    least: T,
    most: T,
) -> Result<T, FieldError> {
    let detail = format!("`{field}` is {least} to {most}");
    let value = T::try_from(value).ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| FieldError::at(format!("/{field}"), detail))
}
