//! The real binary as a running server, its log, and its end: asked for or not.

use std::{
    net::SocketAddr,
    ops::Deref,
    process::Stdio,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
};

use crate::{Client, Home, client::DEADLINE};

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Product {
    client: Client,
    log: Arc<Mutex<String>>,
    child: Child,
}

impl Product {
    /// Starts a server on the home's store and waits until it answers.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(home: &Home) -> Result<Product> {
        Product::start_with(home, &[]).await
    }

    /// The same with more arguments of `serve`.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start_with(home: &Home, arguments: &[&str]) -> Result<Product> {
        let key_file = home.path("first-key");
        let mut command = home.command(&["serve"]);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if !arguments.contains(&"--log") {
            command.args(["--log", "debug"]);
        }
        command.args(["--log-format", "json"]).args(arguments);
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
        Ok(Product { client: Client::new(address, key), log, child })
    }

    /// The same on a port of its own, by which other servers on the store can reach it.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start_advertised(home: &Home) -> Result<Product> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Product::start_with(home, &["--listen", &address, "--advertise", &address]).await
    }

    /// Everything logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// The process.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("it is running")
    }

    /// Kills the process as a power cut would.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to stop, and checks that it ends well.
    ///
    /// # Errors
    /// Where it does not end well.
    pub async fn stop(mut self) -> Result<()> {
        let pid = self.pid()?.to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await?;
        ensure!(asked.success(), "SIGTERM was not sent");
        let status = tokio::time::timeout(DEADLINE, self.child.wait()).await??;
        ensure!(status.success(), "ended with {status}:\n{}", self.log());
        Ok(())
    }
}

/// Requests go to the server by its client.
impl Deref for Product {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
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
