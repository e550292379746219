//! An organization with its settings as plain data.

use domain::{Organization, time::weekday_name};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schemas;

/// The organization and its settings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationView {
    /// `org_…`
    id: String,
    /// Name for people.
    name: String,
    /// IANA time zone of its days, weeks and months.
    time_zone: String,
    /// First day of its weeks.
    #[schema(value_type = schemas::WeekdayName)]
    week_start: &'static str,
    /// Hour of the wall clock at which the days of caps begin. Reports have days from midnight.
    #[schema(minimum = 0, maximum = 23)]
    reset_hour: u8,
    /// First month of its fiscal year.
    #[schema(minimum = 1, maximum = 12)]
    fiscal_year_start_month: u8,
    /// ISO 4217 code of the currency in which it reads costs; null where it has not said.
    currency: Option<String>,
    /// How many days reported usage is kept.
    #[schema(minimum = 1, maximum = 3650)]
    retention_days: u32,
    /// Whether reports and reservations make the paths that they name.
    auto_create_paths: bool,
    /// Whether the bodies of reported calls are kept.
    capture_bodies: bool,
    /// How often the settings were changed.
    settings_revision: u64,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> OrganizationView {
        OrganizationView {
            id: organization.id.to_string(),
            name: organization.name,
            time_zone: organization.time_zone,
            week_start: weekday_name(organization.week_start),
            reset_hour: organization.reset_hour,
            fiscal_year_start_month: organization.fiscal_year_start_month,
            currency: organization.currency.map(|currency| currency.to_string()),
            retention_days: organization.retention_days,
            auto_create_paths: organization.auto_create_paths,
            capture_bodies: organization.capture_bodies,
            settings_revision: organization.settings_revision,
            created_at: organization.created_at.to_string(),
        }
    }
}
