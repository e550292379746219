//! The answer of a check as text: it is asked before every call.

use domain::PolicyId;
use shards::PolicyStanding;
use uuid::Uuid;

use crate::{
    amount::{Amount, unit_name},
    answer_text::Text,
    check::Verdict,
    dto_policy::{mode_name, remaining},
};

/// What one policy takes, roughly.
const POLICY_BYTES: usize = 320;

/// The text of a verdict.
pub(crate) fn check_text(verdict: &Verdict<'_>) -> Text {
    let room = POLICY_BYTES.saturating_mul(verdict.policies.len().saturating_add(1));
    let mut text = Text::with_room(room);
    text.raw(if verdict.reason.is_none() { "{\"allowed\":true" } else { "{\"allowed\":false" });
    text.raw(",\"mode\":\"");
    text.raw(verdict.mode);
    text.raw("\",\"reservation_required\":");
    text.raw(if verdict.reservation_required { "true" } else { "false" });
    if verdict.unpriced {
        text.raw(",\"unpriced\":true");
    }
    if let Some(stale_ms) = verdict.stale_ms {
        text.raw(",\"stale_ms\":");
        text.raw(&stale_ms.to_string());
    }
    if let Some(reason) = verdict.reason {
        text.raw(",\"reason\":\"");
        text.raw(reason.as_str());
        text.raw("\"");
    }
    if let Some(policy) = verdict.policy {
        text.raw(",\"policy\":");
        write_policy(&mut text, policy);
    }
    text.raw(",\"policies\":[");
    for (index, policy) in verdict.policies.iter().enumerate() {
        text.raw(if index == 0 { "" } else { "," });
        write_policy(&mut text, policy);
    }
    text.raw("]}");
    text
}

fn write_policy(text: &mut Text, standing: &PolicyStanding) {
    let record = &*standing.record;
    text.raw("{\"policy_id\":\"");
    text.bytes.extend_from_slice(PolicyId::from_uuid(Uuid::from_u128(record.id)).text().bytes());
    text.raw("\",\"path\":");
    text.string(&record.path);
    text.raw(",\"scope\":{");
    if !record.service.is_empty() {
        text.raw("\"service\":");
        text.string(&record.service);
    }
    if !record.model.is_empty() {
        text.raw(if record.service.is_empty() { "\"model\":" } else { ",\"model\":" });
        text.string(&record.model);
    }
    text.raw("},\"mode\":\"");
    text.raw(mode_name(record.mode));
    text.raw("\",\"unit\":\"");
    text.raw(unit_name(record.unit));
    for (name, value) in [
        ("\",\"limit\":", record.limit),
        (",\"used\":", standing.used),
        (",\"held\":", standing.held),
        (",\"remaining\":", remaining(standing)),
    ] {
        text.raw(name);
        text.amount(Amount { unit: record.unit, value });
    }
    text.raw(",\"resets_at\":");
    text.instant(standing.resets_at);
    text.raw("}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{
        Health,
        policy::{Mode, PolicyRecord, Unit, Window},
    };

    use super::*;
    use crate::{dto_check::CheckView, error::Code};

    fn standing(number: u64) -> PolicyStanding {
        let of = |texts: [&'static str; 3]| texts[usize::try_from(number % 3).unwrap()].to_owned();
        let amount = i128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let units = [Unit::Usd, Unit::Credits, Unit::Requests, Unit::Tokens];
        PolicyStanding {
            record: Arc::new(PolicyRecord {
                id: u128::from(number).wrapping_mul(0x0001_9E37_79B9_7F4A_7C15_F39C_C060_5CED),
                path: of(["", "acme/sücht", "a\"b\\c\u{1}d"]),
                service: of(["openai", "", ""]),
                model: of(["", "gpt-4o", ""]),
                unit: units[usize::try_from(number % 4).unwrap()],
                limit: amount,
                window: Window::Total,
                mode: [Mode::Open, Mode::Block, Mode::Strict]
                    [usize::try_from(number / 2 % 3).unwrap()],
                allow_on_unavailable: false,
                alerts: vec![],
                created_at: 0,
            }),
            is_opening: false,
            used: amount / 3,
            held: i128::from(number % 7),
            window_start: None,
            resets_at: (!number.is_multiple_of(5))
                .then(|| i64::try_from(number / 2).unwrap() * 1_234_567_891_011),
            is_exhausted: false,
            health: Health::None,
        }
    }

    #[test]
    fn the_text_is_what_the_plain_data_serializes_to() {
        for number in 0..400 {
            let policies: Vec<_> = (0..number % 6).map(|more| standing(number + more)).collect();
            let verdict = Verdict {
                mode: mode_name(Mode::Block),
                reservation_required: number.is_multiple_of(2),
                unpriced: number.is_multiple_of(3),
                stale_ms: number.is_multiple_of(4).then_some(number),
                reason: (number % 5 < 2).then_some(Code::QuotaExceeded),
                policy: policies.last().filter(|_| number.is_multiple_of(5)),
                policies: &policies,
            };
            let text = String::from_utf8(check_text(&verdict).bytes).unwrap();
            let plain = serde_json::to_string(&CheckView::from(&verdict)).unwrap();
            assert_eq!(text, plain);
        }
    }
}
