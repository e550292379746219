//! A real replica set of three members on loopback, which tests may hurt.
//!
//! Elections are fast, so that the loss of a primary costs a test two seconds instead of twelve;
//! nothing else differs from what production runs. The `mongod` is `OUTLAY_TEST_MONGOD`'s, else the
//! one that `scripts/fetch-mongod` fetches.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use bson::{Document, doc};
use mongodb::{
    Client,
    options::{ClientOptions, ServerAddress},
};
use tempfile::TempDir;

use crate::members::{MemberPlan, Members};

const SET: &str = "outlay";
const MEMBER_COUNT: usize = 3;
const POLL_MS: u64 = 50;
const DEADLINE_SECONDS: u64 = 60;

/// A running replica set. Dropping it kills its members and removes their data.
#[derive(Debug)]
pub struct ReplicaSet {
    ports: Vec<u16>,
    members: Members,
    // After `members`: fields are dropped in order, and the data goes once nobody writes it.
    _folder: TempDir,
}

impl ReplicaSet {
    /// Starts three members on free ports and waits until all are healthy and one is primary.
    ///
    /// # Errors
    /// Where there is no `mongod`, or the set is not ready within a minute.
    pub async fn start() -> Result<ReplicaSet> {
        let mongod = tokio::task::spawn_blocking(find_mongod).await??;
        let folder = tempfile::Builder::new().prefix("outlay-mongod-").tempdir()?;
        let ports = free_ports(MEMBER_COUNT)?;
        let plan = |(index, port): (usize, &u16)| MemberPlan {
            port: *port,
            folder: folder.path().join(format!("member-{index}")),
        };
        let plans = ports.iter().enumerate().map(plan).collect();
        let members = Members::new(mongod, SET.to_owned(), plans)?;
        let set = ReplicaSet { ports, members, _folder: folder };
        for index in 0..MEMBER_COUNT {
            set.members.start(index).await?;
        }
        for index in 0..MEMBER_COUNT {
            set.wait_until_answering(index).await?;
        }
        set.initiate().await?;
        set.wait_until_ready(MEMBER_COUNT).await?;
        Ok(set)
    }

    /// The connection string of a database of this set.
    #[must_use]
    pub fn uri(&self, database: &str) -> String {
        let hosts: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("mongodb://{}/{database}?replicaSet={SET}", hosts.join(","))
    }

    /// Kills the primary's process at once (`SIGKILL`, as a power cut would) and says which member
    /// it was. The others have elected nobody yet when this returns.
    ///
    /// # Errors
    /// Where there is no primary to kill.
    pub async fn kill_primary(&self) -> Result<usize> {
        let primary = self.primary().await.context("there is no primary")?;
        self.kill_member(primary).await?;
        Ok(primary)
    }

    /// Kills a member's process at once, whatever it is by now.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn kill_member(&self, index: usize) -> Result<()> {
        self.members.kill(index).await
    }

    /// Starts a member that was killed, with its data, and waits until the whole set is healthy.
    ///
    /// # Errors
    /// Where it runs, or is not healthy within a minute.
    pub async fn restart_member(&self, index: usize) -> Result<()> {
        self.members.start(index).await?;
        self.wait_until_answering(index).await?;
        self.wait_until_ready(MEMBER_COUNT).await
    }

    /// The member that is primary now, if any is.
    pub async fn primary(&self) -> Option<usize> {
        for index in 0..self.ports.len() {
            let hello = self.ask(index, doc! { "hello": 1 }).await;
            if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").is_ok_and(|yes| yes)) {
                return Some(index);
            }
        }
        None
    }

    async fn initiate(&self) -> Result<()> {
        let member = |(index, port): (usize, &u16)| {
            let id = i32::try_from(index).expect("there are three members");
            doc! { "_id": id, "host": format!("127.0.0.1:{port}") }
        };
        let members: Vec<_> = self.ports.iter().enumerate().map(member).collect();
        let settings = doc! { "electionTimeoutMillis": 1500, "heartbeatIntervalMillis": 500 };
        let config = doc! { "_id": SET, "members": members, "settings": settings };
        self.ask(0, doc! { "replSetInitiate": config }).await?;
        Ok(())
    }

    async fn wait_until_answering(&self, index: usize) -> Result<()> {
        until(&format!("member {index} does not answer"), async || {
            if self.members.has_ended(index).await? {
                bail!("member {index} ended by itself");
            }
            Ok(self.ask(index, doc! { "ping": 1 }).await.is_ok())
        })
        .await
    }

    async fn wait_until_ready(&self, healthy_count: usize) -> Result<()> {
        until("the replica set is not ready", async || {
            let Some(primary) = self.primary().await else { return Ok(false) };
            let Ok(status) = self.ask(primary, doc! { "replSetGetStatus": 1 }).await else {
                return Ok(false);
            };
            let members = status.get_array("members").context("a status has members")?;
            let is_healthy = |state| matches!(state, Ok("PRIMARY" | "SECONDARY"));
            let states = members.iter().filter_map(|member| member.as_document());
            let count = states.filter(|member| is_healthy(member.get_str("stateStr"))).count();
            Ok(count == healthy_count)
        })
        .await
    }

    /// Sends an administrative command to one member, whatever its state.
    async fn ask(&self, index: usize, command: Document) -> Result<Document> {
        let address = ServerAddress::Tcp {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: Some(self.ports[index]),
        };
        let options = ClientOptions::builder()
            .hosts(vec![address])
            .direct_connection(true)
            .connect_timeout(Duration::from_secs(1))
            .server_selection_timeout(Duration::from_secs(1))
            .build();
        let client = Client::with_options(options)?;
        Ok(client.database("admin").run_command(command).await?)
    }
}

/// Polls until `is_so` says true, or says why not after a minute.
async fn until(complaint: &str, is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let polling = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(POLL_MS));
        loop {
            ticks.tick().await;
            if is_so().await? {
                return Ok(());
            }
        }
    };
    let deadline = Duration::from_secs(DEADLINE_SECONDS);
    tokio::time::timeout(deadline, polling).await.with_context(|| complaint.to_owned())?
}

/// Ports that were free a moment ago: all are held at once, so they differ.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind(any_port)).collect::<std::io::Result<_>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn find_mongod() -> Result<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
    if let Some(path) = std::env::var_os("OUTLAY_TEST_MONGOD") {
        return Ok(path.into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/fetch-mongod");
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    if !output.status.success() {
        bail!("`scripts/fetch-mongod` found no mongod; it says above what to do");
    }
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
