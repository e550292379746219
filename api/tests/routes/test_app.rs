//! The API over a store in a temporary folder, with keys of each kind, a clock that can be set, and
//! reports that answer what a test wants.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use api::{
    AppState, Catalogue, Front, Limits, LocalToken, Reports, SealError, Sealer,
    reports::{ChargePage, ChargeQuery, CostQuery, CostReport, ReportError},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode},
};
use domain::{
    AuditEvent, AuthField, Clock, ConnectorDescriptor, FormatDescriptor, OrganizationId,
    Reports as Tells, Scope, Secret, descriptor::FeedDescriptor, organization::Environment,
};
use identity::{KeyBits, KeyRequest, make_api_key, new_uuid};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shards::Caps;
use store::{Store, secrets::SealedSecret, sqlite::SqliteStore};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use vault::{LocalKey, Vault};

use crate::{memory_caps::MemoryCaps, price_catalogue};

pub(crate) static ACME: ConnectorDescriptor = ConnectorDescriptor {
    id: "acme",
    title: "Acme",
    base_url: "https://api.acme.example",
    hosts: &["api.acme.example"],
    auth_fields: &[AuthField {
        name: "admin_key",
        title: "An admin key",
        help: "Make one at https://acme.example/keys.",
        prefix: "ak-admin-",
        is_secret: true,
    }],
    feeds: &[FeedDescriptor { id: "costs", window_days_max: 31 }],
    granularity: "day",
    history_days: 365,
    settle_delay_hours: 48,
    trailing_days: 7,
    request_interval_ms_min: 0,
    reports: Tells { usage: true, cost: true, invoice: false },
    data_sent: "dates",
    documentation_url: "https://acme.example/docs",
};

static BETA: ConnectorDescriptor = ConnectorDescriptor { id: "beta", title: "Beta", ..ACME };

static FORMAT: FormatDescriptor = FormatDescriptor {
    id: "focus",
    title: "FOCUS",
    extensions: &["csv"],
    versions: &["1.2"],
    documentation_url: "https://focus.finops.org",
};

/// A clock that stands still until it is set.
pub(crate) struct FakeClock(Mutex<Timestamp>);

impl FakeClock {
    pub(crate) fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap() = at;
    }

    pub(crate) fn go_on(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// The real vault, behind a gate that a test may close, and that may refuse.
pub(crate) struct GatedVault {
    vault: Vault,
    pub(crate) gate: Semaphore,
    pub(crate) refuses: AtomicBool,
    /// Whether it derives as with another data key.
    pub(crate) is_another: AtomicBool,
}

#[async_trait::async_trait]
impl Sealer for GatedVault {
    async fn seal(
        &self,
        organization: OrganizationId,
        record: &str,
        field: &str,
        secret: &Secret,
    ) -> Result<SealedSecret, SealError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SealError {
            is_temporary: false,
            source,
        };
        let _open = self.gate.acquire().await.unwrap();
        if self.refuses.load(Ordering::SeqCst) {
            return Err(failed("the canary of the cause".into()));
        }
        let sealed = self.vault.seal(organization, record, field, secret).await;
        sealed.map_err(|error| failed(error.into()))
    }

    async fn derive(
        &self,
        organization: OrganizationId,
        purpose: &str,
        parts: &[&[u8]],
    ) -> Result<KeyBits, SealError> {
        let is_another = self.is_another.load(Ordering::SeqCst);
        let purpose = if is_another { "another" } else { purpose };
        let derived = self.vault.derive(organization, purpose, parts).await;
        derived.map_err(|error| SealError { is_temporary: false, source: error.into() })
    }
}

/// Reports that remember what was asked and answer what a test has laid out.
#[derive(Default)]
pub(crate) struct LaidOutReports {
    pub(crate) costs: Mutex<CostReport>,
    pub(crate) charges: Mutex<ChargePage>,
    pub(crate) cost_query: Mutex<Option<CostQuery>>,
    pub(crate) charge_query: Mutex<Option<ChargeQuery>>,
    pub(crate) fails: Mutex<Option<ReportError>>,
    pub(crate) panics: AtomicBool,
    pub(crate) hangs: AtomicBool,
}

