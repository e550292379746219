//! Calls and rejections in the words of fixtures: what is not said is not there.

use serde_json::{Map, Value, json};
use usage::{RejectedReport, ReportedCall};

/// A call in the words of a fixture's expectation.
pub(crate) fn shown(call: &ReportedCall) -> Value {
    let reading = &call.reading;
    assert_eq!(reading.usage.check(), Ok(()));
    let mut usage = Map::new();
    for (unit, quantity) in reading.usage.quantities() {
        usage.insert(unit.to_owned(), quantity.to_string().into());
    }
    for (unit, quantity) in &reading.usage.custom {
        usage.insert(format!("custom:{unit}"), quantity.to_string().into());
    }
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let tier = reading.context.service_tier.map(|tier| tier.as_str().into());
    let cost = reading.stated_cost.map(|cost| cost.amount.to_string().into());
    let flags: Vec<&str> = reading.flags.iter().map(|flag| flag.kind.as_str()).collect();
    let mut shown = json!({
        "identity_source": call.identity_source,
        "identity": call.identity,
        "usage": usage,
    });
    for (name, value) in [
        ("path", text(&call.path)),
        ("service_name", text(&call.service_name)),
        ("service", call.service.as_ref().map(|service| service.as_str().into())),
        ("model", text(&reading.model)),
        ("requested_model", text(&call.requested_model)),
        ("response_id", text(&reading.response_id)),
        ("service_tier", tier),
        ("stated_cost", cost),
        ("flags", (!flags.is_empty()).then(|| flags.into())),
        ("started_at", call.started_at.map(|at| at.to_string().into())),
        ("ended_at", call.ended_at.map(|at| at.to_string().into())),
        ("latency_ms", call.latency_ms.map(Value::from)),
        ("time_to_first_token_ms", call.time_to_first_token_ms.map(Value::from)),
        ("end_user", text(&call.end_user)),
        ("tags", (!call.tags.is_empty()).then(|| json!(call.tags))),
        ("provider_request_id", text(&call.provider_request_id)),
    ] {
        if let Some(value) = value {
            shown[name] = value;
        }
    }
    shown
}

/// A rejection in the words of a fixture's expectation.
pub(crate) fn shown_rejection(rejected: &RejectedReport) -> Value {
    json!({ "index": rejected.index, "identity": rejected.identity, "code": rejected.kind.code() })
}
