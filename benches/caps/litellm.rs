//! The LiteLLM proxy with a model that answers by itself: what a call through a gateway costs
//! before anybody looks at a budget, beside a whole check of ours.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::process::{Child, Command};

use super::load::{Load, Target, measure};

const KEY: &str = "sk-4f1d0c7be2a94d7f8b6a";
const CONFIG: &str = "model_list:
  - model_name: mock
    litellm_params:
      model: openai/gpt-4o
      api_key: none
      mock_response: hello
general_settings:
  master_key: sk-4f1d0c7be2a94d7f8b6a
";

/// A running proxy, which ends with this program.
pub(crate) struct LiteLlm {
    child: Child,
    _folder: tempfile::TempDir,
    address: SocketAddr,
}

impl LiteLlm {
    /// Starts the program that `OUTLAY_BENCH_LITELLM` names; nothing where it names none.
    #[expect(clippy::disallowed_methods, reason = "a benchmark is told by the environment")]
    pub(crate) async fn start() -> Result<Option<LiteLlm>> {
        let Some(program) = std::env::var_os("OUTLAY_BENCH_LITELLM") else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, CONFIG)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--config"])
            .arg(&config)
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let proxy = LiteLlm { child, _folder: folder, address };
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        for _ in 0..240 {
            ticks.tick().await;
            if measure(&proxy.completion(), 1, Duration::from_millis(1)).await.is_ok() {
                return Ok(Some(proxy));
            }
        }
        bail!("the proxy does not answer")
    }

    /// A call of the model that answers by itself.
    pub(crate) fn completion(&self) -> Load {
        let body = json!({"model": "mock", "messages": [{"role": "user", "content": "hi"}]});
        let body = body.to_string();
        Load::Ask(Target::new(self.address, "POST", "/v1/chat/completions", KEY, move || {
            body.clone()
        }))
    }

    /// The memory that it has.
    pub(crate) fn resident_mib(&self) -> Result<u64> {
        resident_mib(self.child.id().context("it runs")?)
    }
}

/// The memory that a process has.
pub(crate) fn resident_mib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).context("a line")?;
    Ok(kib.parse::<u64>()? / 1024)
}
