//! What only a store on a replica set must do: outlive primaries, and be opened by many at once.
//!
//! Ignored without `OUTLAY_TEST_MONGODB_URI`, as MongoDB's conformance trials are, and failing
//! where `OUTLAY_REQUIRE_ALL_BACKENDS=1` says that all must run.

use std::{future::Future, process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Failed, Trial};

mod backups;
mod failover;
mod journals;
mod opening;

const DEADLINE_SECONDS: u64 = 180;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = vec![
        trial("what_was_acknowledged_survives_the_loss_of_primaries_and_is_there_once", |_| {
            failover::kill_primaries_during_writes()
        }),
        trial("a_journal_keeps_its_order_through_the_loss_of_primaries", |_| {
            journals::kill_primaries_during_appends()
        }),
        trial("many_may_open_an_empty_store_at_once", opening::open_at_once),
        trial("a_backup_beside_writers_is_of_one_instant", backups::back_up_beside_writers),
        trial("a_backup_goes_into_an_empty_database_only", backups::refuse_what_is_not_empty),
        trial("a_store_of_a_newer_version_is_refused", opening::open_newer),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A trial that is told where the shared replica set is.
fn trial<F>(name: &str, case: impl FnOnce(String) -> F + Send + 'static) -> Trial
where
    F: Future<Output = Result<(), Failed>>,
{
    match setting("OUTLAY_TEST_MONGODB_URI") {
        Some(uri) => Trial::test(name, move || run(case(uri))),
        None if setting("OUTLAY_REQUIRE_ALL_BACKENDS").as_deref() == Some("1") => {
            Trial::test(name, || Err("`OUTLAY_TEST_MONGODB_URI` is not set".into()))
        }
        None => Trial::test(name, || Ok(())).with_ignored_flag(true),
    }
}

fn run(case: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let deadline = Duration::from_secs(DEADLINE_SECONDS);
        tokio::time::timeout(deadline, case).await?
    })
}

#[expect(clippy::disallowed_methods, reason = "where a test's database is, only its caller knows")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
