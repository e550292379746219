//! Where a product keeps its data in a test: which store, and a fresh folder or database of its
//! own.

use std::{path::PathBuf, process::Stdio};

use anyhow::Result;
use tempfile::TempDir;
use tokio::process::Command;

const MONGODB_URI: &str = "OUTLAY_TEST_MONGODB_URI";
const ALL_REQUIRED: &str = "OUTLAY_REQUIRE_ALL_BACKENDS";

/// Which store a test runs on.
#[derive(Debug, Clone)]
pub enum Backend {
    /// A file.
    Sqlite,
    /// A replica set.
    Mongo(String),
    /// No replica set was given; the trial is listed as ignored.
    MissingMongo,
}

impl Backend {
    /// Every store. Without a replica set, the second is missing.
    ///
    /// # Panics
    /// Where all backends are required and one is missing.
    #[must_use]
    pub fn all() -> Vec<Backend> {
        let mongo = match std::env::var(MONGODB_URI) {
            Ok(uri) => Backend::Mongo(uri),
            Err(_) if std::env::var(ALL_REQUIRED).is_ok_and(|required| required == "1") => {
                panic!("{ALL_REQUIRED}=1 and no {MONGODB_URI}: run `make test`")
            }
            Err(_) => Backend::MissingMongo,
        };
        vec![Backend::Sqlite, mongo]
    }

    /// What trials on it are called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Backend::Sqlite => "sqlite",
            Backend::Mongo(_) | Backend::MissingMongo => "mongodb",
        }
    }
}

/// A fresh store and the folder of everything that belongs to it.
#[derive(Debug)]
pub struct Home {
    /// The folder, removed with this value.
    pub folder: TempDir,
    /// Where the store is, as `--store` takes it.
    pub store: String,
    binary: PathBuf,
}

impl Home {
    /// A fresh store for `binary`, the path of the one under test.
    ///
    /// # Errors
    /// Where there can be no temporary folder.
    pub fn new(binary: impl Into<PathBuf>, backend: &Backend) -> Result<Home> {
        let folder = tempfile::tempdir()?;
        let store = match backend {
            Backend::Mongo(uri) => in_database(uri),
            _ => format!("sqlite:{}", folder.path().join("outlay.db").display()),
        };
        Ok(Home { binary: binary.into(), folder, store })
    }

    /// A file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of the binary on this store, with nothing of this process's own settings.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
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
    let database = format!("product_{}", uuid::Uuid::now_v7().simple());
    let (base, options) = uri.split_once('?').unwrap_or((uri, ""));
    let hosts = base.trim_start_matches("mongodb://").split('/').next().unwrap_or("");
    format!("mongodb://{hosts}/{database}?{options}")
}
