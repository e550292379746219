//! A client of a product's API, and the waits that tests need.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, RequestBuilder, multipart::Form};
use serde_json::{Value, json};

use crate::Provider;

pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// A client with an API key. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The key that requests carry.
    pub key: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of the server at `address`.
    ///
    /// # Panics
    /// Where there is no memory for one.
    #[must_use]
    pub fn new(address: SocketAddr, key: String) -> Client {
        // A server that never answers is a failure to be told, not to be waited for.
        let http = reqwest::Client::builder().timeout(ANSWER_DEADLINE).build();
        Client { address, key, http: http.expect("a client needs nothing but memory") }
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.http.request(method, url).bearer_auth(&self.key)
    }

    /// GET that must succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn get(&self, path: &str) -> Result<Value> {
        success(self.request(Method::GET, path)).await
    }

    /// POST of JSON that must succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        success(self.request(Method::POST, path).json(body)).await
    }

    /// DELETE that must succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let response = self.request(Method::DELETE, path).send().await?;
        ensure!(response.status().is_success(), "DELETE {path}: {}", response.status());
        Ok(())
    }

    /// Uploads a file; status and answer.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn upload(
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
    ///
    /// # Errors
    /// Where it is refused, or takes minutes.
    pub async fn import(
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
    ///
    /// # Errors
    /// Where it takes minutes.
    pub async fn imported(&self, id: &str) -> Result<Value> {
        until(&format!("{id} is still being imported"), async || {
            let file = self.get(&format!("/v1/files/{id}")).await?;
            let is_open = matches!(file["state"].as_str(), Some("queued" | "parsing"));
            Ok((!is_open).then_some(file))
        })
        .await
    }

    /// Connects the sandbox; the connection's id.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn connect(&self, provider: &Provider, backfill_days: u32) -> Result<String> {
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
    ///
    /// # Errors
    /// Where that takes minutes.
    pub async fn synced(&self, connection: &str) -> Result<Value> {
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
    ///
    /// # Errors
    /// Where it does not end well.
    pub async fn sync(&self, connection: &str) -> Result<Value> {
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
///
/// # Errors
/// With the last complaint, after two minutes.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
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
