//! What people send about connections, and what of it is right.
//!
//! All that is wrong with a request is said at once. Credentials pass through here once, on their
//! way to being sealed: they are in no message and have no `Debug`.

use std::collections::BTreeMap;

use domain::{ConnectorDescriptor, ProviderId, Secret};
use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use store::connections::ConnectionPatch;
use url::Url;
use utoipa::ToSchema;

use crate::{
    error::{ApiError, FieldError},
    extract::{json, pointer_of},
    state::AppState,
};

/// Where a new connection has its credentials.
const CREDENTIALS_POINTER: &str = "/credentials";
const NAME_CHARS_MAX: usize = 200;
const CREDENTIAL_BYTES_MAX: usize = 64 << 10;
const BACKFILL_DAYS_DEFAULT: u32 = 90;
const INTERVAL_MINUTES_DEFAULT: u32 = 60;
const INTERVAL_MINUTES_MIN: i64 = 5;
const INTERVAL_MINUTES_MAX: i64 = 24 * 60;

/// A new connection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConnection {
    /// Id of a provider in `GET /v1/providers`.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    provider: String,
    /// Name for people, 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Exactly the provider's credential fields. They are sealed and never answered.
    #[schema(value_type = BTreeMap<String, String>)]
    credentials: Credentials,
    /// How many days the first sync reads: 1 to the provider's `history_days`; 90 if absent.
    #[serde(default)]
    #[schema(minimum = 1)]
    backfill_days: Option<u32>,
    /// Time between two syncs as an ISO 8601 duration, `PT5M` to `P1D`; `PT1H` if absent.
    #[serde(default)]
    #[schema(format = Duration)]
    schedule: Option<String>,
    /// Replaces scheme, host and port of the provider's API.
    #[serde(default)]
    #[schema(pattern = "^https?://[^/?#@ ]+/?$")]
    base_url: Option<String>,
    /// Needs paths, which are not built yet; refused with words that say so.
    #[serde(default)]
    #[schema(ignore)]
    default_path: Option<String>,
}

/// Credentials by field name.
pub(crate) type Credentials = BTreeMap<String, SecretText>;

/// Text that goes from the body straight into a [`Secret`].
pub(crate) struct SecretText(Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretText, D::Error> {
        // Whitespace around a pasted key is never part of it.
        let text = String::deserialize(deserializer)?;
        Ok(SecretText(Secret::new(text.trim().to_owned())))
    }
}

/// New credentials: all of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialsBody {
    /// Exactly the provider's credential fields.
    #[schema(value_type = BTreeMap<String, String>)]
    credentials: Credentials,
}

impl CredentialsBody {
    /// Reads the documented form, and the credentials alone: the address says what they are. Also
    /// answers the JSON pointer at which they stand.
    pub(crate) fn read(body: &[u8]) -> Result<(Credentials, &'static str), ApiError> {
        let keys = serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(body);
        let is_bare = keys.is_ok_and(|keys| !keys.is_empty() && !keys.contains_key("credentials"));
        match is_bare {
            true => Ok((json(body)?, "")),
            false => Ok((json::<CredentialsBody>(body)?.credentials, CREDENTIALS_POINTER)),
        }
    }
}

/// Changes to a connection; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateConnection {
    /// Name for people, 1 to 200 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Time between two syncs as an ISO 8601 duration, `PT5M` to `P1D`.
    #[serde(default)]
    #[schema(format = Duration)]
    schedule: Option<String>,
    /// `true` stops polling, `false` takes it up again at once.
    #[serde(default)]
    paused: Option<bool>,
}

impl UpdateConnection {
    /// The change for the store.
    pub(crate) fn check(self) -> Result<ConnectionPatch, ApiError> {
        let mut errors = vec![];
        let name = self.name.and_then(|name| noted(check_name(&name), &mut errors));
        let schedule = self.schedule.as_deref();
        let interval_minutes = schedule.and_then(|text| noted(check_schedule(text), &mut errors));
        match errors.is_empty() {
            true => Ok(ConnectionPatch { name, interval_minutes, paused: self.paused }),
            false => Err(errors.into()),
        }
    }
}

