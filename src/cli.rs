//! The command line: every command, flag and help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What AI APIs really cost.
#[derive(Parser)]
#[command(name = "outlay", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Settings of every command; what is not given comes from `outlay.toml`, else from the defaults.
#[derive(Args, Clone, Default)]
pub(crate) struct Settings {
    /// Configuration file [default: outlay.toml, if there is one]
    #[arg(long, global = true, env = "OUTLAY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Store: sqlite:PATH or mongodb://HOST/DATABASE [default: sqlite:outlay.db]
    #[arg(long, global = true, env = "OUTLAY_STORE", value_name = "URL", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// File with the key that protects stored credentials [default: beside the store]
    #[arg(long, global = true, env = "OUTLAY_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, or a filter [default: info]
    #[arg(long, global = true, env = "OUTLAY_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How it is logged: text or json [default: text]
    #[arg(long, global = true, env = "OUTLAY_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// Where the API listens [default: 127.0.0.1:8787]
    #[arg(long, global = true, env = "OUTLAY_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Where other processes on the same MongoDB reach this one [default: they do not]
    #[arg(long, global = true, env = "OUTLAY_ADVERTISE", value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// Where the first start writes the owner's API key, instead of printing it once
    #[arg(long, global = true, env = "OUTLAY_FIRST_KEY_FILE", value_name = "FILE")]
    pub(crate) first_key_file: Option<PathBuf>,
    /// Lets connections use addresses inside your network
    #[arg(long, global = true, env = "OUTLAY_ALLOW_PRIVATE_URLS", num_args = 0..=1,
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) allow_private_urls: Option<bool>,
    /// Folder with a price catalogue that takes the place of the built-in one [default: beside the
    /// store]
    #[arg(long, global = true, env = "OUTLAY_PRICES_FOLDER", value_name = "FOLDER", hide = true)]
    pub(crate) prices_folder: Option<PathBuf>,
    /// File with own prices for every organization
    #[arg(long, global = true, env = "OUTLAY_PRICES_FILE", value_name = "FILE", hide = true)]
    pub(crate) prices_file: Option<PathBuf>,
    /// Largest upload in bytes [default: 5368709120]
    #[arg(long, global = true, env = "OUTLAY_UPLOAD_BYTES_MAX", value_name = "BYTES", hide = true)]
    pub(crate) upload_bytes_max: Option<u64>,
}

/// How lists are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// A bare array.
    Json,
    /// With a header line.
    Csv,
}

#[derive(Args, Clone)]
pub(crate) struct OutputArg {
    /// How the result is printed
    #[arg(long, short, default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the server: the API, the polls and the imports
    #[command(
        after_help = "Example:\n  outlay serve --listen 127.0.0.1:8787 --store sqlite:outlay.db"
    )]
    Serve,
    /// Shows the product on sample data: starts it with a sandbox provider, back-fills, imports a
    /// file
    #[command(after_help = "Example:\n  outlay demo")]
    Demo(DemoArgs),
    /// Connects a provider's billing API; asks for the key without showing it
    #[command(after_help = "Example:\n  outlay connect openai --name production")]
    Connect(ConnectArgs),
    /// Imports billing files
    #[command(after_help = "Example:\n  outlay import november.csv --account 123456789012")]
    Import(ImportArgs),
    /// Prints costs
    #[command(
        after_help = "Examples:\n  outlay costs --from 2026-11-01 --group-by provider,model\n  \
                            outlay costs --granularity day --output csv"
    )]
    Costs(CostsArgs),
    /// Polls a connection now
    #[command(after_help = "Example:\n  outlay sync conn_01k…")]
    Sync(SyncArgs),
    /// Shows, compares and imports prices, and reprices what was reported
    #[command(subcommand)]
    Prices(PricesCommand),
    /// Lists the providers that can be connected, and what each can tell
    Providers(OutputArg),
    /// Lists the billing-file formats that can be imported
    Formats(OutputArg),
    /// Emulates a provider's admin API with made-up data, and tells its books
    #[command(after_help = "Example:\n  outlay sandbox --listen 127.0.0.1:8790 --seed 7\n  \
                            curl 'http://127.0.0.1:8790/_books?from=2026-11-01&to=2026-11-02'")]
    Sandbox(SandboxArgs),
    /// Copies the whole store into a new folder, while servers go on
    #[command(after_help = "Examples:\n  outlay backup /backups/2026-11-21\n  \
                            outlay backup /backups/monday --store mongodb://db1/outlay\n\n\
                            The key file is not copied: keep it apart.")]
    Backup(FolderArg),
    /// Makes a store from a backup, where there is none; stop every server of it before
    #[command(
        after_help = "Example:\n  outlay restore /backups/2026-11-21 --store sqlite:outlay.db\n\n\
                      What is there already is never overwritten."
    )]
    Restore(FolderArg),
    /// What a person says about this machine's clock
    #[command(subcommand)]
    Clock(ClockCommand),
    /// What an operator does about a journal that was given up
    #[command(subcommand)]
    Shard(ShardCommand),
    /// Prints the settings in force and where each comes from
    Config,
    /// Prints the OpenAPI document of the API
    Openapi,
    /// Reads one file for an import (started by the server itself)
    #[command(name = "parse-worker", hide = true)]
    ParseWorker,
}

