//! Reported costs and events: what was booked is what is answered, whole, exact and in order.

use std::collections::BTreeMap;

use domain::organization::Environment;
use engine::{
    Command, Entry, Measures, Request, State, Verdict,
    command::{Correct, Event, Once},
    decide,
};
use serde_json::{Value, json};
use shards::{
    detail::{CallSite, EventDetail, Source, UnitName},
    facts::{event_identity, project},
};
use store::{
    facts::{Checkpoint, Projected},
    journal::Shard,
};

use crate::test_app::TestApp;

/// 2026-11-20T09:00:00Z, an hour before the present of these tests.
const NINE: i64 = 1_795_165_200_000_000;
const MINUTE: i64 = 60_000_000;

/// A journal and its projector.
pub(crate) struct Journal<'a> {
    app: &'a TestApp,
    shard: Shard,
    state: State,
    shadow: State,
}

/// What is reported.
#[derive(Clone)]
pub(crate) struct Reported {
    pub(crate) id: &'static str,
    pub(crate) path: &'static str,
    pub(crate) service: &'static str,
    pub(crate) model: &'static str,
    /// Femtodollars; `None` without a price.
    pub(crate) cost: Option<i128>,
    pub(crate) tag: Option<&'static str>,
    /// After nine.
    pub(crate) minutes: i64,
}

pub(crate) const CALL: Reported = Reported {
    id: "a",
    path: "acme/search",
    service: "openai",
    model: "gpt-5",
    cost: Some(1_500_000_000_000),
    tag: None,
    minutes: 0,
};

impl Reported {
    fn event(&self) -> Event {
        let cost = self.cost.unwrap_or(0);
        let unpriced = self.cost.is_none();
        let site = CallSite { file: "a.py".to_owned(), function: "ask".to_owned(), line: Some(7) };
        let tags: BTreeMap<_, _> =
            self.tag.map(|team| ("team".to_owned(), team.to_owned())).into_iter().collect();
        let detail = EventDetail {
            id: self.id.to_owned(),
            quantities: vec![(UnitName::Known(0), 10_000_000), (UnitName::Known(15), 500_000)],
            call_site: self.tag.map(|_| site),
            end_user: self.tag.map(|_| 7),
            tags,
            ..EventDetail::default()
        };
        Event {
            service: self.service.to_owned(),
            model: self.model.to_owned(),
            measures: Measures { cost, unpriced, credits: 0, requests: 1, tokens: 10 },
            detail: detail.encode(),
            ..Event::empty(NINE + self.minutes * MINUTE, self.path)
        }
    }
}

