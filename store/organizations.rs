//! Organizations with their settings, and the first start of an empty store.

use domain::{ApiKey, AuditEvent, Currency, Organization, OrganizationId};
use jiff::civil::Weekday;

use crate::Result;

/// Changes to an organization's settings; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// Name for people.
    pub name: Option<String>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// First day of weeks.
    pub week_start: Option<Weekday>,
    /// Hour at which the days of caps begin.
    pub reset_hour: Option<u8>,
    /// First month of the fiscal year.
    pub fiscal_year_start_month: Option<u8>,
    /// The currency in which costs are read; `Some(None)` takes it away.
    pub currency: Option<Option<Currency>>,
    /// How many days reported usage is kept.
    pub retention_days: Option<u32>,
    /// Whether reports make the paths that they name.
    pub auto_create_paths: Option<bool>,
    /// Whether the bodies of reported calls are kept.
    pub capture_bodies: Option<bool>,
}

impl SettingsPatch {
    /// The organization as the patch leaves it, at the next revision; the same where nothing
    /// differs.
    #[must_use]
    pub fn applied_to(&self, stored: &Organization) -> Organization {
        let patch = self.clone();
        let changed = Organization {
            name: patch.name.unwrap_or_else(|| stored.name.clone()),
            time_zone: patch.time_zone.unwrap_or_else(|| stored.time_zone.clone()),
            week_start: patch.week_start.unwrap_or(stored.week_start),
            reset_hour: patch.reset_hour.unwrap_or(stored.reset_hour),
            fiscal_year_start_month: patch
                .fiscal_year_start_month
                .unwrap_or(stored.fiscal_year_start_month),
            currency: patch.currency.unwrap_or(stored.currency),
            retention_days: patch.retention_days.unwrap_or(stored.retention_days),
            auto_create_paths: patch.auto_create_paths.unwrap_or(stored.auto_create_paths),
            capture_bodies: patch.capture_bodies.unwrap_or(stored.capture_bodies),
            ..stored.clone()
        };
        match changed == *stored {
            true => changed,
            false => Organization { settings_revision: stored.settings_revision + 1, ..changed },
        }
    }
}

/// Tenants.
#[async_trait::async_trait]
pub trait Organizations {
    /// Makes the first organization and its owner's key, only where the store has no organization
    /// yet. Returns whether it did; of many processes starting at once exactly one does.
    async fn create_first_organization(
        &self,
        organization: &Organization,
        key: &ApiKey,
        audit: &AuditEvent,
    ) -> Result<bool>;

    /// One organization.
    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>>;

    /// Changes an organization's settings and counts their revision up by one; where nothing
    /// differs, nothing is changed or audited. `None` where there is no such organization.
    async fn change_settings(
        &self,
        id: OrganizationId,
        patch: &SettingsPatch,
        audit: &AuditEvent,
    ) -> Result<Option<Organization>>;

    /// All organizations, in id order. (One so far; more can be made once people can sign up.)
    async fn organizations(&self) -> Result<Vec<Organization>>;
}