#[derive(Args)]
pub(crate) struct FolderArg {
    /// Folder of the backup
    pub(crate) folder: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum ClockCommand {
    /// Says that it is right, to a running server that decides nothing because of it
    #[command(after_help = "Examples:\n  outlay clock accept\n  \
                            OUTLAY_URL=https://outlay.example OUTLAY_API_KEY=… outlay clock accept")]
    Accept,
}

#[derive(Subcommand)]
pub(crate) enum ShardCommand {
    /// Passes over an entry that cannot be followed, on every server and for good
    #[command(
        after_help = "Example:\n  outlay shard skip 4711 --reason 'crashes 1.0.3, issue 12'\n\n\
                            The error `the shard was stopped at entry N` names it. What was \
                            acknowledged with the entry is\nlost; back up before. An entry that \
                            can be followed is never skipped."
    )]
    Skip(ShardSkipArgs),
}

#[derive(Args)]
pub(crate) struct ShardSkipArgs {
    /// Number of the entry
    pub(crate) seq: u64,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Whose journal [default: the only organization, or the key's]
    #[arg(long, value_name = "ID")]
    pub(crate) organization: Option<String>,
    /// live or test
    #[arg(long, default_value = "live")]
    pub(crate) environment: String,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Ends after the report instead of serving on
    #[arg(long)]
    pub(crate) exit: bool,
    /// Seed of the made-up data
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Days to back-fill
    #[arg(long, default_value_t = 90)]
    pub(crate) days: u32,
}

#[derive(Args)]
pub(crate) struct ConnectArgs {
    /// Provider, as `outlay providers` lists it
    pub(crate) provider: String,
    /// Name of the connection [default: the provider's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How many past days are read at first
    #[arg(long)]
    pub(crate) backfill_days: Option<u32>,
    /// Scheme, host and port instead of the provider's own, for the sandbox or a gateway
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Returns once the connection is made, without waiting for its first sync
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// Billing files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Who bills, where the file does not say
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// The provider's account, where the file does not say
    #[arg(long)]
    pub(crate) account: Option<String>,
    /// Leaves out rows that cannot be read, instead of refusing the file
    #[arg(long)]
    pub(crate) skip_bad_rows: bool,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

#[derive(Args)]
pub(crate) struct CostsArgs {
    /// First day or instant [default: 30 days ago]
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// First day or instant that is not included [default: now]
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// hour, day, week, month or total
    #[arg(long, default_value = "total")]
    pub(crate) granularity: String,
    /// provider, service, model, unit, connection, sub_account, api_key; several with commas
    #[arg(long, default_value = "provider,model")]
    pub(crate) group_by: String,
    /// Only this provider
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Only this model
    #[arg(long)]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

#[derive(Subcommand)]
pub(crate) enum PricesCommand {
    /// Shows what a model costs: every rate with its source, date and confidence
    #[command(after_help = "Examples:\n  outlay prices show gpt-5.4\n  \
                            outlay prices show claude-sonnet-4-6 --service bedrock\n  \
                            outlay prices show gpt-5.4 --service openai \\\n      \
                            --usage '{\"input_tokens\": 1000, \"output_tokens\": 500}'")]
    Show(PricesShowArgs),
    /// Makes the catalogue anew from public price catalogues, after showing what would change
    #[command(after_help = "Example:\n  outlay prices import model_prices.json \\\n      \
                            --catalogue-version 1.109.1")]
    Import(PricesImportArgs),
    /// Prices reported usage anew with the prices of now; shows what would change, books it with
    /// --apply
    #[command(after_help = "Examples:\n  outlay prices reprice\n  \
                            outlay prices reprice --from 2026-11-01 --service openai --apply\n\n\
                            Looks at the last 30 days and at what had no price, unless told \
                            otherwise. Events stay as they\nwere booked: the differences are \
                            entries of their own. Run again, it changes nothing more.")]
    Reprice(PricesRepriceArgs),
    /// Shows what an import would change, and changes nothing
    #[command(after_help = "Example:\n  outlay prices diff genai-prices-0.2.3.json")]
    Diff(PricesSourcesArgs),
}

#[derive(Args)]
pub(crate) struct PricesShowArgs {
    /// Model, as it is sent or as the response names it
    pub(crate) model: String,
    /// Who sells it [default: everybody who knows the name]
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// At this instant or on this day, past or future [default: now]
    #[arg(long)]
    pub(crate) at: Option<String>,
    /// Prices this usage, as the API takes it: '{"input_tokens": 1000}'
    #[arg(long, value_name = "JSON", requires = "service")]
    pub(crate) usage: Option<String>,
    /// What else changes the rate: '{"processing": "batch"}'
    #[arg(long, value_name = "JSON", requires = "usage")]
    pub(crate) context: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

#[derive(Args)]
pub(crate) struct PricesRepriceArgs {
    /// First day or instant [default: 30 days ago]
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// First day or instant that is not included [default: now]
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Only this path and everything below
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Only what this service sold
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// Only this model, by its canonical name
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// What had a price too, not only what had none
    #[arg(long)]
    pub(crate) all: bool,
    /// Books the differences
    #[arg(long)]
    pub(crate) apply: bool,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

#[derive(Args)]
pub(crate) struct PricesSourcesArgs {
    /// LiteLLM's price map, genai-prices' JSON, metergraph's YAML, or Outlay's own TOML; plain or
    /// gzip
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Version of the catalogue, where a file's name does not say it [default: the day]
    #[arg(long, value_name = "VERSION")]
    pub(crate) catalogue_version: Option<String>,
    /// The day on which the files were read [default: today]
    #[arg(long, value_name = "DATE")]
    pub(crate) read_on: Option<jiff::civil::Date>,
    /// The day from which changed prices hold, where a file does not say [default: today]
    #[arg(long, value_name = "DATE")]
    pub(crate) on: Option<jiff::civil::Date>,
    /// Folder of the catalogue [default: the configured one]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Lists as well what of the sources is not taken over, and why
    #[arg(long)]
    pub(crate) refused: bool,
    /// Starts from nothing instead of the folder's or the built-in catalogue
    #[arg(long)]
    pub(crate) from_nothing: bool,
}

#[derive(Args)]
pub(crate) struct PricesImportArgs {
    #[command(flatten)]
    pub(crate) sources: PricesSourcesArgs,
    /// Writes without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Args)]
pub(crate) struct SyncArgs {
    /// Connection id
    pub(crate) connection: String,
}

#[derive(Args)]
pub(crate) struct SandboxArgs {
    /// Seed of the made-up data: the same seed gives the same data
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// The sandbox's today; data ends the day before [default: today]
    #[arg(long, value_name = "DATE")]
    pub(crate) today: Option<jiff::civil::Date>,
}
