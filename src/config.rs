//! Settings: flags over environment over `outlay.toml` over `outlay.default.toml`. With the command
//! line, the only place that reads the environment.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use domain::Secret;
use serde::Deserialize;
use store::StoreUrl;

use crate::cli::Settings;

const DEFAULTS: &str = include_str!("../outlay.default.toml");
const DEFAULT_FILE: &str = "outlay.toml";

/// The keys of a configuration file.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    listen: Option<String>,
    store: Option<String>,
    key_file: Option<PathBuf>,
    advertise: Option<String>,
    first_key_file: Option<PathBuf>,
    allow_private_urls: Option<bool>,
    upload_bytes_max: Option<u64>,
    prices_folder: Option<PathBuf>,
    prices_file: Option<PathBuf>,
    log: Option<String>,
    log_format: Option<LogFormat>,
}

/// How logs are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Where the key-encryption key comes from.
#[derive(Clone)]
pub(crate) enum KeyOrigin {
    /// `OUTLAY_KEY`.
    Environment(Secret),
    /// A file, made on the first start.
    File(PathBuf),
}

/// Settings in force.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) store: StoreUrl,
    pub(crate) key: KeyOrigin,
    /// Where other processes on the same store reach this one.
    pub(crate) advertise: Option<String>,
    pub(crate) first_key_file: Option<PathBuf>,
    pub(crate) allow_private_urls: bool,
    pub(crate) upload_bytes_max: u64,
    /// Folder of the price catalogue that takes the place of the built-in one, if it has files.
    pub(crate) prices_folder: PathBuf,
    /// File with own prices for every organization.
    pub(crate) prices_file: Option<PathBuf>,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// Each setting as text, with where it came from, for `outlay config`.
    pub(crate) origins: BTreeMap<&'static str, (String, String)>,
}

impl Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

impl Config {
    /// Merges the layers.
    pub(crate) fn load(flags: &Settings) -> Result<Config> {
        let (file, file_name) = read_file(flags.config.as_deref())?;
        let defaults: FileSettings = toml::from_str(DEFAULTS).context("outlay.default.toml")?;
        let mut layers = Layers { file_name, origins: BTreeMap::new() };
        let listen = layers.pick("listen", &flags.listen, file.listen, defaults.listen)?;
        let store = layers.pick("store", &flags.store, file.store, defaults.store)?;
        // A connection string may hold a password.
        layers.mask("store", &store);
        let format = flags.log_format.as_deref().map(parse_log_format).transpose()?;
        let log = layers.pick("log", &flags.log, file.log, defaults.log)?;
        let log_format =
            layers.pick("log_format", &format, file.log_format, defaults.log_format)?;
        let private = file.allow_private_urls;
        let private = layers.pick(
            "allow_private_urls",
            &flags.allow_private_urls,
            private,
            defaults.allow_private_urls,
        )?;
        let advertise =
            layers.pick("advertise", &flags.advertise, file.advertise, defaults.advertise)?;
        let upload_bytes_max = layers.pick(
            "upload_bytes_max",
            &flags.upload_bytes_max,
            file.upload_bytes_max,
            defaults.upload_bytes_max,
        )?;
        let store = StoreUrl::parse(&store)?;
        let folder = layers.path("prices_folder", &flags.prices_folder, file.prices_folder);
        let prices_file = layers.path("prices_file", &flags.prices_file, file.prices_file);
        let key_file = flags.key_file.clone().or(file.key_file).filter(|path| !is_empty(path));
        let key = layers.key(key_file, &store);
        let first_key_file = flags.first_key_file.clone().or(file.first_key_file);
        Ok(Config {
            listen: listen.parse().with_context(|| format!("`{listen}` is not ADDRESS:PORT"))?,
            key,
            advertise: Some(advertise).filter(|address| !address.is_empty()),
            first_key_file: first_key_file.filter(|path| !is_empty(path)),
            allow_private_urls: private,
            upload_bytes_max,
            prices_folder: folder.unwrap_or_else(|| beside(&store, "prices")),
            store,
            prices_file,
            log,
            log_format,
            origins: layers.origins,
        })
    }
}

struct Layers {
    file_name: String,
    origins: BTreeMap<&'static str, (String, String)>,
}

impl Layers {
    fn pick<T: Clone + Display>(
        &mut self,
        name: &'static str,
        flag: &Option<T>,
        file: Option<T>,
        default: Option<T>,
    ) -> Result<T> {
        let (value, origin) = match (flag, file, default) {
            (Some(value), _, _) => (value.clone(), "flag or environment".to_owned()),
            (None, Some(value), _) => (value, self.file_name.clone()),
            (None, None, Some(value)) => (value, "default".to_owned()),
            (None, None, None) => bail!("`{name}` has no default"),
        };
        self.origins.insert(name, (value.to_string(), origin));
        Ok(value)
    }