/// A new connection in which everything is right.
pub(crate) struct CheckedConnection {
    pub(crate) provider: ProviderId,
    pub(crate) name: String,
    pub(crate) credentials: BTreeMap<&'static str, Secret>,
    pub(crate) backfill_days: u32,
    pub(crate) interval_minutes: u32,
    pub(crate) base_url: Option<String>,
}

impl CreateConnection {
    /// Checks every field against the provider's descriptor.
    pub(crate) fn check(self, state: &AppState) -> Result<CheckedConnection, ApiError> {
        let mut errors = vec![];
        let connector = state.catalogue.connector(&self.provider.to_ascii_lowercase());
        if connector.is_none() {
            errors.push(unknown_provider(state));
        }
        let name = noted(check_name(&self.name), &mut errors);
        let schedule = self.schedule.as_deref();
        let interval_minutes = schedule.map_or(Some(INTERVAL_MINUTES_DEFAULT), |text| {
            noted(check_schedule(text), &mut errors)
        });
        let base_url = self
            .base_url
            .as_deref()
            .and_then(|text| noted(check_base_url(text, state.allow_private_urls), &mut errors));
        if self.default_path.is_some() {
            let detail = "paths are not built yet; leave `default_path` out";
            errors.push(FieldError::at("/default_path", detail));
        }
        let mut credentials = BTreeMap::new();
        let mut backfill_days = None;
        if let Some(connector) = connector {
            credentials =
                check_credentials(connector, self.credentials, CREDENTIALS_POINTER, &mut errors);
            let check = check_backfill(self.backfill_days, connector);
            backfill_days = noted(check, &mut errors);
        }
        let provider = connector.and_then(|connector| ProviderId::parse(connector.id).ok());
        match (provider, name, backfill_days, interval_minutes) {
            (Some(provider), Some(name), Some(backfill_days), Some(interval_minutes))
                if errors.is_empty() =>
            {
                Ok(CheckedConnection {
                    provider,
                    name,
                    credentials,
                    backfill_days,
                    interval_minutes,
                    base_url,
                })
            }
            _ => Err(errors.into()),
        }
    }
}

/// The value, or `None` where it is wrong, which is then noted.
pub(crate) fn noted<T>(checked: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    checked.map_err(|error| errors.push(error)).ok()
}

fn unknown_provider(state: &AppState) -> FieldError {
    let known: Vec<_> = state.catalogue.connectors.iter().map(|known| known.id).collect();
    let detail = format!("no such provider; there are: {}", known.join(", "));
    FieldError::at("/provider", detail)
}

/// A name for people, trimmed.
pub(crate) fn check_name(name: &str) -> Result<String, FieldError> {
    let name = name.trim();
    let length = name.chars().count();
    match (1..=NAME_CHARS_MAX).contains(&length) && !name.contains(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err(FieldError::at("/name", "`name` has 1 to 200 characters, none of control")),
    }
}

fn check_backfill(days: Option<u32>, connector: &ConnectorDescriptor) -> Result<u32, FieldError> {
    let most = connector.history_days;
    let days = days.unwrap_or_else(|| BACKFILL_DAYS_DEFAULT.min(most));
    match (1..=most).contains(&days) {
        true => Ok(days),
        false => {
            let title = connector.title;
            let detail = format!("`backfill_days` is 1 to {most}: {title} answers no further back");
            Err(FieldError::at("/backfill_days", detail))
        }
    }
}

/// Minutes of an ISO 8601 duration.
fn check_schedule(text: &str) -> Result<u32, FieldError> {
    let minutes = || {
        // jiff also reads "5 minutes"; the contract has ISO 8601 only.
        let span: Span = text.starts_with('P').then(|| text.parse().ok())??;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        let is_whole = duration.as_secs() % 60 == 0 && duration.subsec_nanos() == 0;
        let minutes = duration.as_secs() / 60;
        let fits = (INTERVAL_MINUTES_MIN..=INTERVAL_MINUTES_MAX).contains(&minutes);
        if is_whole && fits { u32::try_from(minutes).ok() } else { None }
    };
    minutes().ok_or_else(|| {
        let detail = "`schedule` is an ISO 8601 duration of whole minutes from `PT5M` to `P1D`";
        FieldError::at("/schedule", detail)
    })
}

