//! What a connector is given with each call: a transport, a connection's settings, the time. And
//! the one way from an HTTP answer to a [`ConnectorError`].

use std::collections::BTreeMap;

use domain::Secret;
use jiff::Timestamp;
use net::{HeaderValue, HttpRequest, HttpResponse};
use url::Url;

use crate::{Connector, ConnectorError, ErrorKind, Transport};

/// Shorter credentials are not looked for in texts: they would match by chance.
const SCRUBBED_BYTES_MIN: usize = 6;

/// A connection's settings. There is no `Debug`: credentials are inside.
#[derive(Clone)]
pub struct Settings {
    /// The descriptor's base URL, or the scheme, host and port that an operator put in its place.
    pub base_url: String,
    /// Credentials by the names of the descriptor's fields.
    pub credentials: BTreeMap<String, Secret>,
    /// The account's id, for providers that do not tell it.
    pub account: Option<String>,
}

impl Settings {
    /// The text without any credential that it may hold, for errors and issues that quote a
    /// provider.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let mut scrubbed = text.to_owned();
        for secret in self.credentials.values() {
            let secret = secret.expose().trim();
            if secret.len() >= SCRUBBED_BYTES_MIN {
                scrubbed = scrubbed.replace(secret, "***");
            }
        }
        scrubbed
    }
}

/// One call's surroundings.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Sends requests, to the hosts of the descriptor only.
    pub transport: &'a dyn Transport,
    /// The connection.
    pub settings: &'a Settings,
    /// The present instant, as the driver's clock tells it.
    pub now: Timestamp,
}

impl Context<'_> {
    /// The URL of an absolute path below the base URL.
    ///
    /// # Errors
    /// Kind `bad_request` where the base URL is none.
    pub fn url(&self, connector: &dyn Connector, path: &str) -> Result<Url, ConnectorError> {
        let base = self.settings.base_url.trim_end_matches('/');
        Url::parse(&format!("{base}{path}")).map_err(|error| {
            let message = "the connection's base URL is not a URL";
            ConnectorError::new(connector.descriptor(), "url", ErrorKind::BadRequest, message)
                .caused_by(error)
        })
    }

    /// A header's value that holds a credential: `scheme` (`"Bearer "`, or empty) and the
    /// credential `field`.
    ///
    /// # Errors
    /// Kind `wrong_key_kind` where the field is missing or has characters that no header may have.
    pub fn secret_header(
        &self,
        connector: &dyn Connector,
        scheme: &str,
        field: &str,
    ) -> Result<HeaderValue, ConnectorError> {
        let refuse = |message: String| {
            ConnectorError::new(connector.descriptor(), "auth", ErrorKind::WrongKeyKind, message)
        };
        let Some(secret) = self.settings.credentials.get(field) else {
            return Err(refuse(format!("the credential `{field}` is missing")));
        };
        let text = format!("{scheme}{}", secret.expose());
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            return Err(refuse(format!("`{field}` has characters that no key has")));
        };
        value.set_sensitive(true);
        Ok(value)
    }

    /// Sends a request; an answer that is not a success is an error, classified by the connector.
    ///
    /// # Errors
    /// [`ConnectorError`], also where there is no answer.
    pub async fn send(
        &self,
        connector: &dyn Connector,
        operation: &'static str,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let descriptor = connector.descriptor();
        let sending = self.transport.send(request);
        let response = sending
            .await
            .map_err(|error| ConnectorError::of_network(descriptor, operation, error))?;
        if response.is_success() {
            return Ok(response);
        }
        let kind = connector.classify(response.status, &response.body);
        let quote = self.settings.scrub(&quote(&response.body));
        Err(ConnectorError::of_response(descriptor, operation, kind, &response, &quote, self.now))
    }
}

/// What a provider says of a failure: the usual places of a message, on one line and short.
fn quote(body: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 300;
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        return String::new();
    };
    let places = ["/error/message", "/message", "/error_description", "/error", "/detail"];
    let text = places.iter().find_map(|place| value.pointer(place)?.as_str());
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.unwrap_or_default().chars().map(plain).take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_one_line_and_without_keys() {
        let settings = Settings {
            base_url: String::new(),
            credentials: BTreeMap::from([("k".to_owned(), Secret::new("secret-1 ".to_owned()))]),
            account: None,
        };
        let said = quote(br#"{"error":{"message":"bad key secret-1,\nsee docs"}}"#);
        assert_eq!(settings.scrub(&said), "bad key ***, see docs");
        assert_eq!(quote(br#"{"error":"nope"}"#), "nope");
        assert_eq!(quote(b"<html>"), "");
        assert_eq!(quote(format!(r#"{{"message":"{}"}}"#, "x".repeat(999)).as_bytes()).len(), 300);
    }
}
