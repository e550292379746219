//! A running product for one flow: the real binary on a fresh store, its log, and a client of its
//! API; and the provider's sandbox beside it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, RequestBuilder, multipart::Form};
use sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, ChildStderr, Command},
};

/// The binary under test.
pub(crate) const OUTLAY: &str = env!("CARGO_BIN_EXE_outlay");
/// An excerpt of the public FOCUS sample data; its billed costs add up to [`SAMPLE_TOTAL`].
pub(crate) const SAMPLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/parsers/fixtures/focus/focus_1.0_sample_excerpt.csv");
/// By Python's `decimal`:
/// `sum(Decimal(row["BilledCost"]) for row in csv.DictReader(open(SAMPLE)))`.
pub(crate) const SAMPLE_TOTAL: &str = "9.44532991675";
const MONGODB_URI: &str = "OUTLAY_TEST_MONGODB_URI";
const ALL_REQUIRED: &str = "OUTLAY_REQUIRE_ALL_BACKENDS";
const DEADLINE: Duration = Duration::from_secs(120);

/// Which store a flow runs on.
#[derive(Clone)]
pub(crate) enum Backend {
    Sqlite,
    /// The shared replica set.
    Mongo(String),
    /// No replica set was given; the trial is listed as ignored.
    MissingMongo,
}

impl Backend {
    pub(crate) fn all() -> Vec<Backend> {
        let mongo = match std::env::var(MONGODB_URI) {
            Ok(uri) => Backend::Mongo(uri),
            Err(_) if std::env::var(ALL_REQUIRED).is_ok_and(|required| required == "1") => {
                panic!("{ALL_REQUIRED}=1 and no {MONGODB_URI}: run `make test`")
            }
            Err(_) => Backend::MissingMongo,
        };
        vec![Backend::Sqlite, mongo]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Mongo(_) | Backend::MissingMongo => "mongodb",
        }
    }
}

/// A fresh store and the folder of everything that belongs to it.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) store: String,
}

impl Home {
    pub(crate) fn new(backend: &Backend) -> Result<Home> {
        let folder = tempfile::tempdir()?;
        let store = match backend {
            Backend::Mongo(uri) => in_database(uri),
            _ => format!("sqlite:{}", folder.path().join("outlay.db").display()),
        };
        Ok(Home { folder, store })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of the binary on this store, with nothing of this process's own settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(OUTLAY);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("OUTLAY_STORE", &self.store)
            .env("OUTLAY_KEY_FILE", self.path("key"))
            .env("OUTLAY_ALLOW_PRIVATE_URLS", "1")
            .env_remove("OUTLAY_URL")
            .env_remove("OUTLAY_API_KEY")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// The same replica set with a database of its own.
fn in_database(uri: &str) -> String {
    let database = format!("flow_{}", uuid::Uuid::now_v7().simple());
    let (base, options) = uri.split_once('?').unwrap_or((uri, ""));
    let hosts = base.trim_start_matches("mongodb://").split('/').next().unwrap_or("");
    format!("mongodb://{hosts}/{database}?{options}")
}

/// A running server.
pub(crate) struct Product {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    log: Arc<Mutex<String>>,
    child: Child,
    http: reqwest::Client,
}

impl Product {
    /// Starts a server on the home's store and waits until it answers.
    pub(crate) async fn start(home: &Home) -> Result<Product> {
        Product::start_with(home, &[]).await
    }

    pub(crate) async fn start_with(home: &Home, arguments: &[&str]) -> Result<Product> {
        let key_file = home.path("first-key");
        let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--log-format", "json", "--log", "debug"]).args(arguments);
        if !key_file.exists() {
            command.arg("--first-key-file").arg(&key_file);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = Arc::default();
        let stderr = child.stderr.take().context("the log is piped")?;
        let listening = read_log(stderr, Arc::clone(&log));
        let address = match tokio::time::timeout(DEADLINE, listening).await {
            Ok(Ok(address)) => address,
            _ => bail!("the server did not start:\n{}", text(&log)),
        };
        let key = std::fs::read_to_string(&key_file).context("the first key")?.trim().to_owned();
        Ok(Product { address, key, log, child, http: reqwest::Client::new() })
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        text(&self.log)
    }

    /// Kills the process as a power cut would.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to stop, and checks that it ends well.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().context("it is running")?.to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await?;
        ensure!(asked.success(), "SIGTERM was not sent");
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await??;
        ensure!(status.success(), "ended with {status}:\n{}", self.log());
        Ok(())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.http.request(method, url).bearer_auth(&self.key)
    }

    /// GET that must succeed.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        success(self.request(Method::GET, path)).await
    }

    /// POST of JSON that must succeed.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        success(self.request(Method::POST, path).json(body)).await
    }

