//! What people say about the rate of a call besides its counts. Every word must be known: a price
//! is never given as if a word had not been said.

use domain::{Place, Processing, RateContext, ServiceTier, Speed, UnknownContext};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::FieldError;

/// What changes the rate of a call besides its counts.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContextBody {
    /// `standard` or `batch`.
    processing: Option<String>,
    /// `standard`, `auto`, `flex`, `priority`, `fast`, `ultrafast`, `balanced`, `scale`,
    /// `reserved`, `provisioned` or `provisioned_throughput`.
    service_tier: Option<String>,
    /// `standard` or `fast`.
    speed: Option<String>,
    /// Where data stay: `eu`, `us`; `global` is everywhere.
    data_residency: Option<String>,
    /// The location of a Vertex endpoint: `global`, `us-east5`.
    vertex_location: Option<String>,
}

impl ContextBody {
    /// What is said, each word known.
    pub(crate) fn check(&self) -> Result<RateContext, Vec<FieldError>> {
        let mut errors = vec![];
        let tiers = "`standard`, `auto`, `flex`, `priority`, `fast`, `ultrafast`, `balanced` or \
                     `provisioned_throughput`";
        let place = "1 to 64 letters, digits, `-` and `_`";
        let context = RateContext {
            processing: word(
                &self.processing,
                Processing::parse,
                "`standard` or `batch`",
                &mut errors,
            ),
            service_tier: word(&self.service_tier, ServiceTier::parse, tiers, &mut errors),
            speed: word(&self.speed, Speed::parse, "`standard` or `fast`", &mut errors),
            data_residency: word(
                &self.data_residency,
                |word| Place::parse("data_residency", word),
                place,
                &mut errors,
            ),
            vertex_location: word(
                &self.vertex_location,
                |word| Place::parse("vertex_location", word),
                place,
                &mut errors,
            ),
            unknown: vec![],
        };
        if errors.is_empty() { Ok(context) } else { Err(errors) }
    }
}

fn word<T>(
    said: &Option<String>,
    parse: impl FnOnce(&str) -> Result<T, UnknownContext>,
    known: &str,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    let refused = |unknown: UnknownContext| {
        let field = unknown.field;
        FieldError::at(format!("/context/{field}"), format!("`{field}` is {known}"))
    };
    parse(said.as_deref()?).map_err(|unknown| errors.push(refused(unknown))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_context_is_known() {
        let check = |json: &str| {
            let body: ContextBody = serde_json::from_str(json).unwrap();
            body.check().map_err(|errors| serde_json::to_string(&errors).unwrap())
        };
        let context = check(
            r#"{"processing": "Batch", "service_tier": "FLEX", "speed": "fast",
                "data_residency": "EU", "vertex_location": "us-east5"}"#,
        )
        .unwrap();
        assert_eq!(context.processing, Some(Processing::Batch));
        assert_eq!(context.service_tier, Some(ServiceTier::Flex));
        assert_eq!(context.speed, Some(Speed::Fast));
        assert_eq!(context.data_residency.unwrap().as_str(), "eu");
        assert_eq!(context.vertex_location.unwrap().as_str(), "us-east5");
        let told = check(r#"{"processing": "later", "service_tier": "gold", "speed": ""}"#);
        let told = told.unwrap_err();
        for place in ["/context/processing", "/context/service_tier", "/context/speed"] {
            assert!(told.contains(place), "{told}");
        }
    }
}
