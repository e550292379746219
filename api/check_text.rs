//! The answer of a check as text. It is asked before every call, so its JSON is written straight
//! from what the policies say: a tenth of the work of building plain data and serializing that. A
//! test holds the text against the plain data's, byte for byte.

use domain::PolicyId;
use engine::Micros;
use shards::PolicyStanding;
use uuid::Uuid;

use crate::{
    amount::{Amount, unit_name},
    check::Verdict,
    dto_policy::{mode_name, remaining},
    instants::text_of,
};

/// What one policy takes, roughly.
const POLICY_BYTES: usize = 320;

/// The text of a verdict.
pub(crate) fn check_text(verdict: &Verdict<'_>) -> Vec<u8> {
    let mut text = Text {
        bytes: Vec::with_capacity(POLICY_BYTES.saturating_mul(verdict.policies.len() + 1)),
        instant: (None, None),
    };
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
        text.policy(policy);
    }
    text.raw(",\"policies\":[");
    for (index, policy) in verdict.policies.iter().enumerate() {
        text.raw(if index == 0 { "" } else { "," });
        text.policy(policy);
    }
    text.raw("]}");
    text.bytes
}

struct Text {
    bytes: Vec<u8>,
    /// The last instant that was written, and its text: policies mostly share one.
    instant: (Option<Micros>, Option<String>),
}

impl Text {
    /// What needs no escape.
    fn raw(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.bytes.push(b'"');
            self.raw(text);
            self.bytes.push(b'"');
        } else {
            serde_json::to_writer(&mut self.bytes, text).expect("memory takes what is written");
        }
    }

    fn amount(&mut self, amount: Amount) {
        if amount.is_text() {
            self.bytes.push(b'"');
            self.bytes.extend_from_slice(amount.text().bytes());
            self.bytes.push(b'"');
        } else {
            self.bytes.extend_from_slice(amount.text().bytes());
        }
    }

    fn policy(&mut self, standing: &PolicyStanding) {
        let record = &*standing.record;
        self.raw("{\"policy_id\":\"");
        self.bytes
            .extend_from_slice(PolicyId::from_uuid(Uuid::from_u128(record.id)).text().bytes());
        self.raw("\",\"path\":");
        self.string(&record.path);
        self.raw(",\"scope\":{");
        if !record.service.is_empty() {
            self.raw("\"service\":");
            self.string(&record.service);
        }
        if !record.model.is_empty() {
            self.raw(if record.service.is_empty() { "\"model\":" } else { ",\"model\":" });
            self.string(&record.model);
        }
        self.raw("},\"mode\":\"");
        self.raw(mode_name(record.mode));
        self.raw("\",\"unit\":\"");
        self.raw(unit_name(record.unit));
        for (name, value) in [
            ("\",\"limit\":", record.limit),
            (",\"used\":", standing.used),
            (",\"held\":", standing.held),
            (",\"remaining\":", remaining(standing)),
        ] {
            self.raw(name);
            self.amount(Amount { unit: record.unit, value });
        }
        self.raw(",\"resets_at\":");
        self.instant(standing.resets_at);
        self.raw("}");
    }

    fn instant(&mut self, at: Option<Micros>) {
        if self.instant.0 != at {
            self.instant = (at, at.and_then(text_of));
        }
        let Some(text) = self.instant.1.take() else { return self.raw("null") };
        self.bytes.push(b'"');
        self.raw(&text);
        self.bytes.push(b'"');
        self.instant.1 = Some(text);
    }
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
            let text = String::from_utf8(check_text(&verdict)).unwrap();
            let plain = serde_json::to_string(&CheckView::from(&verdict)).unwrap();
            assert_eq!(text, plain);
        }
    }
}
