//! The worked cases of the prices room, through the door by which applications report.

use prices::Catalogue;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::collections::BTreeMap;

use api::Limits;
use domain::fixed::parse_exact;

use crate::test_app::TestApp;

#[derive(Deserialize)]
struct Case {
    id: String,
    provider: String,
    model: String,
    usage: Box<RawValue>,
    context: BTreeMap<String, String>,
    timestamp: String,
    raw_flavour: Option<String>,
    raw_usage: Option<Box<RawValue>>,
    expected: Option<String>,
    basis: String,
}

impl Case {
    fn event(&self, id: &str, fields: &[(&str, &RawValue)]) -> String {
        let rest = json!({"id": id, "path": "a", "service": self.provider, "model": self.model,
            "context": self.context});
        let mut text = rest.to_string();
        text.pop();
        for (name, value) in fields {
            text.push_str(&format!(",\"{name}\":{}", value.get()));
        }
        text.push('}');
        text
    }

    /// What is wrong with what was booked, if anything.
    fn judge(&self, result: &Value, how: &str) -> Option<String> {
        let is_unpriced = result["unpriced"] == true;
        let is_right = match (&self.expected, self.basis.as_str()) {
            (Some(expected), _) => {
                let expected = parse_exact(expected).unwrap();
                let cost = result["cost"].as_str().and_then(|cost| parse_exact(cost).ok());
                let off = cost.map(|cost| (cost - expected).abs());
                // One of the libraries adds in binary floats.
                !is_unpriced && off.is_some_and(|off| off * 1_000_000 <= expected)
            }
            (None, "unpriced") => is_unpriced && result["cost"].is_null(),
            (None, _) => result["status"] == "accepted",
        };
        let expected = &self.expected;
        (!is_right).then(|| format!("{} from {how}: {result}, not {expected:?}", self.id))
    }
}

#[tokio::test]
async fn every_case_costs_through_track_what_it_should() {
    let text = include_str!("../../../prices/tests/cases.jsonl");
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let catalogue = Catalogue::read_built_in();
    let app = TestApp::start_priced(Limits::default(), false, catalogue).await;
    let (mut wrong, mut count) = (vec![], 0);
    for case in &cases {
        app.clock.set(case.timestamp.parse().unwrap());
        let format = case.raw_flavour.as_ref().map(|format| json!(format).to_string());
        let format = format.map(|format| RawValue::from_string(format).unwrap());
        let mut tries = vec![("usage", vec![("usage", &*case.usage)])];
        if let (Some(format), Some(block)) = (&format, &case.raw_usage) {
            tries.push(("raw_usage", vec![("raw_usage", &**block), ("raw_format", &**format)]));
        }
        for (how, fields) in tries {
            let event = case.event(&format!("{}-{how}", case.id), &fields);
            let body = format!("{{\"events\":[{event}]}}");
            let call = app.post("/v1/track").body("application/json", body.as_bytes());
            let answer = call.send().await.ok(200);
            wrong.extend(case.judge(&answer["results"][0], how));
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((cases.len(), count), (60, 118));
}