impl<'a> Journal<'a> {
    pub(crate) fn new(app: &'a TestApp, environment: Environment) -> Journal<'a> {
        let shard = Shard { organization: app.organization, environment };
        Journal { app, shard, state: State::default(), shadow: State::default() }
    }

    /// Books events in one entry, and projects it.
    pub(crate) async fn report(&mut self, reported: &[Reported]) {
        let requests = reported.iter().map(|one| {
            let identity = event_identity(one.id).0;
            (identity, Command::Track(one.event()))
        });
        self.write(requests.collect()).await;
    }

    /// Takes an event back.
    pub(crate) async fn reverse(&mut self, one: &Reported) {
        let mut event = one.event();
        event.measures =
            Measures { cost: -event.measures.cost, requests: -1, tokens: -10, ..event.measures };
        let mut detail = EventDetail::decode(&event.detail).unwrap();
        detail.source = Source::Reversal;
        detail.reason = Some("booked twice".to_owned());
        detail.quantities.iter_mut().for_each(|(_, quantity)| *quantity = -*quantity);
        event.detail = detail.encode();
        let of = event_identity(one.id).0;
        let correct = Command::Correct(Correct { event, of, windows: vec![] });
        self.write(vec![(event_identity("a reversal").0, correct)]).await;
    }

    async fn write(&mut self, commands: Vec<([u8; 16], Command)>) {
        let seq = self.state.seq() + 1;
        self.state.begin(NINE + i64::try_from(seq).unwrap() * 1000);
        let mut decisions = vec![];
        for (identity, command) in commands {
            let once = Some(Once { identity, body: [0; 4], seen: None });
            let request = Request { once, actor: vec![], command };
            let Verdict::Write(decision) = decide(&self.state, &request) else {
                panic!("an event was refused");
            };
            self.state.apply(&decision);
            decisions.push(*decision);
        }
        let entry = Entry { time: self.state.time(), looked_up_seq: 0, decisions };
        self.state.keep(seq, 0);
        let chunk = project(self.shard, &mut self.shadow, &[(seq, entry)]);
        let from = Checkpoint { incarnation: 1, seq: seq - 1 };
        let to = Checkpoint { incarnation: 1, seq };
        let done = self.app.store.project(self.shard, from, to, &chunk.facts).await.unwrap();
        assert_eq!(done, Projected::Done);
    }
}

pub(crate) async fn get(app: &TestApp, path: &str) -> Value {
    app.get(path).send().await.ok(200)
}

fn ids(page: &Value) -> Vec<&str> {
    let events = page["data"].as_array().unwrap().iter();
    events.map(|event| event["event_id"].as_str().unwrap()).collect()
}

/// Gives numbers to end users, of whom `u7` has the one of [`Reported::event`].
async fn number_end_users(app: &TestApp) -> Shard {
    let shard = Shard { organization: app.organization, environment: Environment::Live };
    let ids: Vec<_> = (1..=8).map(|number| format!("u{number}")).collect();
    assert_eq!(app.store.end_user_numbers(shard, &ids).await.unwrap()[6], 7);
    shard
}

#[tokio::test]
async fn an_end_user_is_shown_by_the_callers_id_until_nobody_knows_it_any_more() {
    let app = TestApp::start().await;
    let shard = number_end_users(&app).await;
    let mut journal = Journal::new(&app, Environment::Live);
    journal.report(&[CALL, Reported { id: "b", tag: Some("x"), ..CALL }]).await;
    let costs = "/v1/costs?source=reported&granularity=total&group_by=end_user";
    let shown = async |of: &str| {
        let rows = get(&app, &format!("{costs}&end_user={of}")).await["rows"].clone();
        let events = get(&app, &format!("/v1/usage-events?end_user={of}")).await["data"].clone();
        let cost = rows[0]["group"]["end_user"].as_str().map(str::to_owned);
        let event = events[0]["end_user"].as_str().map(str::to_owned);
        let counts = (rows.as_array().unwrap().len(), events.as_array().unwrap().len());
        assert_eq!((cost.clone(), counts.0), (event, counts.1), "costs and events say the same");
        cost
    };
    let all = get(&app, costs).await;
    let of = |costs: &Value| {
        let rows = costs["rows"].as_array().unwrap().iter();
        rows.map(|row| row["group"]["end_user"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(&all), [json!(null), json!("u7")]);
    assert_eq!(shown("u7").await.as_deref(), Some("u7"));
    for nobody in ["u6", "7", "stranger", "erased:8", "erased:x", "erased:0"] {
        assert_eq!(shown(nobody).await, None, "{nobody}");
    }
    let audit = domain::AuditEvent {
        organization: app.organization,
        actor: "system".to_owned(),
        action: "end_user.forgotten".to_owned(),
        target: "7".to_owned(),
        ip: None,
        at: "2026-11-20T10:00:00Z".parse().unwrap(),
    };
    assert!(app.store.forget_end_user(shard, "u7", &audit).await.unwrap());
    assert_eq!(shown("u7").await, None);
    assert_eq!(shown("erased:7").await.as_deref(), Some("erased:7"));
    let erased = get(&app, costs).await;
    assert_eq!(of(&erased), [json!(null), json!("erased:7")]);
    assert_eq!(erased["totals"], all["totals"], "what was booked stays");
    app.get("/v1/costs?end_user=u7").send().await.refuses("validation_failed", "end_user");
}

#[tokio::test]
async fn reported_costs_are_the_sums_of_events() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    let other = Reported { id: "b", model: "gpt-4o", tag: Some("search"), minutes: 20, ..CALL };
    journal.report(&[CALL, other]).await;
    let unpriced = Reported { id: "c", path: "beta", cost: None, minutes: 70, ..CALL };
    journal.report(&[unpriced]).await;
    let path = "/v1/costs?source=reported&granularity=hour&group_by=path,tag:team";
    let quantities = |inputs: i64, seconds: Value| {
        json!([{"unit": "audio_seconds", "quantity": seconds},
               {"unit": "input_tokens", "quantity": inputs}])
    };
    let row = |hour: &str, path: &str, team: Value, cost: Value| {
        json!({
            "period_start": format!("2026-11-20T{hour}:00:00Z"),
            "group": {"path": path, "tag:team": team},
            "currency": "USD", "cost": cost, "requests": 1,
            "quantities": quantities(10, json!(0.5)),
        })
    };
    let to = "&to=2026-11-21";
    assert_eq!(
        get(&app, &format!("{path}{to}")).await,
        json!({
            "totals": [{"currency": "USD", "total": "0.003"}],
            "unpriced_events": 1,
            "complete_through": null,
            "rows": [
                row("09", "acme/search", json!(null), json!("0.0015")),
                row("09", "acme/search", json!("search"), json!("0.0015")),
                row("10", "beta", json!(null), json!(null)),
            ],
        })
    );
    let whole = get(&app, "/v1/costs?source=reported&granularity=total&path=acme").await;
    assert_eq!(whole["rows"][0]["cost"], "0.003");
    assert_eq!(whole["rows"][0]["requests"], 2);
    assert_eq!(whole["rows"][0]["quantities"], quantities(20, json!(1)));
    assert_eq!(whole["unpriced_events"], 0);
    number_end_users(&app).await;
    let sites = "/v1/costs?source=reported&granularity=total&group_by=call_site,end_user,provider";
    let group = &get(&app, &format!("{sites}&model=gpt-4o")).await["rows"][0]["group"];
    assert_eq!(*group, json!({"call_site": "a.py:7 ask", "end_user": "u7", "provider": "openai"}));
}

#[tokio::test]
async fn filters_narrow_and_none_match_is_no_row() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    let bedrock = Reported { id: "b", service: "bedrock", path: "acme/searcher", ..CALL };
    journal.report(&[CALL, bedrock]).await;
    for (filter, count) in [
        ("", 2),
        ("&provider=aws", 1),
        ("&provider=OpenAI", 1),
        ("&service=bedrock", 1),
        ("&model=gpt-5", 2),
        ("&model=gpt-4o", 0),
        ("&path=acme", 2),
        ("&path=acme/search", 1),
        ("&currency=usd", 2),
        ("&to=2026-11-20T09:00:00Z", 0),
        ("&from=2026-11-20T09:00:00Z", 2),
        ("&from=2026-11-20T09:15:00Z", 0),
    ] {
        let path = format!("/v1/costs?source=reported&granularity=total&group_by=service{filter}");
        let costs = get(&app, &path).await;
        assert_eq!(costs["rows"].as_array().unwrap().len(), count, "{filter}");
        let has_total = !costs["totals"].as_array().unwrap().is_empty();
        assert_eq!(has_total, count > 0, "{filter}");
    }
    for (query, parameter) in [
        ("group_by=unit", "group_by"),
        ("group_by=tag:", "group_by"),
        ("path=Acme", "path"),
        ("sub_account=x", "sub_account"),
        ("currency=eur", "currency"),
    ] {
        let answer = app.get(&format!("/v1/costs?source=reported&{query}")).send().await;
        answer.refuses("validation_failed", parameter);
    }
}

#[tokio::test]
async fn an_event_that_was_taken_back_costs_nothing_and_both_are_listed() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    journal.report(&[CALL]).await;
    journal.reverse(&CALL).await;
    let costs = get(&app, "/v1/costs?source=reported&granularity=total").await;
    assert_eq!(costs["totals"], json!([{"currency": "USD", "total": "0"}]));
    assert_eq!((&costs["rows"][0]["requests"], &costs["unpriced_events"]), (&json!(0), &json!(0)));
    let events = get(&app, "/v1/usage-events").await;
    let [reversal, original] = events["data"].as_array().unwrap().as_slice() else {
        panic!("two events: {events}");
    };
    assert_eq!((&reversal["correction"], &original["correction"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&reversal["cost"], &reversal["reason"]),
        (&json!("-0.0015"), &json!("booked twice"))
    );
    assert_eq!(reversal["usage"], json!({"audio_seconds": -0.5, "input_tokens": -10}));
}

#[tokio::test]
async fn events_are_listed_newest_first_and_new_ones_do_not_move_the_pages() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    let named = |id| Reported { id, ..CALL };
    journal.report(&[named("a"), named("b")]).await;
    journal.report(&[named("c"), named("d"), named("e")]).await;
    let first = get(&app, "/v1/usage-events?limit=2").await;
    assert_eq!(ids(&first), ["e", "d"]);
    journal.report(&[named("f")]).await;
    let mut cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let mut rest = vec![];
    loop {
        let page = get(&app, &format!("/v1/usage-events?limit=2&cursor={cursor}")).await;
        rest.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(rest, ["c", "b", "a"]);
    app.get("/v1/usage-events?cursor=eA").send().await.refuses("validation_failed", "cursor");
}

#[tokio::test]
async fn events_are_filtered_by_what_was_said_of_them() {
    let app = TestApp::start().await;
    number_end_users(&app).await;
    let mut journal = Journal::new(&app, Environment::Live);
    let unpriced = Reported { id: "b", cost: None, path: "beta", ..CALL };
    let tagged = Reported { id: "c", service: "bedrock", tag: Some("x"), minutes: 62, ..CALL };
    journal.report(&[CALL, unpriced, tagged]).await;
    for (filter, expected) in [
        // What is a little ahead of our clock is listed too.
        ("", vec!["c", "b", "a"]),
        ("&to=2026-11-20T10:00:00Z", vec!["b", "a"]),
        ("&flag=unpriced", vec!["b"]),
        ("&service=bedrock", vec!["c"]),
        ("&path=acme", vec!["c", "a"]),
        ("&end_user=u7", vec!["c"]),
        ("&end_user=ann", vec![]),
        ("&model=gpt-4o", vec![]),
        ("&api_key=key_00000000000000000000000000", vec![]),
    ] {
        let page = get(&app, &format!("/v1/usage-events?limit=100{filter}")).await;
        assert_eq!(ids(&page), expected, "{filter}");
    }
    for (query, parameter) in [("path=/", "path"), ("api_key=x", "api_key")] {
        let answer = app.get(&format!("/v1/usage-events?{query}")).send().await;
        answer.refuses("validation_failed", parameter);
    }
}

#[tokio::test]
async fn an_event_is_found_by_its_id_and_by_nobody_elses() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    let tagged = Reported { id: "b", tag: Some("search"), ..CALL };
    journal.report(&[CALL, tagged]).await;
    let listed = get(&app, "/v1/usage-events?limit=1").await["data"][0].clone();
    let id = listed["id"].as_str().unwrap();
    let mut found = get(&app, &format!("/v1/usage-events/{id}")).await;
    assert_eq!(found.as_object_mut().unwrap().remove("body"), Some(Value::Null));
    assert_eq!(found, listed);
    assert_eq!(
        found,
        json!({
            "id": id, "event_id": "b",
            "timestamp": "2026-11-20T09:00:00Z", "received_at": "2026-11-20T09:00:00.001Z",
            "source": "track", "path": "acme/search", "service": "openai", "model": "gpt-5",
            "named_model": null, "cost": "0.0015", "currency": "USD", "unpriced": false,
            "usage": {"input_tokens": 10, "audio_seconds": 0.5}, "context": {}, "price": null,
            "flags": [], "correction": false, "reason": null, "reservation_id": null,
            "api_key": null, "end_user": "erased:7", "latency_ms": null,
            "time_to_first_token_ms": null,
            "call_site": {"file": "a.py", "function": "ask", "line": 7},
            "provider_request_id": null, "tags": {"team": "search"}, "has_body": false,
        })
    );
    let stranger = app.strangers_key().await;
    for id in [id, "evt_00000000000000000000000000", "evt_x", "file_1"] {
        let call = app.get(&format!("/v1/usage-events/{id}"));
        call.key(&stranger).send().await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn each_environment_has_its_own_events() {
    let app = TestApp::start().await;
    Journal::new(&app, Environment::Test).report(&[CALL]).await;
    let test = app.key(Environment::Test, &[domain::Scope::Read]).await;
    let costs = "/v1/costs?source=reported&granularity=total";
    let of = |call: crate::test_app::Call| async { call.send().await.ok(200) };
    assert_eq!(of(app.get(costs)).await["rows"], json!([]));
    assert_eq!(of(app.get(costs).key(&test)).await["rows"][0]["cost"], "0.0015");
    assert!(ids(&of(app.get("/v1/usage-events")).await).is_empty());
    assert_eq!(ids(&of(app.get("/v1/usage-events").key(&test)).await), ["a"]);
    app.get("/v1/costs").key(&test).send().await.problem(403, "forbidden");
    app.get(costs).no_key().send().await.problem(401, "unauthenticated");
    let track = app.key(Environment::Live, &[domain::Scope::Track]).await;
    app.get("/v1/usage-events").key(&track).send().await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_key_that_is_bound_to_a_path_sees_what_is_below_and_nothing_else() {
    let app = TestApp::start().await;
    let mut journal = Journal::new(&app, Environment::Live);
    journal.report(&[CALL, Reported { id: "b", path: "beta", ..CALL }]).await;
    let body = json!({
        "name": "acme", "environment": "live", "scopes": ["read"], "path_prefix": "acme",
    });
    let made = app.post("/v1/api-keys").json(&body).send().await.ok(201);
    let key = made["key"].as_str().unwrap();
    for path in ["/v1/usage-events", "/v1/costs?source=reported"] {
        app.get(path).key(key).send().await.problem(403, "forbidden");
    }
    let own = app.get("/v1/usage-events?path=acme").key(key).send().await.ok(200);
    assert_eq!(ids(&own), ["a"]);
    app.get("/v1/costs?source=reported&path=acme/search").key(key).send().await.ok(200);
    let beta = get(&app, "/v1/usage-events?path=beta").await["data"][0]["id"].clone();
    let path = format!("/v1/usage-events/{}", beta.as_str().unwrap());
    app.get(&path).key(key).send().await.problem(404, "not_found");
}
