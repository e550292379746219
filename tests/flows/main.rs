//! The whole product, as its users meet it: the real binary over HTTP and its commands, with the
//! sandbox as the provider, on both stores. Each trial has a store of its own.
#![expect(clippy::disallowed_methods, reason = "tests call the product with a client of their own")]

mod backups;
mod bad_files;
mod bodies;
mod books;
mod caps;
mod commands;
mod crashes;
mod files;
mod secrets;

use std::{future::Future, pin::Pin, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use product::Backend;

/// The binary under test.
pub(crate) const OUTLAY: &str = env!("CARGO_BIN_EXE_outlay");

/// Lists flows under their own names: `flows!(FLOWS: first, second)`.
macro_rules! flows {
    ($list:ident: $($name:ident),* $(,)?) => {
        pub(crate) const $list: &[crate::Flow] = &[$(crate::Flow {
            name: stringify!($name),
            run: |backend| Box::pin($name(backend)),
        }),*];
    };
}
pub(crate) use flows;

type FlowFuture = Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// A flow: its name, and what happens on a store.
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Backend) -> FlowFuture,
}

/// Flows on every store.
const ON_BOTH: &[(&str, &[Flow])] = &[
    ("backups", backups::FLOWS),
    ("bad_files", bad_files::FLOWS),
    ("bodies", bodies::FLOWS),
    ("books", books::FLOWS),
    ("caps", caps::FLOWS),
    ("commands", commands::FLOWS),
    ("crashes", crashes::FLOWS),
    ("files", files::FLOWS),
    ("secrets", secrets::FLOWS),
];
/// Flows about what only one kind of store has: a single holder, or a primary and several servers.
const ON_SQLITE: &[(&str, &[Flow])] = &[("books", books::ON_SQLITE)];
const ON_MONGODB: &[(&str, &[Flow])] =
    &[("books", books::ON_MONGODB), ("caps", caps::ON_MONGODB), ("crashes", crashes::ON_MONGODB)];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for backend in Backend::all() {
        let own = match backend {
            Backend::Sqlite => ON_SQLITE,
            Backend::Mongo(_) | Backend::MissingMongo => ON_MONGODB,
        };
        for (module, flows) in ON_BOTH.iter().chain(own) {
            trials.extend(flows.iter().map(|flow| trial(backend.clone(), module, flow)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(backend: Backend, module: &str, flow: &'static Flow) -> Trial {
    let name = format!("{}::{module}::{}", backend.name(), flow.name);
    let is_missing = matches!(backend, Backend::MissingMongo);
    Trial::test(name, move || run(backend, flow)).with_ignored_flag(is_missing)
}

fn run(backend: Backend, flow: &Flow) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on((flow.run)(backend));
    runtime.shutdown_background();
    result.map_err(|error| format!("{error:#}").into())
}
