//! Commands as clients of the API: of the server that OUTLAY_URL names, of the one that holds the
//! store, or of one started in this process for as long as the command runs.

use std::path::Path;

use anyhow::{Context, Result, bail};
use domain::Secret;
use reqwest::{Method, RequestBuilder, multipart::Form};
use serde::{Deserialize, de::DeserializeOwned};
use store::{StoreUrl, sqlite};

use crate::{
    app::{App, install_crypto},
    config::{Config, environment},
    first_key,
};

/// An API to speak to.
pub(crate) struct Client {
    http: reqwest::Client,
    base_url: String,
    key: Secret,
    /// The product in this process, where the command had to start one.
    own: Option<App>,
}

/// An answer that says no.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: Option<String>,
    title: String,
    #[serde(default)]
    errors: Vec<ProblemError>,
}

#[derive(Deserialize)]
struct ProblemError {
    pointer: Option<String>,
    detail: Option<String>,
}

impl Client {
    /// Finds or starts a server.
    pub(crate) async fn connect(config: &Config) -> Result<Client> {
        if let Some(client) = Client::of_running(config)? {
            return Ok(client);
        }
        let app = App::start(config, ([127, 0, 0, 1], 0).into()).await?;
        if let Some(key) = &app.first_key {
            eprintln!("A new store was made.");
            // Standard output is the command's result.
            let print = |told: &str| eprintln!("{told}");
            first_key::hand_over(key, config.first_key_file.as_deref(), print)?;
        }
        let mut client = Client::of_app(&app)?;
        client.own = Some(app);
        Ok(client)
    }

    /// Finds a server that runs already.
    pub(crate) fn of_running(config: &Config) -> Result<Option<Client>> {
        if let Some(url) = environment("OUTLAY_URL") {
            let key = environment("OUTLAY_API_KEY").context(
                "OUTLAY_URL is set: set OUTLAY_API_KEY to one of that server's keys too",
            )?;
            return Client::of(&url, Secret::new(key)).map(Some);
        }
        if let StoreUrl::Sqlite(path) = &config.store
            && let Some((address, token)) = holder(path)
        {
            return Client::of(&format!("http://{address}"), token).map(Some);
        }
        Ok(None)
    }

    /// A client of a product in this process.
    pub(crate) fn of_app(app: &App) -> Result<Client> {
        Client::of(&format!("http://{}", app.address), app.local_token.clone())
    }

    #[expect(clippy::disallowed_methods, reason = "our own API at the operator's own address")]
    fn of(url: &str, key: Secret) -> Result<Client> {
        install_crypto();
        let http = reqwest::Client::builder().build().context("making an HTTP client")?;
        Ok(Client { http, base_url: url.trim_end_matches('/').to_owned(), key, own: None })
    }

    /// Stops what [`Client::connect`] started.
    pub(crate) async fn close(self) {
        if let Some(app) = self.own {
            app.stop().await;
        }
    }

    /// GET.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T> {
        self.send(self.request(Method::GET, path).query(query)).await
    }

    /// POST of JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// POST of a form with a file, which is streamed from disk.
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        file: &Path,
        fields: Vec<(&'static str, String)>,
    ) -> Result<T> {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text(name, value);
        }
        let cannot_read = || format!("cannot read `{}`", file.display());
        let form = form.file("file", file).await.with_context(cannot_read)?;
        self.send(self.request(Method::POST, "/v1/files").multipart(form)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base_url);
        self.http.request(method, url).bearer_auth(self.key.expose())
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let unreachable = || format!("cannot reach Outlay at {}", self.base_url);
        let response = request.send().await.with_context(unreachable)?;
        if response.status().is_success() {
            return response.json().await.context("the answer is not what this version expects");
        }
        let status = response.status();
        match response.json::<Problem>().await {
            Ok(problem) => bail!("{}", told(&problem)),
            Err(_) => bail!("{} answered {status}", self.base_url),
        }
    }
}

/// A problem in a person's words: what is wrong, and with which field. Where there is one fault,
/// the problem itself says the same.
fn told(problem: &Problem) -> String {
    let code = &problem.code;
    let summary = problem.detail.as_ref().unwrap_or(&problem.title);
    let faults = problem.errors.iter().map(|error| {
        let pointer = error.pointer.as_deref().unwrap_or("");
        format!("{pointer}: {}", error.detail.as_deref().unwrap_or("is not valid"))
    });
    match problem.errors.len() {
        0 => format!("{summary} ({code})"),
        1 => format!("{} ({code})", faults.collect::<String>()),
        _ => format!("{summary} ({code})\n  {}", faults.collect::<Vec<_>>().join("\n  ")),
    }
}

/// Address and token of the server that holds an embedded store.
fn holder(path: &Path) -> Option<(String, Secret)> {
    let text = sqlite::read_holder(path)?;
    let (address, token) = text.split_once('\n')?;
    Some((address.to_owned(), Secret::new(token.trim().to_owned())))
}
