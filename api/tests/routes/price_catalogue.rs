//! A small price catalogue with one of each: a model with much input, a batch, a dated change, a
//! disputed figure, a place that costs more, a free model.

use prices::{Catalogue, form::SellerForm};
use serde_json::json;

pub(crate) fn catalogue() -> Catalogue {
    let sold = |from: Option<&str>, until: Option<&str>| {
        json!({
            "source": "list 1", "link": "https://example.com/prices", "read": "2026-11-20",
            "confidence": "agreed", "from": from, "until": until,
        })
    };
    let row = |extra: serde_json::Value| {
        let mut row = sold(None, None);
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        row
    };
    let openai = json!({"seller": "openai", "model": [
        {"id": "gpt-5.4", "names": ["gpt-5.4-2026-03-05"], "price": [
            row(json!({
                "input": "2.5", "cache_read": "0.25", "output": "15", "per_web_search": "0.01",
                "data_residency": {"eu": "1.1"},
                "over": [{"input_tokens_above": 272_000, "input": "5", "cache_read": "0.5",
                    "output": "22.5"}],
            })),
            row(json!({"when": {"processing": "batch"}, "input": "1.25", "cache_read": "0.125",
                "output": "7.5", "over": [{"input_tokens_above": 272_000, "input": "2.5",
                "cache_read": "0.25", "output": "11.25"}]})),
        ]},
        {"id": "gpt-5.4-mini", "price": [
            row(json!({"from": null, "until": "2026-10-01T00:00:00Z", "input": "0.5",
                "output": "2"})),
            row(json!({"from": "2026-10-01T00:00:00Z", "until": "2027-01-01T00:00:00Z",
                "input": "0.4", "output": "1.6", "confidence": "disputed",
                "disputed": [{"rate": "output", "figure": "1.8", "source": "list 2"}]})),
            row(json!({"from": "2027-01-01T00:00:00Z", "input": "0.3", "output": "1.2"})),
        ]},
        {"id": "omni-moderation", "price": [row(json!({"free": true}))]},
    ]});
    let anthropic = json!({"seller": "anthropic", "model": [
        {"id": "claude-sonnet-4-5", "price": [
            row(json!({"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75",
                "cache_write_1h": "6", "output": "15"})),
        ]},
    ]});
    let forms = [openai, anthropic].map(|form| serde_json::from_value::<SellerForm>(form).unwrap());
    Catalogue::from_forms(&forms).unwrap()
}