    /// DELETE that must succeed.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        let response = self.request(Method::DELETE, path).send().await?;
        ensure!(response.status().is_success(), "DELETE {path}: {}", response.status());
        Ok(())
    }

    /// Uploads a file; status and answer.
    pub(crate) async fn upload(
        &self,
        name: &str,
        bytes: Vec<u8>,
        fields: &[(&'static str, &str)],
    ) -> Result<(u16, Value)> {
        let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
        let mut form = Form::new();
        for (field, value) in fields {
            form = form.text(*field, (*value).to_owned());
        }
        let request = self.request(Method::POST, "/v1/files").multipart(form.part("file", part));
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    /// Uploads a file and waits until its import has ended.
    pub(crate) async fn import(
        &self,
        name: &str,
        bytes: Vec<u8>,
        fields: &[(&'static str, &str)],
    ) -> Result<Value> {
        let (status, answer) = self.upload(name, bytes, fields).await?;
        ensure!(status == 202 || status == 200, "{status}: {answer}");
        let id = answer["id"].as_str().context("an id")?;
        self.imported(id).await
    }

    /// Waits until a file's import has ended.
    pub(crate) async fn imported(&self, id: &str) -> Result<Value> {
        until(&format!("{id} is still being imported"), async || {
            let file = self.get(&format!("/v1/files/{id}")).await?;
            let is_open = matches!(file["state"].as_str(), Some("queued" | "parsing"));
            Ok((!is_open).then_some(file))
        })
        .await
    }

    /// Connects the sandbox; the connection's id.
    pub(crate) async fn connect(&self, provider: &Provider, backfill_days: u32) -> Result<String> {
        let body = json!({
            "provider": "openai",
            "name": "Sandbox",
            "credentials": {"admin_key": provider.key},
            "base_url": provider.url,
            "backfill_days": backfill_days,
        });
        let connection = self.post("/v1/connections", &body).await?;
        Ok(connection["id"].as_str().context("an id")?.to_owned())
    }

    /// Waits until no sync of the connection is open and the last one ended well.
    pub(crate) async fn synced(&self, connection: &str) -> Result<Value> {
        until(&format!("{connection} is still syncing"), async || {
            let found = self.get(&format!("/v1/connections/{connection}")).await?;
            let syncs = self.get(&format!("/v1/connections/{connection}/syncs?limit=1000")).await?;
            let syncs = syncs["data"].as_array().context("a list")?;
            let is_done = syncs.iter().all(|sync| sync["state"] == "done");
            Ok((is_done && found["status"] == "ok").then_some(found))
        })
        .await
    }

    /// Polls the connection now and waits for the end.
    pub(crate) async fn sync(&self, connection: &str) -> Result<Value> {
        self.post(&format!("/v1/connections/{connection}/sync"), &json!({})).await?;
        self.synced(connection).await
    }
}

async fn success(request: RequestBuilder) -> Result<Value> {
    let response = request.send().await?;
    let (status, url) = (response.status(), response.url().clone());
    let body: Value = response.json().await?;
    ensure!(status.is_success(), "{}: {status}: {body}", url.path());
    Ok(body)
}

/// Asks again and again, a few times a second, until there is an answer.
pub(crate) async fn until<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let mut last = None;
    let asking = async {
        loop {
            ticks.tick().await;
            match ask().await {
                Ok(Some(answer)) => return answer,
                Ok(None) => last = None,
                Err(error) => last = Some(format!("{error:#}")),
            }
        }
    };
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(answer) => Ok(answer),
        Err(_) => bail!("{what} after {DEADLINE:?}; last: {last:?}"),
    }
}

/// Collects the log; resolves with the address once the server listens.
async fn read_log(stderr: ChildStderr, log: Arc<Mutex<String>>) -> Result<SocketAddr> {
    let (sender, listening) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let entry: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            let fields = &entry["fields"];
            if fields["message"] == "listening"
                && let Some(address) = fields["address"].as_str().and_then(|at| at.parse().ok())
                && let Some(sender) = sender.take()
            {
                let _sent = sender.send(address);
            }
            let mut log = log.lock().expect("nobody panics with the log");
            log.push_str(&line);
            log.push('\n');
        }
    });
    Ok(listening.await?)
}

fn text(log: &Arc<Mutex<String>>) -> String {
    log.lock().expect("nobody panics with the log").clone()
}

/// The sandbox, served on loopback in this process.
pub(crate) struct Provider {
    pub(crate) sandbox: Sandbox,
    pub(crate) url: String,
    pub(crate) key: String,
}

impl Provider {
    /// A sandbox whose today is the real one, so that its newest days are as provisional as a
    /// provider's.
    pub(crate) async fn start(seed: u64) -> Result<Provider> {
        let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
        Provider::start_with(SandboxOptions::new(seed, today)).await
    }

    pub(crate) async fn start_with(options: SandboxOptions) -> Result<Provider> {
        let sandbox = Sandbox::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = sandbox.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Provider { sandbox, url, key: "sk-admin-flow".to_owned() })
    }
}

/// A file's bytes.
pub(crate) fn bytes(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    std::fs::read(path).with_context(|| path.display().to_string())
}