#[async_trait::async_trait]
impl Reports for LaidOutReports {
    async fn costs(&self, _: OrganizationId, query: &CostQuery) -> Result<CostReport, ReportError> {
        assert!(!self.panics.load(Ordering::SeqCst), "the canary of the panic");
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        *self.cost_query.lock().unwrap() = Some(query.clone());
        match self.fails.lock().unwrap().take() {
            Some(error) => Err(error),
            None => Ok(self.costs.lock().unwrap().clone()),
        }
    }

    async fn charges(
        &self,
        _: OrganizationId,
        query: &ChargeQuery,
    ) -> Result<ChargePage, ReportError> {
        *self.charge_query.lock().unwrap() = Some(query.clone());
        Ok(self.charges.lock().unwrap().clone())
    }
}

/// The API with all that it stands on.
pub(crate) struct TestApp {
    pub(crate) router: Option<Front>,
    pub(crate) store: Arc<dyn Store>,
    /// The same store, for shards.
    pub(crate) sqlite: Arc<SqliteStore>,
    pub(crate) vault: Arc<GatedVault>,
    pub(crate) caps: Arc<MemoryCaps>,
    prices: Arc<prices::Catalogue>,
    pub(crate) reports: Arc<LaidOutReports>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) organization: OrganizationId,
    pub(crate) wake_count: Arc<AtomicUsize>,
    pub(crate) wake_panics: Arc<AtomicBool>,
    /// The owner's live key, with all scopes.
    pub(crate) owner: String,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) const LOCAL_TOKEN: &str = "local-token-of-this-test";

impl TestApp {
    pub(crate) async fn start() -> TestApp {
        TestApp::start_with(Limits::default(), false).await
    }

    pub(crate) async fn start_with(limits: Limits, allow_private_urls: bool) -> TestApp {
        TestApp::start_priced(limits, allow_private_urls, price_catalogue::catalogue()).await
    }

    pub(crate) async fn start_priced(
        limits: Limits,
        allow_private_urls: bool,
        prices: prices::Catalogue,
    ) -> TestApp {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("outlay.db")).await.unwrap();
        let sqlite = Arc::new(store);
        let store: Arc<dyn Store> = sqlite.clone();
        let now = "2026-11-20T10:00:00.000001Z".parse().unwrap();
        let clock = Arc::new(FakeClock(Mutex::new(now)));
        let first = identity::first_start(&*store, &*clock, "Acme").await.unwrap().unwrap();
        let organization = first.organization.id;
        let key = LocalKey::from_text(&"0123456789abcdef".repeat(4)).unwrap();
        let vault = Arc::new(GatedVault {
            vault: Vault::new(Arc::clone(&store), Arc::new(key)),
            gate: Semaphore::new(100),
            refuses: AtomicBool::new(false),
            is_another: AtomicBool::new(false),
        });
        let mut app = TestApp {
            router: None,
            store,
            sqlite,
            vault,
            caps: Arc::new(MemoryCaps::new(clock.clone())),
            prices: Arc::new(prices),
            reports: Arc::default(),
            clock,
            organization,
            wake_count: Arc::default(),
            wake_panics: Arc::default(),
            owner: first.key.expose().to_owned(),
            folder,
        };
        app.router = Some(app.node(limits, allow_private_urls));
        app
    }

    /// A server over the same store that remembers nothing of what the others have looked up.
    pub(crate) fn node(&self, limits: Limits, allow_private_urls: bool) -> Front {
        self.node_over(limits, allow_private_urls, self.caps.clone())
    }

    /// The same with other shards.
    pub(crate) fn node_over(
        &self,
        limits: Limits,
        allow_private_urls: bool,
        caps: Arc<dyn Caps>,
    ) -> Front {
        let (counter, panics) = (Arc::clone(&self.wake_count), Arc::clone(&self.wake_panics));
        let token = identity::hash_key(LOCAL_TOKEN);
        let state = AppState {
            store: Arc::clone(&self.store),
            vault: self.vault.clone(),
            clock: self.clock.clone(),
            caps,
            reports: self.reports.clone(),
            catalogue: Catalogue { connectors: vec![&ACME, &BETA], formats: vec![&FORMAT] },
            prices: Arc::clone(&self.prices),
            operator_prices: Arc::default(),
            wake: Arc::new(move || {
                counter.fetch_add(1, Ordering::SeqCst);
                assert!(!panics.swap(false, Ordering::SeqCst), "the process is killed here");
            }),
            settings_changed: Arc::new(|| {}),
            metrics: Arc::new(|| "outlay_up 1\n".to_owned()),
            limits,
            local_token: Some(LocalToken { sha256: token, organization: self.organization }),
            allow_private_urls,
            keys: api::KeyCache::default(),
            own_prices: api::OwnPriceCache::default(),
            end_users: api::EndUserCache::default(),
        };
        Front::new(Arc::new(state), Router::new())
    }

    /// A new key of this organization.
    pub(crate) async fn key(&self, environment: Environment, scopes: &[Scope]) -> String {
        self.key_of(self.organization, environment, scopes).await
    }

    /// A new key of an organization that has nothing.
    pub(crate) async fn strangers_key(&self) -> String {
        let stranger = OrganizationId::from_uuid(new_uuid(self.clock.now()).unwrap());
        self.key_of(stranger, Environment::Live, &Scope::ALL).await
    }

    async fn key_of(
        &self,
        organization: OrganizationId,
        environment: Environment,
        scopes: &[Scope],
    ) -> String {
        let (at, scopes) = (self.clock.now(), scopes.to_vec());
        let name = "a test's".to_owned();
        let request = KeyRequest {
            organization,
            name,
            environment,
            scopes,
            path_prefix: None,
            expires_at: None,
            at,
        };
        let made = make_api_key(request).unwrap();
        let audit = AuditEvent {
            organization,
            actor: "system".to_owned(),
            action: "api_key.created".to_owned(),
            target: made.key.id.to_string(),
            ip: None,
            at,
        };
        self.store.create_api_key(&made.key, &audit).await.unwrap();
        made.secret.expose().to_owned()
    }

    /// A request with the owner's key.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        Call {
            router: self.router.clone().expect("it has started"),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![],
            key: Some(self.owner.clone()),
            body: vec![],
        }
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call("GET", path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call("POST", path)
    }

    /// A connection, made with the owner's key: its JSON.
    pub(crate) async fn connect(&self, name: &str) -> Value {
        let body = connection_body(name);
        let answer = self.post("/v1/connections").json(&body).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()
    }
}

