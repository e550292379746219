//! The servers of one round and the ground they stand on, with all the ways to lose them.

use std::{io::Write, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Result, bail};
use futures::future::try_join_all;
use product::{Client, Home, Product, until};
use support::mongo::ReplicaSet;
use tokio::{
    sync::{Mutex, watch},
    time::sleep,
    try_join,
};

use crate::dice::Dice;

/// The servers on one store. Others ask them while one of them is killed and started anew.
pub(crate) struct Servers<'a> {
    home: &'a Home,
    /// The database's own processes, where it has some.
    set: Option<&'a ReplicaSet>,
    running: Mutex<Vec<Option<Product>>>,
    /// A server's client, of its newest start.
    clients: Vec<watch::Sender<Client>>,
    /// What was lost, and the logs of servers that were killed.
    past: Mutex<String>,
    is_advertised: bool,
}

/// What is lost at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// One server.
    Server,
    /// All servers.
    Servers,
    /// The primary of the database.
    Primary,
    /// One server and the primary, at the same instant.
    ServerAndPrimary,
    /// Everything that decides: all servers and the primary, at the same instant.
    ServersAndPrimary,
}

const ON_SQLITE: &[Blow] = &[Blow::Server];
const ON_MONGODB: &[Blow] =
    &[Blow::Server, Blow::Servers, Blow::Primary, Blow::ServerAndPrimary, Blow::ServersAndPrimary];

impl<'a> Servers<'a> {
    /// Starts `count` servers; an embedded store has one holder. Advertised, they hand each other
    /// what they are asked.
    pub(crate) async fn start(
        home: &'a Home,
        set: Option<&'a ReplicaSet>,
        count: usize,
        is_advertised: bool,
    ) -> Result<Servers<'a>> {
        let (mut running, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let server = started(home, is_advertised).await?;
            clients.push(watch::Sender::new(Client::clone(&server)));
            running.push(Some(server));
        }
        let (running, past) = (Mutex::new(running), Mutex::default());
        Ok(Servers { home, set, running, clients, past, is_advertised })
    }

    /// A client of any server, which may be dead by now.
    pub(crate) fn any(&self, dice: &mut Dice) -> Client {
        dice.pick(&self.clients).borrow().clone()
    }

    /// A client of each server.
    pub(crate) fn each(&self) -> Vec<Client> {
        self.clients.iter().map(|client| client.borrow().clone()).collect()
    }

    /// Loses something, and brings it back. Says what it was.
    pub(crate) async fn strike(&self, dice: &mut Dice) -> Result<Blow> {
        let blow = *dice.pick(if self.set.is_some() { ON_MONGODB } else { ON_SQLITE });
        let all: Vec<_> = (0..self.clients.len()).collect();
        let one = [*dice.pick(&all)];
        let servers: &[usize] = match blow {
            Blow::Server | Blow::ServerAndPrimary => &one,
            Blow::Servers | Blow::ServersAndPrimary => &all,
            Blow::Primary => &[],
        };
        let member = match self.set {
            Some(set) if !matches!(blow, Blow::Server | Blow::Servers) => {
                Some((set, until("no primary", async || Ok(set.primary().await)).await?))
            }
            _ => None,
        };
        let primary = async {
            match member {
                Some((set, member)) => set.kill_member(member).await,
                None => Ok(()),
            }
        };
        try_join!(primary, try_join_all(servers.iter().map(|index| self.kill(*index))))?;
        self.past.lock().await.push_str(&format!("=== {blow:?}\n"));
        sleep(Duration::from_millis(dice.between(0, 1500))).await;
        for index in servers {
            self.revive(*index, dice).await?;
        }
        if let Some((set, member)) = member {
            until("no new primary", async || Ok(set.primary().await.map(drop))).await?;
            set.restart_member(member).await?;
        }
        Ok(blow)
    }

    async fn kill(&self, index: usize) -> Result<()> {
        let server = self.running.lock().await[index].take();
        match server {
            Some(server) => {
                let log = server.log();
                self.past.lock().await.push_str(&format!("{log}=== killed server {index}\n"));
                server.kill().await
            }
            None => bail!("server {index} does not run"),
        }
    }

    /// Starts a server again; now and then the first try is killed before it got anywhere.
    async fn revive(&self, index: usize, dice: &mut Dice) -> Result<()> {
        if dice.happens(30) {
            let mut command = self.home.command(&["serve", "--listen", "127.0.0.1:0"]);
            let mut stillborn = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            sleep(Duration::from_millis(dice.between(1, 400))).await;
            stillborn.kill().await?;
        }
        let server = started(self.home, self.is_advertised).await?;
        self.clients[index].send_replace(Client::clone(&server));
        self.running.lock().await[index] = Some(server);
        Ok(())
    }

    /// Everything that the servers logged, in the order in which they ended, and `error` after it.
    pub(crate) async fn save_logs(&self, error: &anyhow::Error) -> Result<PathBuf> {
        let mut text = self.past.lock().await.clone();
        for (index, server) in self.running.lock().await.iter().enumerate() {
            let log = server.as_ref().map(Product::log).unwrap_or_default();
            text.push_str(&format!("{log}=== server {index} at the end\n"));
        }
        text.push_str(&format!("{error:#}\n"));
        let mut file =
            tempfile::Builder::new().prefix("outlay-torture-").suffix(".log").tempfile()?;
        file.write_all(text.as_bytes())?;
        Ok(file.keep()?.1)
    }

    /// Asks all to stop; each must have survived what was not aimed at it, and ends well.
    pub(crate) async fn stop(self) -> Result<()> {
        for server in self.running.into_inner().into_iter().flatten() {
            server.stop().await?;
        }
        Ok(())
    }
}

async fn started(home: &Home, is_advertised: bool) -> Result<Product> {
    match is_advertised {
        true => Product::start_advertised(home).await,
        false => Product::start(home).await,
    }
}
