//! Do all stores keep the contract? Every case runs on every backend, as a trial of its own.
//!
//! Cases are plain async functions, listed once per module; a trial is called
//! `sqlite::schedule::the_lease_goes_to_one_of_many`. Every trial has a fresh, empty store. Without
//! `OUTLAY_TEST_MONGODB_URI` the trials on MongoDB are ignored, or fail where
//! `OUTLAY_REQUIRE_ALL_BACKENDS=1` says that all must run.

use std::{future::Future, pin::Pin, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Trial};
use store::Store;

use backends::{Availability, Backend};

/// Lists a module's cases under their own names.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[crate::Case] = &[$(crate::Case {
            name: stringify!($name),
            run: |store| Box::pin($name(store)),
        }),*];
    };
}

mod backends;
mod sample;

mod api_keys;
mod audit;
mod bodies;
mod charges;
mod connections;
mod end_users;
mod facts;
mod files;
mod idempotency;
mod journal;
mod nodes;
mod organizations;
mod own_prices;
mod schedule;
mod secrets;
mod snapshots;
mod syncs;

/// One list of cases per repository.
const MODULES: &[(&str, &[Case])] = &[
    ("api_keys", api_keys::CASES),
    ("audit", audit::CASES),
    ("bodies", bodies::CASES),
    ("charges", charges::CASES),
    ("connections", connections::CASES),
    ("end_users", end_users::CASES),
    ("facts", facts::CASES),
    ("files", files::CASES),
    ("idempotency", idempotency::CASES),
    ("journal", journal::CASES),
    ("nodes", nodes::CASES),
    ("organizations", organizations::CASES),
    ("own_prices", own_prices::CASES),
    ("schedule", schedule::CASES),
    ("secrets", secrets::CASES),
    ("snapshots", snapshots::CASES),
    ("syncs", syncs::CASES),
];

/// What makes a case fail besides an assertion: anything that can be displayed converts into it.
pub(crate) type Failure = libtest_mimic::Failed;

/// A case: its name, and what to do with a fresh store.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Arc<dyn Store>) -> CaseFuture,
}

type CaseFuture = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let backends = backends::all();
    let trials = backends.iter().cloned().flat_map(trials_on).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    match backends.iter().try_for_each(|backend| runtime()?.block_on(backend.finish())) {
        Ok(()) => conclusion.exit_code(),
        Err(failure) => {
            eprintln!("cannot clean up: {}", failure.message().unwrap_or("no reason given"));
            ExitCode::FAILURE
        }
    }
}

/// Several threads, so that tasks of a case really run at the same time.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

fn trials_on(backend: Arc<dyn Backend>) -> Vec<Trial> {
    let all =
        MODULES.iter().flat_map(|(module, cases)| cases.iter().map(move |case| (module, case)));
    all.map(|(module, case)| trial(Arc::clone(&backend), module, case)).collect()
}

fn trial(backend: Arc<dyn Backend>, module: &str, case: &'static Case) -> Trial {
    let name = format!("{}::{module}::{}", backend.name(), case.name);
    match backend.availability() {
        Availability::Ready => Trial::test(name, move || run(&*backend, case)),
        Availability::Missing => Trial::test(name, || Ok(())).with_ignored_flag(true),
        Availability::Required(why) => Trial::test(name, move || Err(why.into())),
    }
}

fn run(backend: &dyn Backend, case: &Case) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let fresh = backend.fresh().await?;
        // A task of its own: the store is cleaned up after a failed assertion too.
        let outcome = tokio::spawn((case.run)(Arc::clone(&fresh.store))).await;
        fresh.discard().await?;
        match outcome {
            Ok(result) => result,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(stopped) => Err(stopped.into()),
            },
        }
    })
}