/// What a right `POST /v1/connections` says.
pub(crate) fn connection_body(name: &str) -> Value {
    let credentials = serde_json::json!({"admin_key": "ak-admin-canary"});
    serde_json::json!({"provider": "acme", "name": name, "credentials": credentials})
}

/// A request on its way.
pub(crate) struct Call {
    router: Front,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    key: Option<String>,
    body: Vec<u8>,
}

impl Call {
    /// The same on another server.
    pub(crate) fn on(mut self, node: &Front) -> Call {
        self.router = node.clone();
        self
    }

    pub(crate) fn key(mut self, key: &str) -> Call {
        self.key = Some(key.to_owned());
        self
    }

    pub(crate) fn no_key(mut self) -> Call {
        self.key = None;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Call {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn once(self, key: &str) -> Call {
        self.header("Idempotency-Key", key)
    }

    pub(crate) fn body(mut self, content_type: &str, body: &[u8]) -> Call {
        self.body = body.to_vec();
        self.header("Content-Type", content_type)
    }

    pub(crate) fn json(self, value: &Value) -> Call {
        self.body("application/json", value.to_string().as_bytes())
    }

    /// A form of fields (name, file name, content).
    pub(crate) fn form(self, fields: &[(&str, Option<&str>, &[u8])]) -> Call {
        let mut body = Vec::new();
        for (name, file_name, content) in fields {
            let file_name =
                file_name.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
            let head = format!(
                "--frontier\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n"
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--frontier--\r\n");
        self.body("multipart/form-data; boundary=frontier", &body)
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.path);
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(self.body)).unwrap();
        let peer: std::net::SocketAddr = "[::ffff:192.0.2.7]:40000".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.text())
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Asserts a problem document of this status and code, and gives it back.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:outlay:problem:{code}"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert!(problem["request_id"].as_str().unwrap().starts_with("req_"));
        problem
    }

    /// Asserts a refusal of one value: where it is, as a JSON pointer or the name of a parameter.
    #[track_caller]
    pub(crate) fn refuses(&self, code: &str, place: &str) {
        let problem = self.problem(422, code);
        let key = if place.starts_with('/') { "pointer" } else { "parameter" };
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error[key] == place), "{self:?}");
    }

    /// Asserts success of this status, and gives the body back.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        self.json()
    }
}
