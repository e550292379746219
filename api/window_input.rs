//! A policy's window as people send it.

use domain::policy::{CalendarUnit, WindowRule};
use engine::Micros;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    error::FieldError,
    iso_duration::{read_cycle, read_length},
    schemas,
};

const MINUTE: Micros = 60_000_000;
const LENGTH_MAX: Micros = 366 * 24 * 60 * MINUTE;

/// A window. Each kind has fields of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowBody {
    /// `calendar` needs `unit`, `anchored` needs `every` and `anchor`, `session` and `sliding` need
    /// `duration`, `total` needs nothing.
    #[schema(value_type = schemas::WindowKind)]
    kind: String,
    /// Which period of the calendar.
    #[serde(default)]
    #[schema(value_type = Option<schemas::CalendarUnit>)]
    unit: Option<String>,
    /// How long a billing cycle is: months, weeks or days, such as `P1M`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Duration>)]
    every: Option<String>,
    /// The first boundary of the cycles: an instant, or a date in UTC.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Moment>)]
    anchor: Option<String>,
    /// How long it lasts: from a minute to 366 days, such as `PT5H` or `P7D`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Duration>)]
    duration: Option<String>,
}

impl WindowBody {
    /// The rule.
    pub(crate) fn check(&self) -> Result<WindowRule, FieldError> {
        let needed: &[&str] = match self.kind.as_str() {
            "calendar" => &["unit"],
            "anchored" => &["every", "anchor"],
            "session" | "sliding" => &["duration"],
            "total" => &[],
            _ => {
                let detail = "`kind` is `calendar`, `anchored`, `session`, `sliding` or `total`";
                return Err(FieldError::at("/window/kind", detail));
            }
        };
        let said = [
            ("unit", &self.unit),
            ("every", &self.every),
            ("anchor", &self.anchor),
            ("duration", &self.duration),
        ];
        for (name, value) in said {
            let place = format!("/window/{name}");
            match (needed.contains(&name), value) {
                (true, None) => {
                    let detail = format!("a window of the kind `{}` needs this", self.kind);
                    return Err(FieldError::at(place, detail));
                }
                (false, Some(_)) => {
                    let detail = format!("a window of the kind `{}` has none", self.kind);
                    return Err(FieldError::at(place, detail));
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        match self.kind.as_str() {
            "calendar" => self.calendar(),
            "anchored" => self.anchored(),
            "session" => Ok(WindowRule::Session { micros: self.length()? }),
            "sliding" => Ok(WindowRule::Sliding { micros: self.length()? }),
            _ => Ok(WindowRule::Total),
        }
    }

    fn calendar(&self) -> Result<WindowRule, FieldError> {
        const ALL: [CalendarUnit; 7] = [
            CalendarUnit::Minute,
            CalendarUnit::Hour,
            CalendarUnit::Day,
            CalendarUnit::Week,
            CalendarUnit::Month,
            CalendarUnit::Quarter,
            CalendarUnit::Year,
        ];
        let unit = self.unit.as_deref().unwrap_or_default();
        let unit = ALL.into_iter().find(|known| known.as_str() == unit);
        unit.map(WindowRule::Calendar).ok_or_else(|| {
            let detail = "`unit` is `minute`, `hour`, `day`, `week`, `month`, `quarter` or `year`";
            FieldError::at("/window/unit", detail)
        })
    }

    fn anchored(&self) -> Result<WindowRule, FieldError> {
        let cycle = read_cycle(self.every.as_deref().unwrap_or_default()).ok_or_else(|| {
            let detail = "`every` is a duration of months, weeks or days, such as `P1M` or `P14D`";
            FieldError::at("/window/every", detail)
        })?;
        let anchor = prices::instant(self.anchor.as_deref().unwrap_or_default());
        let anchor = anchor.ok_or_else(|| {
            let detail = "`anchor` is an instant (`2026-01-31T12:00:00Z`) or a date in UTC";
            FieldError::at("/window/anchor", detail)
        })?;
        let (months, days) = cycle;
        Ok(WindowRule::Anchored { months, days, anchor_at: anchor.as_microsecond() })
    }

    fn length(&self) -> Result<Micros, FieldError> {
        let length = read_length(self.duration.as_deref().unwrap_or_default());
        length.filter(|micros| (MINUTE..=LENGTH_MAX).contains(micros)).ok_or_else(|| {
            let detail = "`duration` is from a minute to 366 days, without months: `PT5H` or `P7D`";
            FieldError::at("/window/duration", detail)
        })
    }
}
