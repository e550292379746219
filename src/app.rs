//! The whole product in one process: store, vault, API, polls and imports, wired together and
//! stopped in order.
//!
//! `serve` runs one for good. Other commands run one on a free loopback port where no server holds
//! the store, and speak to it as they would to a server, so that every command has one way to work.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result, bail};
use api::{AppState, Catalogue, LocalToken, charge_reports::ChargeReports};
use axum::{ServiceExt, extract::Request};
use connectors::{Driver, HttpTransport};
use domain::{Clock, OrganizationId, Secret};
use jobs::{ImportFile, Job, Runner, RunnerHandle, SweepStore, SyncConnection, Ticks};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use net::AddressPolicy;
use shards::{Cluster, Parts, ShardStore};
use store::{Store, StoreUrl, mongo::MongoStore, sqlite::SqliteStore};
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
    task::{JoinHandle, JoinSet},
};
use vault::{KeySource, LocalKey, Vault};

use crate::{
    clock::SystemClock,
    clock_accept,
    config::{Config, KeyOrigin},
    follow_settings::follow_settings,
    operator::Door,
    peers::{self, HttpPeers, PeerKey},
    price_files,
    sealer::VaultSealer,
    shard_skip,
};

/// A running product.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    /// Opens the API to commands on this machine, with every scope.
    pub(crate) local_token: Secret,
    /// The owner's API key, where this start made it.
    pub(crate) first_key: Option<Secret>,
    server: JoinHandle<()>,
    stop_server: oneshot::Sender<()>,
    runner: RunnerHandle,
    ticks: Ticks,
    cluster: Arc<Cluster>,
    /// Heartbeats, settings, the watch over the journal.
    watchers: JoinSet<()>,
    mongo: Option<Arc<MongoStore>>,
}

/// An opened store: in its role, and as the kind it is, for what only that kind needs.
struct Opened {
    store: Arc<dyn Store>,
    shards: Arc<dyn ShardStore>,
    sqlite: Option<Arc<SqliteStore>>,
    mongo: Option<Arc<MongoStore>>,
}

impl App {
    /// Opens the store and starts everything; the API answers at `listen` when this returns.
    pub(crate) async fn start(config: &Config, listen: SocketAddr) -> Result<App> {
        install_crypto();
        // Before anything counts: what is counted without a recorder is lost.
        let metrics = metrics_handle();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let opened = open_store(&config.store).await?;
        let store = opened.store.clone();
        let vault = Arc::new(Vault::new(store.clone(), key_source(&config.key)?));
        let first = first_start(&*store, &*clock, config.first_key_file.as_deref()).await?;
        let organization = first_organization(&*store).await?;
        vault.check(organization).await?;
        let peer_key = PeerKey::of(&vault, organization).await?;
        let cluster = start_cluster(config, &opened, &clock, &peer_key).await?;
        let changed = Arc::new(Notify::new());
        let watchers = watch(&opened, &cluster, &changed);
        let store = opened.store;
        let keys = store.clone();
        let runner = start_runner(config, &store, &clock, &vault).await?;
        let ticks = Ticks::start(runner.waker()).await.context("starting the ticker")?;
        let local_token = new_local_token()?;
        let prices = price_files::catalogue(&config.prices_folder)?;
        price_files::report_age(&prices, domain::time::utc_day(clock.now()));
        let state = AppState {
            store: store.clone(),
            vault: Arc::new(VaultSealer(vault)),
            clock,
            reports: Arc::new(ChargeReports::new(store)),
            catalogue: catalogue(),
            prices,
            operator_prices: price_files::operator_prices(config.prices_file.as_deref())?,
            wake: runner.waker(),
            settings_changed: Arc::new(move || changed.notify_one()),
            caps: cluster.clone(),
            metrics: Arc::new(move || metrics.render()),
            limits: api::Limits { upload_bytes_max: config.upload_bytes_max, ..Default::default() },
            local_token: Some(LocalToken {
                sha256: identity::hash_key(local_token.expose()),
                organization,
            }),
            allow_private_urls: config.allow_private_urls,
            keys: Default::default(),
            own_prices: Default::default(),
            end_users: Default::default(),
        };
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}: is another server running?"))?;
        let address = listener.local_addr()?;
        if let Some(sqlite) = &opened.sqlite {
            sqlite.publish_holder(&format!("{address}\n{}\n", local_token.expose()))?;
        }
        let doors = peers::router(cluster.clone(), peer_key, Arc::new(SystemClock));
        let doors = doors.merge(operator_doors(&cluster, keys, &local_token));
        let front = api::Front::new(Arc::new(state), doors);
        let (stop_server, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, front, stopped));
        let first_key = first.map(|first| first.key);
        let mongo = opened.mongo;
        Ok(App {
            address,
            local_token,
            first_key,
            server,
            stop_server,
            runner,
            ticks,
            cluster,
            watchers,
            mongo,
        })
    }

    /// Answers what is under way, takes nothing new, gives leases back.
    pub(crate) async fn stop(mut self) {
        self.ticks.stop().await;
        // An error means that the server has ended already.
        let _sent = self.stop_server.send(());
        self.runner.shut_down().await;
        if let Err(error) = self.server.await {
            tracing::error!(error = %error, "the server ended badly");
        }
        self.watchers.shutdown().await;
        self.cluster.stop().await;
        // The driver's connections end before the run time that they live on.
        if let Some(mongo) = self.mongo {
            mongo.close().await;
        }
    }
}

