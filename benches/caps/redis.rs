//! The usual way to cap spend: counters in Redis, and a script that looks at four of them and adds
//! to all or none. Every answer is on the disk, as ours is.

use std::{net::SocketAddr, process::Stdio};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

use super::load::{Load, Target};

/// Looks at each counter, then adds to each.
const SCRIPT: &str = "local amount = tonumber(ARGV[1])
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') + amount > tonumber(ARGV[2]) then return 0 end
end
for _, key in ipairs(KEYS) do redis.call('INCRBY', key, amount) end
return 1";

/// A running server, which ends with this program.
pub(crate) struct Redis {
    _child: Child,
    _folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Redis {
    /// Starts `redis-server`; nothing where there is none.
    pub(crate) async fn start() -> Result<Option<Redis>> {
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let started = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(child) = started else { return Ok(None) };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
        for _ in 0..250 {
            ticks.tick().await;
            if TcpStream::connect(address).await.is_ok() {
                return Ok(Some(Redis { _child: child, _folder: folder, address }));
            }
        }
        anyhow::bail!("redis-server does not answer")
    }

    /// A reservation on four levels.
    pub(crate) async fn reserve(&self) -> Result<Load> {
        let mut stream = TcpStream::connect(self.address).await?;
        let load = format!("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n${}\r\n{SCRIPT}\r\n", SCRIPT.len());
        stream.write_all(load.as_bytes()).await?;
        let mut answer = vec![0; 128];
        let read = stream.read(&mut answer).await?;
        let text = std::str::from_utf8(&answer[..read])?;
        ensure!(text.starts_with("$40"), "{text}");
        let digest = text.lines().nth(1).context("a digest")?;
        let keys = ["", "acme", "acme/search", "acme/search/rewrite"];
        let mut command = vec!["EVALSHA", digest, "4"];
        command.extend(keys);
        command.extend(["4500", "1000000000000000"]);
        Ok(Load::Ask(Target::redis(self.address, &command)))
    }
}