    /// A path that may be left empty.
    fn path(
        &mut self,
        name: &'static str,
        flag: &Option<PathBuf>,
        file: Option<PathBuf>,
    ) -> Option<PathBuf> {
        let (path, origin) = match (flag, file) {
            (Some(path), _) => (path.clone(), "flag or environment".to_owned()),
            (None, Some(path)) => (path, self.file_name.clone()),
            (None, None) => (PathBuf::new(), "default".to_owned()),
        };
        self.origins.insert(name, (path.display().to_string(), origin));
        Some(path).filter(|path| !is_empty(path))
    }

    fn mask(&mut self, name: &'static str, value: &str) {
        if let (Some((shown, _)), Some((user, host))) =
            (self.origins.get_mut(name), value.split_once('@'))
        {
            let scheme = user.split_once("://").map_or("", |(scheme, _)| scheme);
            *shown = format!("{scheme}://…@{host}");
        }
    }

    fn key(&mut self, file: Option<PathBuf>, store: &StoreUrl) -> KeyOrigin {
        if let (None, Some(key)) = (&file, environment("OUTLAY_KEY")) {
            let shown = ("(hidden)".to_owned(), "OUTLAY_KEY".to_owned());
            self.origins.insert("key", shown);
            return KeyOrigin::Environment(Secret::new(key));
        }
        let origin = if file.is_some() { "flag, environment or file" } else { "default" };
        let path = file.unwrap_or_else(|| beside(store, "key"));
        let shown = (path.display().to_string(), origin.to_owned());
        self.origins.insert("key_file", shown);
        KeyOrigin::File(path)
    }
}

fn read_file(path: Option<&Path>) -> Result<(FileSettings, String)> {
    let name = path.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(name) {
        Ok(text) => text,
        Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((FileSettings::default(), DEFAULT_FILE.to_owned()));
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read `{}`", name.display()));
        }
    };
    let settings = toml::from_str(&text)
        .with_context(|| format!("`{}` is not a valid configuration", name.display()))?;
    Ok((settings, name.display().to_string()))
}

/// What belongs to a store and lies beside it: `outlay.db.key`.
fn beside(store: &StoreUrl, ending: &str) -> PathBuf {
    match store {
        StoreUrl::Sqlite(path) => {
            let mut name = path.clone().into_os_string();
            name.push(format!(".{ending}"));
            name.into()
        }
        StoreUrl::Mongo(_) => format!("outlay.{ending}").into(),
    }
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn parse_log_format(text: &str) -> Result<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => bail!("the log format is `text` or `json`, not `{text}`"),
    }
}

/// A variable of the environment, where it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(flags: Settings) -> Config {
        Config::load(&flags).unwrap()
    }

    fn file(text: &str) -> (tempfile::NamedTempFile, Settings) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let settings = Settings { config: Some(file.path().to_owned()), ..Settings::default() };
        (file, settings)
    }

    #[test]
    fn flags_win_over_the_file_and_that_over_the_defaults() {
        let (_file, settings) = file("listen = \"127.0.0.1:1\"\nlog = \"debug\"\n");
        let settings = Settings { listen: Some("127.0.0.1:2".into()), ..settings };
        let config = load(settings);
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.log, "debug");
        assert_eq!(config.upload_bytes_max, 5 << 30);
        assert!(!config.allow_private_urls);
        assert_eq!(config.origins["listen"].1, "flag or environment");
        assert_eq!(config.origins["store"].1, "default");
    }

    #[test]
    fn unknown_settings_and_wrong_values_are_refused() {
        for text in ["lisen = \"127.0.0.1:1\"", "listen = 1", "log_format = \"xml\"", "listen = "] {
            let (_file, settings) = file(text);
            assert!(Config::load(&settings).is_err(), "{text}");
        }
        let (_file, settings) = file("store = \"postgres://localhost\"");
        assert!(Config::load(&settings).is_err());
        let missing = Settings { config: Some("no-such.toml".into()), ..Settings::default() };
        assert!(Config::load(&missing).is_err(), "a named file must be there");
    }

    #[test]
    fn a_store_url_is_shown_without_its_password() {
        let url = Some("mongodb://me:hunter2@db1/outlay".to_owned());
        let config = load(Settings { store: url, ..Settings::default() });
        assert_eq!(config.origins["store"].0, "mongodb://…@db1/outlay");
    }

    #[test]
    fn the_key_lies_beside_an_embedded_store() {
        let store = Some("sqlite:/data/o.db".to_owned());
        let config = load(Settings { store, ..Settings::default() });
        assert!(matches!(config.key, KeyOrigin::File(path) if path == Path::new("/data/o.db.key")));
    }
}