async fn serve(listener: TcpListener, front: api::Front, stopped: oneshot::Receiver<()>) {
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(front);
    let until_stopped = async move {
        // A dropped sender stops it as well.
        let _stopped = stopped.await;
    };
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(until_stopped).await {
        tracing::error!(error = %error, "the server failed");
    }
}

/// TLS needs one provider for the whole process; a second call finds it installed.
pub(crate) fn install_crypto() {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn open_store(url: &StoreUrl) -> Result<Opened> {
    Ok(match url {
        StoreUrl::Sqlite(path) => {
            let sqlite = Arc::new(SqliteStore::open(path).await?);
            Opened {
                store: sqlite.clone(),
                shards: sqlite.clone(),
                sqlite: Some(sqlite),
                mongo: None,
            }
        }
        StoreUrl::Mongo(url) => {
            let mongo = Arc::new(MongoStore::open(url).await?);
            Opened { store: mongo.clone(), shards: mongo.clone(), sqlite: None, mongo: Some(mongo) }
        }
    })
}

/// The shards of the store, and the other processes that serve them.
async fn start_cluster(
    config: &Config,
    opened: &Opened,
    clock: &Arc<dyn Clock>,
    key: &PeerKey,
) -> Result<Arc<Cluster>> {
    let limits = shards::Limits { is_alone: opened.sqlite.is_some(), ..Default::default() };
    let parts = Parts {
        store: opened.shards.clone(),
        clock: clock.clone(),
        random: Arc::new(|| uuid::Uuid::new_v4().as_u128()),
        limits,
        formats: Default::default(),
    };
    let peers = HttpPeers::new(key.clone(), clock.clone())?;
    let cluster = Cluster::new(parts, config.advertise.clone(), Arc::new(peers));
    cluster.beat().await.context("joining the other processes of this store")?;
    // A clock that is wrong decides nothing, from the first request on.
    cluster.clock_guard().look().await;
    Ok(Arc::new(cluster))
}

/// The internal routes for what only an operator says.
fn operator_doors(
    cluster: &Arc<Cluster>,
    keys: Arc<dyn Store>,
    local_token: &Secret,
) -> axum::Router {
    let door = Arc::new(Door {
        cluster: cluster.clone(),
        store: keys,
        clock: Arc::new(SystemClock),
        local_sha256: identity::hash_key(local_token.expose()),
    });
    clock_accept::router(door.clone()).merge(shard_skip::router(door))
}

/// Starts what goes on beside requests.
fn watch(opened: &Opened, cluster: &Arc<Cluster>, changed: &Arc<Notify>) -> JoinSet<()> {
    let mut watchers = JoinSet::new();
    let living = cluster.clone();
    watchers.spawn(async move { living.live().await });
    watchers.spawn(follow_settings(opened.store.clone(), cluster.clone(), changed.clone()));
    if let Some(sqlite) = &opened.sqlite {
        let failed = sqlite.journal_failed();
        watchers.spawn(async move {
            failed.await;
            // What the disk has is known after a new start only.
            tracing::error!("the journal could not be written: the process ends");
            std::process::exit(1);
        });
    }
    watchers
}

fn key_source(origin: &KeyOrigin) -> Result<Arc<dyn KeySource>> {
    Ok(Arc::new(match origin {
        KeyOrigin::Environment(key) => LocalKey::from_text(key.expose())?,
        KeyOrigin::File(path) => LocalKey::from_file_or_new(path)?,
    }))
}

/// Makes the first organization where there is none. A file for its key that exists already would
/// be in the way only after the key was made and could not be shown again, so it is refused before.
async fn first_start(
    store: &dyn Store,
    clock: &dyn Clock,
    key_file: Option<&Path>,
) -> Result<Option<identity::FirstStart>> {
    if let Some(path) = key_file
        && path.exists()
        && store.organizations().await?.is_empty()
    {
        bail!("`{}` exists already and is not overwritten: name another file", path.display());
    }
    Ok(identity::first_start(store, clock, "My organization").await?)
}

async fn first_organization(store: &dyn Store) -> Result<OrganizationId> {
    let organizations = store.organizations().await?;
    Ok(organizations.first().context("the store has no organization")?.id)
}

async fn start_runner(
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    vault: &Arc<Vault>,
) -> Result<RunnerHandle> {
    let policy = match config.allow_private_urls {
        true => AddressPolicy::PrivateAllowed,
        false => AddressPolicy::PublicOnly,
    };
    let transport = Arc::new(HttpTransport::new(net::HttpClient::guarded(policy)?));
    let driver = Arc::new(Driver::new(transport, clock.clone(), Default::default()));
    let program: PathBuf = std::env::current_exe().context("finding this program")?;
    let (s, c) = (store.clone(), clock.clone());
    let jobs: Vec<Arc<dyn Job>> = vec![
        Arc::new(SyncConnection::new(
            s.clone(),
            c.clone(),
            vault.clone(),
            driver,
            connectors::find,
        )),
        Arc::new(ImportFile::new(s.clone(), c.clone(), program)),
        Arc::new(SweepStore::new(s.clone(), c.clone())),
    ];
    store.make_due(&SweepStore::key(), clock.now()).await?;
    Ok(Runner::new(s, c, jobs).start())
}

fn catalogue() -> Catalogue {
    Catalogue {
        connectors: connectors::REGISTRY.iter().map(|connector| connector.descriptor()).collect(),
        formats: parsers::REGISTRY.iter().map(|parser| parser.descriptor()).collect(),
    }
}

/// A token of this process alone, made like an API key.
fn new_local_token() -> Result<Secret> {
    let request = identity::KeyRequest {
        organization: OrganizationId::from_uuid(uuid::Uuid::nil()),
        name: "local".to_owned(),
        environment: domain::organization::Environment::Live,
        scopes: Vec::new(),
        path_prefix: None,
        expires_at: None,
        at: SystemClock.now(),
    };
    Ok(identity::make_api_key(request)?.secret)
}

/// The process's metrics; a process has one recorder, however many products run in it.
fn metrics_handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Fails only where a recorder is installed already, and this is the one place that does.
        let _installed = metrics::set_global_recorder(recorder);
        handle
    })
}
