//! The processes of a replica set, owned by one thread that lives as long as the set.
//!
//! No process outlives the test: dropping kills them, and `setpriv --pdeathsig KILL`, where there
//! is one, has the kernel kill them when the test itself is killed. The kernel watches the *thread*
//! that started a process (<https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html>),
//! and threads of a runtime come and go, hence the thread of its own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::oneshot;

/// What one member is started with.
#[derive(Debug, Clone)]
pub(crate) struct MemberPlan {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    /// Folder of its data and its log.
    pub(crate) folder: PathBuf,
}

/// The members' processes.
#[derive(Debug)]
pub(crate) struct Members {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Start(usize, oneshot::Sender<Result<()>>),
    Kill(usize, oneshot::Sender<Result<()>>),
    HasEnded(usize, oneshot::Sender<Result<bool>>),
}

impl Members {
    /// Gets ready to run members by these plans; none runs yet.
    pub(crate) fn new(mongod: PathBuf, set: String, plans: Vec<MemberPlan>) -> Result<Members> {
        raise_open_files_limit()?;
        let (orders, inbox) = mpsc::channel();
        let work = move || {
            let mut keeper = Keeper::new(mongod, set, plans);
            // Ends when the sender is dropped; dropping the keeper then kills what runs.
            for order in inbox {
                keeper.obey(order);
            }
        };
        let thread = std::thread::Builder::new().name("mongod-set".into()).spawn(work)?;
        Ok(Members { orders: Some(orders), thread: Some(thread) })
    }

    /// Starts a member that does not run.
    pub(crate) async fn start(&self, index: usize) -> Result<()> {
        self.order(|reply| Order::Start(index, reply)).await
    }

    /// Kills a member as a power cut would, and waits for its end.
    pub(crate) async fn kill(&self, index: usize) -> Result<()> {
        self.order(|reply| Order::Kill(index, reply)).await
    }

    /// Whether a member has ended by itself.
    pub(crate) async fn has_ended(&self, index: usize) -> Result<bool> {
        self.order(|reply| Order::HasEnded(index, reply)).await
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<Result<T>>) -> Order) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let orders = self.orders.as_ref().expect("the channel is open until drop");
        orders.send(order(reply)).ok().context("the thread of the members is gone")?;
        answer.await.context("the thread of the members is gone")?
    }
}

/// A member keeps a file open for every collection and index, and dies where it may not. Users who
/// are not root mostly begin with 1,024 files and may raise that themselves.
fn raise_open_files_limit() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("cannot raise the limit on open files")
}

impl Drop for Members {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already, and its children are dead with it.
            thread.join().ok();
        }
    }
}

struct Keeper {
    mongod: PathBuf,
    set: String,
    plans: Vec<MemberPlan>,
    children: Vec<Option<Child>>,
}

impl Keeper {
    fn new(mongod: PathBuf, set: String, plans: Vec<MemberPlan>) -> Keeper {
        let children = plans.iter().map(|_| None).collect();
        Keeper { mongod, set, plans, children }
    }

    /// An answer that nobody waits for any more is dropped.
    fn obey(&mut self, order: Order) {
        match order {
            Order::Start(index, reply) => drop(reply.send(self.start(index))),
            Order::Kill(index, reply) => drop(reply.send(self.kill(index))),
            Order::HasEnded(index, reply) => drop(reply.send(self.has_ended(index))),
        }
    }

    fn start(&mut self, index: usize) -> Result<()> {
        let plan = self.plans.get(index).context("no such member")?;
        if self.children[index].is_some() {
            bail!("member {index} runs already");
        }
        std::fs::create_dir_all(&plan.folder)?;
        let child = command(&self.mongod, &self.set, plan)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.mongod.display()))?;
        self.children[index] = Some(child);
        Ok(())
    }

    fn kill(&mut self, index: usize) -> Result<()> {
        let mut child = self.children[index].take().context("that member does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn has_ended(&mut self, index: usize) -> Result<bool> {
        match &mut self.children[index] {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(true),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            // It may have ended by itself, which is as good.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn command(mongod: &Path, set: &str, plan: &MemberPlan) -> Command {
    let mut command = if has_setpriv() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(mongod);
        command
    } else {
        Command::new(mongod)
    };
    command
        .args(["--bind_ip", "127.0.0.1", "--port", &plan.port.to_string()])
        .args(["--replSet", set, "--nounixsocket", "--quiet"])
        .args(["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"])
        .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
        .arg("--dbpath")
        .arg(&plan.folder)
        .arg("--logpath")
        .arg(plan.folder.join("mongod.log"))
        .arg("--logappend");
    command
}

fn has_setpriv() -> bool {
    let mut probe = Command::new("setpriv");
    probe.args(["--pdeathsig", "KILL", "--", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
