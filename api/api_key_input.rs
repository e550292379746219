//! What people send about API keys, and what of it is right. All that is wrong is said at once.

use domain::{Path, Scope, organization::Environment};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    connection_input::{check_name, noted},
    error::{ApiError, FieldError},
    schemas,
};

const OVERLAP_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A new key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// Name for people, 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// `live` or `test`.
    #[schema(value_type = schemas::EnvironmentName)]
    environment: String,
    /// What it may do, at least one. None implies another.
    #[schema(value_type = Vec<schemas::ScopeName>, min_items = 1)]
    scopes: Vec<String>,
    /// Binds it to this path and those below.
    #[serde(default)]
    path_prefix: Option<String>,
    /// From when on it is refused, after now; never if absent.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A new key in which everything is right.
pub(crate) struct CheckedKey {
    pub(crate) name: String,
    pub(crate) environment: Environment,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) path_prefix: Option<Path>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl CreateApiKey {
    /// Checks every field.
    pub(crate) fn check(self, now: Timestamp) -> Result<CheckedKey, ApiError> {
        let mut errors = vec![];
        let name = noted(check_name(&self.name), &mut errors);
        let environment = noted(check_environment(&self.environment), &mut errors);
        let scopes = check_scopes(&self.scopes, &mut errors);
        let path_prefix = self.path_prefix.and_then(|text| noted(check_path(&text), &mut errors));
        let expires_at =
            self.expires_at.and_then(|text| noted(check_expiry(&text, now), &mut errors));
        match (name, environment) {
            (Some(name), Some(environment)) if errors.is_empty() => Ok(CheckedKey {
                name,
                environment,
                scopes,
                // The root holds every path, which is what no prefix means.
                path_prefix: path_prefix.filter(|path| !path.is_root()),
                expires_at,
            }),
            _ => Err(errors.into()),
        }
    }
}

fn check_environment(text: &str) -> Result<Environment, FieldError> {
    let detail = "`environment` is `live` or `test`";
    Environment::parse(text).ok_or_else(|| FieldError::at("/environment", detail))
}

/// The scopes in their usual order, each once.
fn check_scopes(texts: &[String], errors: &mut Vec<FieldError>) -> Vec<Scope> {
    let known = "`read`, `write`, `track` or `admin`";
    if texts.is_empty() {
        errors.push(FieldError::at("/scopes", format!("`scopes` has at least one of {known}")));
    }
    for (index, text) in texts.iter().enumerate() {
        if Scope::parse(text).is_none() {
            errors.push(FieldError::at(format!("/scopes/{index}"), format!("a scope is {known}")));
        }
    }
    let is_asked = |scope: &Scope| texts.iter().any(|text| text == scope.as_str());
    Scope::ALL.into_iter().filter(is_asked).collect()
}

fn check_path(text: &str) -> Result<Path, FieldError> {
    Path::parse(text).map_err(|error| FieldError::at("/path_prefix", error.to_string()))
}

fn check_expiry(text: &str, now: Timestamp) -> Result<Timestamp, FieldError> {
    let whole = |at: Timestamp| Timestamp::from_microsecond(at.as_microsecond()).ok();
    let at = text.parse::<Timestamp>().ok().and_then(whole).filter(|at| *at > now);
    at.ok_or_else(|| {
        let detail = "`expires_at` is an instant after now, such as `2027-01-31T00:00:00Z`";
        FieldError::at("/expires_at", detail)
    })
}

/// How a key is to be rotated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateApiKey {
    /// How long the old key stays good, as an ISO 8601 duration up to `P7D`; not at all if absent.
    #[serde(default)]
    #[schema(format = Duration)]
    overlap: Option<String>,
}

impl RotateApiKey {
    /// How long the old key stays good.
    pub(crate) fn check(&self) -> Result<SignedDuration, ApiError> {
        let text = self.overlap.as_deref().unwrap_or("PT0S");
        overlap(text).ok_or_else(|| {
            let detail = "`overlap` is an ISO 8601 duration from `PT0S` to `P7D`";
            FieldError::at("/overlap", detail).into()
        })
    }
}

fn overlap(text: &str) -> Option<SignedDuration> {
    // jiff also reads "5 minutes"; the contract has ISO 8601 only.
    let span: Span = text.starts_with('P').then(|| text.parse().ok())??;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (SignedDuration::ZERO..=OVERLAP_MAX).contains(&duration).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_up_to_seven_days() {
        let seconds = |text| overlap(text).map(|duration| duration.as_secs());
        for (text, expected) in
            [("PT0S", 0), ("PT5M", 300), ("P1D", 86_400), ("P7D", 604_800), ("PT168H", 604_800)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["P7DT1S", "P8D", "P1M", "-PT5M", "P-1D", "1 hour", "", "P", "3600"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn scopes_stand_in_their_order_and_once() {
        let mut errors = vec![];
        let texts = ["admin", "read", "admin"].map(str::to_owned);
        assert_eq!(check_scopes(&texts, &mut errors), [Scope::Read, Scope::Admin]);
        assert_eq!(errors, []);
    }
}
