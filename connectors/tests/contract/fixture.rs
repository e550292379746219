//! Reading `fixtures/<id>/*.json`, and showing charges in the words of their `expected` part.

use std::{collections::BTreeMap, fs, path::PathBuf};

use connectors::{Settings, find};
use domain::{Charge, Quantity, Secret, Window, fixed};
use jiff::{Timestamp, civil::Date};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// What must never be seen anywhere; part of every credential.
pub(crate) const CANARY: &str = "canary7f3a91c2";

/// One recorded conversation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    /// `<scenario>.<what>`, from the file's name.
    #[serde(skip)]
    pub(crate) name: String,
    /// The connector, from the folder's name.
    #[serde(skip)]
    pub(crate) provider: String,
    /// What it shows; for people.
    #[serde(rename = "about")]
    pub(crate) _about: String,
    /// The feed to pull; without one it is a check.
    pub(crate) feed: Option<String>,
    /// First day, and the day after the last.
    pub(crate) window: Option<(Date, Date)>,
    /// The clock.
    pub(crate) now: Timestamp,
    /// Where the window may be split.
    pub(crate) split_at: Option<Date>,
    /// The account that the connection states.
    pub(crate) account: Option<String>,
    /// Requests, each with its answers.
    pub(crate) exchanges: Vec<Exchange>,
    /// What must come of it.
    pub(crate) expected: Value,
}

/// A request and its answers: the first time the first one, and so on; the last one stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) path: String,
    /// `name=value`, decoded, in any order.
    pub(crate) query: Vec<String>,
    pub(crate) answers: Vec<Answer>,
}

/// One answer. `body` is JSON whose numbers keep their digits, `text` is anything; in both
/// `{{credential}}` becomes the connection's credential.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    text: Option<String>,
}

impl Answer {
    pub(crate) fn body(&self, settings: &Settings) -> Vec<u8> {
        let json = self.body.as_ref().map(|body| body.get());
        let text = json.or(self.text.as_deref()).unwrap_or_default();
        let secret = settings.credentials.values().next().map_or("", Secret::expose);
        text.replace("{{credential}}", secret).into_bytes()
    }
}

impl Fixture {
    /// `happy` of `happy.costs_lines`.
    pub(crate) fn scenario(&self) -> &str {
        self.name.split('.').next().unwrap()
    }

    pub(crate) fn window(&self) -> Window {
        let (first, end) = self.window.expect("a fixture with a feed has a window");
        window(first, end)
    }

    /// A connection with credentials of the right kind, each holding the canary.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = settings_of(&self.provider);
        settings.account.clone_from(&self.account);
        settings
    }

    pub(crate) fn expects_error(&self) -> Option<&Value> {
        self.expected.get("error")
    }
}

pub(crate) fn settings_of(provider: &str) -> Settings {
    let descriptor = find(provider).unwrap().descriptor();
    let credential = |field: &domain::AuthField| {
        (field.name.to_owned(), Secret::new(format!("{}{CANARY}-{}", field.prefix, field.name)))
    };
    Settings {
        base_url: descriptor.base_url.to_owned(),
        credentials: descriptor.auth_fields.iter().map(credential).collect(),
        account: None,
    }
}

pub(crate) fn window(first: Date, end: Date) -> Window {
    let at = |date: Date| Window::of_day(date).start;
    Window::new(at(first), at(end)).unwrap()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The names of the fixture folders.
pub(crate) fn providers() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All fixtures of a provider, by name.
pub(crate) fn fixtures(provider: &str) -> Vec<Fixture> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder().join(provider)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut fixture: Fixture = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fixture.name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        provider.clone_into(&mut fixture.provider);
        found.push(fixture);
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

/// A charge as a fixture shows it: what is said, and nothing else.
pub(crate) fn shown(charge: &Charge<'_>) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, text: Option<String>| {
        map.extend(text.map(|text| (name.to_owned(), Value::String(text))));
    };
    let day = charge.day();
    let is_whole_day = Window::of_day(day).start == charge.period_start
        && Window::of_day(day).end == charge.period_end;
    if is_whole_day {
        put("day", Some(day.to_string()));
    } else {
        put("period_start", Some(charge.period_start.to_string()));
        put("period_end", Some(charge.period_end.to_string()));
    }
    put("category", Some(charge.category.as_str().to_owned()));
    put("currency", Some(charge.currency.to_string()));
    for (name, text) in [
        ("service", &charge.service),
        ("model", &charge.model),
        ("sub_account", &charge.sub_account),
        ("api_key", &charge.api_key),
        ("sku", &charge.sku),
        ("service_name", &charge.service_name),
        ("description", &charge.description),
        ("consumed_unit", &charge.consumed_unit),
        ("pricing_unit", &charge.pricing_unit),
        ("billed_cost_text", &charge.billed_cost_text),
    ] {
        put(name, text.as_ref().map(|text| text.clone().into_owned()));
    }
    for (name, femtos) in [
        ("billed_cost", charge.billed_cost),
        ("effective_cost", charge.effective_cost),
        ("list_cost", charge.list_cost),
        ("consumed_quantity", charge.consumed_quantity.map(|quantity| quantity.femtos())),
        ("pricing_quantity", charge.pricing_quantity.map(|quantity| quantity.femtos())),
    ] {
        put(name, femtos.map(decimal));
    }
    Value::Object(map)
}

fn decimal(femtos: i128) -> String {
    let mut text = String::new();
    fixed::write_decimal(femtos, &mut text).unwrap();
    text
}

/// Whether a charge says that something was consumed, priced or billed.
pub(crate) fn says_something(charge: &Charge<'_>) -> bool {
    let costs = [charge.billed_cost, charge.effective_cost, charge.list_cost];
    let quantities = [charge.consumed_quantity, charge.pricing_quantity];
    costs.into_iter().flatten().any(|cost| cost != 0)
        || quantities.into_iter().flatten().any(|quantity| quantity != Quantity::ZERO)
}