/// The origin of a URL that has nothing else.
fn check_base_url(text: &str, allow_http: bool) -> Result<String, FieldError> {
    let refused = |detail: &str| FieldError::at("/base_url", detail.to_owned());
    let shape = "`base_url` is scheme, host and port only, such as `https://gateway.example.com`";
    let url = Url::parse(text).map_err(|_| refused(shape))?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    let is_origin = url.host().is_some()
        && !has_user
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    match url.scheme() {
        "http" | "https" if !is_origin => Err(refused(shape)),
        "https" => Ok(url.origin().ascii_serialization()),
        "http" if allow_http => Ok(url.origin().ascii_serialization()),
        "http" => Err(refused("`base_url` must be `https`: the credentials travel over it")),
        _ => Err(refused(shape)),
    }
}

/// Exactly the connector's fields, each of the right kind, by name. `pointer` is where they stand
/// in the body.
pub(crate) fn check_credentials(
    connector: &ConnectorDescriptor,
    mut given: Credentials,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'static str, Secret> {
    let mut checked = BTreeMap::new();
    for field in connector.auth_fields {
        let pointer = format!("{pointer}/{}", field.name);
        let (title, help, prefix) = (field.title, field.help, field.prefix);
        let Some(SecretText(secret)) = given.remove(field.name) else {
            errors.push(FieldError::at(pointer, format!("{title} is needed: {help}")));
            continue;
        };
        let text = secret.expose();
        if text.is_empty() || text.len() > CREDENTIAL_BYTES_MAX {
            let detail = format!("{title} is empty or too long: {help}");
            errors.push(FieldError::at(pointer, detail));
        } else if !text.starts_with(prefix) {
            let detail =
                format!("this is another kind of key: {title} starts with `{prefix}`. {help}");
            errors.push(FieldError::at(pointer, detail));
        } else {
            checked.insert(field.name, secret);
        }
    }
    let known: Vec<_> = connector.auth_fields.iter().map(|field| field.name).collect();
    for name in given.keys() {
        let pointer = format!("{pointer}{}", pointer_of(name));
        let detail =
            format!("{} has no such credential; it has: {}", connector.title, known.join(", "));
        errors.push(FieldError::at(pointer, detail).unknown());
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_whole_minutes_from_five_to_a_day() {
        for (text, minutes) in
            [("PT5M", 5), ("PT1H", 60), ("PT90M", 90), ("P1D", 1440), ("PT24H", 1440)]
        {
            assert_eq!(check_schedule(text).ok(), Some(minutes), "{text}");
        }
        for text in
            ["PT4M", "PT299S", "PT301S", "P1DT1M", "P1M", "1 hour", "-PT5M", "P", "", "PT1.5H "]
        {
            assert!(check_schedule(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_base_url_is_an_origin() {
        for (text, origin) in [
            ("https://gateway.example.com", "https://gateway.example.com"),
            ("https://Gateway.Example.com:443/", "https://gateway.example.com"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(check_base_url(text, false).ok().as_deref(), Some(origin), "{text}");
        }
        for text in [
            "http://localhost:9000",
            "https://user@example.com",
            "https://:secret@example.com",
            "https://example.com/v1",
            "https://example.com?x=1",
            "https://example.com/#x",
            "ftp://example.com",
            "file:///etc/passwd",
            "example.com",
            "",
        ] {
            assert!(check_base_url(text, false).is_err(), "{text}");
        }
        assert!(check_base_url("http://127.0.0.1:9000", true).is_ok());
    }

    #[test]
    fn names_have_up_to_200_characters() {
        assert_eq!(check_name(" Große Käse ").ok().as_deref(), Some("Große Käse"));
        assert!(check_name(&"ä".repeat(200)).is_ok());
        for name in ["", "  ", "a\nb", &"a".repeat(201)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
