//! Events as `POST /v1/track` makes them, with random ids and amounts, the same ones each time.

use std::collections::BTreeMap;

use engine::Command;
use engine::command::{Event, Measures, Once, Request};
use engine::policy::{Mode, PolicyRecord, Unit, Window};
use shards::detail::{CallSite, EventDetail, UnitName};
use shards::facts::event_identity;
use shards::{Actor, Group, Lane};
use uuid::Uuid;

/// 20 November 2026, 10:00 UTC.
pub(crate) const BEGIN: i64 = 1_795_168_800_000_000;

const LEVELS: [&str; 4] = ["acme", "acme/team-0", "acme/team-0/app-0", "acme/team-0/app-0/leaf"];
/// Name, and femtodollars for an input and an output token.
const MODELS: [(&str, &str, i128, i128); 5] = [
    ("openai", "gpt-5.4", 2_500_000_000, 15_000_000_000),
    ("openai", "gpt-5.4-mini", 400_000_000, 1_600_000_000),
    ("anthropic", "claude-sonnet-4-5", 3_000_000_000, 15_000_000_000),
    ("anthropic", "claude-haiku-4-5", 1_000_000_000, 5_000_000_000),
    ("google", "gemini-3-flash", 300_000_000, 2_500_000_000),
];

/// Makes events, one batch after the other.
pub(crate) struct Events {
    dice: u64,
    batch: i64,
    with_metadata: bool,
}

impl Events {
    pub(crate) fn new(seed: u64, with_metadata: bool) -> Events {
        Events { dice: seed | 1, batch: 0, with_metadata }
    }

    /// When the next batch arrives: ten come in a second.
    pub(crate) fn arrives_at(&self) -> i64 {
        BEGIN + self.batch * 100_000
    }

    /// A batch, as the API hands it over.
    pub(crate) fn group(&mut self, count: usize) -> Group {
        let arrived_at = self.arrives_at();
        self.batch += 1;
        let request_id = format!("req_{}", Uuid::from_u128(self.id()).simple());
        let key = "key_01kaj5m7vyf8s9n2q4x6z8b0c1".to_owned();
        let actor = Actor::key(key, Some("10.1.2.3".to_owned()), Some(request_id)).encode();
        let request = |events: &mut Events| events.request(arrived_at, actor.clone());
        Group {
            requests: (0..count).map(|_| request(self)).collect(),
            id_days: vec![None; count],
            lane: Lane::Bulk,
            patience: std::time::Duration::from_secs(60),
            with_blocked: true,
        }
    }

    fn request(&mut self, arrived_at: i64, actor: Vec<u8>) -> Request {
        let id = Uuid::from_u128(self.id()).to_string();
        let identity = event_identity(&id).0;
        let body = u32::try_from(self.below(1 << 32)).unwrap_or(0).to_le_bytes();
        let (service, model, input_price, output_price) = MODELS[self.place(MODELS.len())];
        let (input, output) = (200 + self.below(8_000), 1 + self.below(1_200));
        let cached = self.below(input);
        let cost = i128::from(input) * input_price + i128::from(output) * output_price;
        let quantities = [(0, input), (1, cached), (8, output)]
            .map(|(unit, many)| (UnitName::Known(unit), i128::from(many) * 1_000_000));
        let mut detail = EventDetail {
            id,
            key: Some(0x019a_a45a_1f7b_7e87_b934_5e23_7d1f_4402),
            quantities: quantities.to_vec(),
            price_row: Some(format!("{service}/{model}/standard")),
            catalogue: Some("2026-11-20.1".to_owned()),
            latency_ms: u32::try_from(150 + self.below(9_000)).ok(),
            ..EventDetail::default()
        };
        if self.with_metadata {
            self.add_metadata(&mut detail);
        }
        let path = format!("acme/team-{}/app-{}/leaf", self.below(8), self.below(6));
        // Whole milliseconds, as clients say them.
        let at = arrived_at - i64::try_from(self.below(30_000)).unwrap_or(0) * 1_000;
        let tokens = i64::try_from(input + output).unwrap_or(0);
        let measures = Measures { cost, requests: 1, tokens, ..Measures::default() };
        let (service, model, detail) = (service.to_owned(), model.to_owned(), detail.encode());
        let event = Event { service, model, measures, detail, ..Event::empty(at, &path) };
        Request {
            once: Some(Once { identity, body, seen: None }),
            actor,
            command: Command::Track(event),
        }
    }

    fn add_metadata(&mut self, detail: &mut EventDetail) {
        let feature = ["search", "summary", "rewrite", "chat"][self.place(4)].to_owned();
        let customer = format!("customer-{}", self.below(400));
        let tags = [("feature", feature), ("customer", customer), ("release", "2026.47".into())];
        detail.tags = BTreeMap::from(tags.map(|(name, tag)| (name.to_owned(), tag)));
        let number = self.below(20);
        detail.call_site = Some(CallSite {
            file: format!("app/services/assistant_{number}.py"),
            function: format!("answer_question_{number}"),
            line: u32::try_from(100 + number).ok(),
        });
    }

    fn id(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(u64::try_from(count).unwrap_or(1))).unwrap_or(0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// <https://prng.di.unimi.it/splitmix64.c>
    fn next(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.dice;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}

/// A cap on each of four levels, above and at one of the leaves.
pub(crate) fn caps() -> Group {
    let made = (1_u128..).zip(LEVELS).map(|(id, path)| {
        let policy = PolicyRecord {
            id,
            path: path.to_owned(),
            service: String::new(),
            model: String::new(),
            unit: Unit::Usd,
            limit: i128::from(i64::MAX) * 1_000_000_000_000,
            window: Window::Calendar(2),
            mode: Mode::Strict,
            allow_on_unavailable: false,
            alerts: vec![],
            created_at: BEGIN,
        };
        Request { once: None, actor: vec![], command: Command::CreatePolicy(policy) }
    });
    Group {
        requests: made.collect(),
        id_days: vec![],
        lane: Lane::Interactive,
        patience: std::time::Duration::from_secs(60),
        with_blocked: false,
    }
}
