//! Cases of uploaded files: the spool, the one file for the same bytes, the import's end.

use std::sync::Arc;

use bytes::Bytes;
use domain::{
    Currency, FileError, FileState, FileTotal, Money, UploadedFile,
    file::{FileOptions, FileReport, OnError},
    fixed,
};
use futures::future::try_join_all;
use jiff::{Timestamp, civil::date};
use store::{
    Store,
    charges::Committed,
    files::{FileCreated, SPOOL_CHUNK_BYTES},
};

use crate::{
    Failure,
    sample::{
        Worker, at, audit, audit_count, batch_id, block, file, file_id, import_job, organization,
        page, take_over,
    },
};

cases! {
    a_spooled_upload_reads_back,
    a_chunk_written_twice_is_there_once,
    uploads_do_not_mix,
    a_deleted_upload_is_gone,
    an_upload_without_a_file_is_swept_only_when_it_is_old,
    bytes_that_a_file_needs_are_never_swept,
    the_bytes_of_an_ended_import_are_swept,
    many_uploads_are_swept_at_once,
    a_file_comes_with_its_import_on_the_schedule,
    making_a_file_twice_changes_nothing,
    the_same_bytes_are_one_file,
    of_many_uploads_of_the_same_bytes_one_is_made,
    bytes_that_were_refused_may_come_again,
    every_field_and_the_largest_amounts_read_back,
    another_organization_sees_and_deletes_nothing,
    pages_are_stable_under_inserts_and_deletes,
    progress_is_noted_only_while_the_import_goes_on,
    an_import_ends_under_its_lease,
    a_lost_lease_cannot_end_an_import,
    an_import_that_ended_well_cannot_fail_later,
    a_commit_ends_the_import_with_its_report,
    a_file_without_charges_can_be_done,
    a_deleted_file_takes_everything_with_it,
    a_deleted_file_is_not_brought_back_by_its_import,
}

async fn make(store: &dyn Store, number: u128) -> Result<UploadedFile, Failure> {
    let made = file(organization(1), number)?;
    let created = store.create_file(&made, &audit(organization(1), 100)?).await?;
    assert_eq!(created, FileCreated::Created);
    Ok(made)
}

async fn stored(store: &dyn Store, number: u128) -> Result<UploadedFile, Failure> {
    Ok(store.file(organization(1), file_id(number)).await?.ok_or("the file is gone")?)
}

/// With the largest amounts there are, both ways.
fn report() -> Result<FileReport, Failure> {
    let yen = Currency::parse("JPY").ok_or("no yen")?;
    let total = |femtos, currency, residue| {
        let billed_cost = Money::from_femtos(femtos, currency).ok_or("out of range")?;
        Ok::<_, Failure>(FileTotal { billed_cost, residue })
    };
    let largest = u64::try_from(i64::MAX)?;
    let error = |row, column: Option<&str>| FileError {
        row,
        column: column.map(str::to_owned),
        code: "bad_number".to_owned(),
        message: "keine Zahl – 数ではない".to_owned(),
    };
    Ok(FileReport {
        format: Some("focus".to_owned()),
        row_count: (1 << 53) + 1,
        charge_count: (1 << 53) + 3,
        totals: vec![
            total(fixed::MAX, Currency::USD, i128::MAX)?,
            total(-fixed::MAX, yen, i128::MIN)?,
            total(-1, Currency::USD, 0)?,
        ],
        warnings: vec![error(None, None)],
        errors: vec![error(Some(largest), Some("BilledCost")), error(Some(0), Some(""))],
    })
}

async fn a_spooled_upload_reads_back(store: Arc<dyn Store>) -> Result<(), Failure> {
    let id = file_id(1);
    assert_eq!(store.spool_read(id, 0).await?, None);
    let full = Bytes::from(vec![0xa5; SPOOL_CHUNK_BYTES]);
    let last = Bytes::from_static(b"\0end");
    store.spool_write(id, 0, full.clone()).await?;
    store.spool_write(id, 1, full.clone()).await?;
    store.spool_write(id, 2, last.clone()).await?;
    assert_eq!(store.spool_read(id, 2).await?, Some(last));
    assert!(store.spool_read(id, 0).await? == Some(full.clone()));
    assert!(store.spool_read(id, 1).await? == Some(full));
    assert_eq!(store.spool_read(id, 3).await?, None);
    Ok(())
}

async fn a_chunk_written_twice_is_there_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let id = file_id(1);
    let full = Bytes::from(vec![1; SPOOL_CHUNK_BYTES]);
    let last = Bytes::from_static(b"end");
    for (chunk, bytes) in [(0, &full), (0, &full), (1, &last), (1, &last), (0, &full)] {
        store.spool_write(id, chunk, bytes.clone()).await?;
    }
    assert!(store.spool_read(id, 0).await? == Some(full));
    assert_eq!(store.spool_read(id, 1).await?, Some(last));
    assert_eq!(store.spool_read(id, 2).await?, None);
    Ok(())
}

async fn uploads_do_not_mix(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.spool_write(file_id(1), 0, "one".into()).await?;
    store.spool_write(file_id(2), 0, "two".into()).await?;
    store.spool_delete(file_id(1)).await?;
    assert_eq!(store.spool_read(file_id(1), 0).await?, None);
    assert_eq!(store.spool_read(file_id(2), 0).await?, Some("two".into()));
    Ok(())
}

async fn a_deleted_upload_is_gone(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.spool_delete(file_id(1)).await?;
    store.spool_write(file_id(1), 0, "longer than the next".into()).await?;
    store.spool_delete(file_id(1)).await?;
    store.spool_delete(file_id(1)).await?;
    assert_eq!(store.spool_read(file_id(1), 0).await?, None);
    store.spool_write(file_id(1), 0, "next".into()).await?;
    assert_eq!(store.spool_read(file_id(1), 0).await?, Some("next".into()));
    Ok(())
}

/// The number of an upload that was begun at an instant in seconds, as its id says.
fn begun_at(second: u128) -> u128 {
    (second * 1000) << 80
}

async fn an_upload_without_a_file_is_swept_only_when_it_is_old(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let (old, new) = (file_id(begun_at(1000) - 1), file_id(begun_at(1000)));
    for id in [old, new] {
        store.spool_write(id, 0, Bytes::from(vec![1; SPOOL_CHUNK_BYTES])).await?;
        store.spool_write(id, 1, "end".into()).await?;
    }
    assert_eq!(store.sweep_spool(at(-1)?).await?, 0);
    assert_eq!(store.sweep_spool(at(999)?).await?, 0);
    assert_eq!(store.spool_read(old, 1).await?, Some("end".into()));
    for swept_count in [1, 0] {
        assert_eq!(store.sweep_spool(at(1000)?).await?, swept_count);
        assert_eq!(store.spool_read(old, 0).await?, None);
        assert_eq!(store.spool_read(old, 1).await?, None);
        assert_eq!(store.spool_read(new, 1).await?, Some("end".into()));
    }
    assert_eq!(store.sweep_spool(Timestamp::MAX).await?, 1);
    assert_eq!(store.spool_read(new, 0).await?, None);
    Ok(())
}

async fn bytes_that_a_file_needs_are_never_swept(store: Arc<dyn Store>) -> Result<(), Failure> {
    for number in 1..=4 {
        store.spool_write(file_id(number), 0, "bytes".into()).await?;
    }
    let unmapped = Worker::import(&*store, organization(1), 1).await?;
    let (state, report) = (FileState::NeedsMapping, report()?);
    assert!(store.end_import(&unmapped.lease, file_id(1), state, &report, at(300)?).await?);
    make(&*store, 2).await?;
    store.record_file_progress(file_id(2), 5).await?;
    make(&*store, 4).await?;
    assert_eq!(store.sweep_spool(Timestamp::MAX).await?, 1);
    for (number, state) in
        [(1, FileState::NeedsMapping), (2, FileState::Parsing), (4, FileState::Queued)]
    {
        assert_eq!(stored(&*store, number).await?.state, state);
        assert_eq!(store.spool_read(file_id(number), 0).await?, Some("bytes".into()));
    }
    assert_eq!(store.spool_read(file_id(3), 0).await?, None);
    Ok(())
}

async fn the_bytes_of_an_ended_import_are_swept(store: Arc<dyn Store>) -> Result<(), Failure> {
    let (done, failed) = (begun_at(1000), begun_at(1001));
    for number in [done, failed] {
        store.spool_write(file_id(number), 0, "bytes".into()).await?;
    }
    let worker = Worker::import(&*store, organization(1), done).await?;
    assert_eq!(store.commit(&worker.commit(None)).await?, Committed::Committed);
    let worker = Worker::import(&*store, organization(1), failed).await?;
    let (state, report) = (FileState::Failed, report()?);
    assert!(store.end_import(&worker.lease, file_id(failed), state, &report, at(300)?).await?);
    assert_eq!(store.sweep_spool(at(1000)?).await?, 0);
    for (number, second) in [(done, 1001), (failed, 1002)] {
        assert_eq!(store.spool_read(file_id(number), 0).await?, Some("bytes".into()));
        assert_eq!(store.sweep_spool(at(second)?).await?, 1);
        assert_eq!(store.spool_read(file_id(number), 0).await?, None);
    }
    assert_eq!(stored(&*store, done).await?.state, FileState::Done);
    assert_eq!(stored(&*store, failed).await?.state, FileState::Failed);
    Ok(())
}

/// MongoDB is asked for 200 chunks at a time; the 200th and 201st are of the same upload.
async fn many_uploads_are_swept_at_once(store: Arc<dyn Store>) -> Result<(), Failure> {
    let first = |number| {
        let bytes = if number == 200 { vec![1; SPOOL_CHUNK_BYTES] } else { vec![1] };
        store.spool_write(file_id(number), 0, bytes.into())
    };
    try_join_all((1..=450).map(first)).await?;
    store.spool_write(file_id(200), 1, "end".into()).await?;
    for number in [7, 300] {
        make(&*store, number).await?;
    }
    assert_eq!(store.sweep_spool(at(1)?).await?, 448);
    for number in 1..=450 {
        let is_there = store.spool_read(file_id(number), 0).await?.is_some();
        assert_eq!(is_there, [7, 300].contains(&number), "{number}");
    }
    assert_eq!(store.spool_read(file_id(200), 1).await?, None);
    assert_eq!(store.sweep_spool(at(1)?).await?, 0);
    Ok(())
}

async fn a_file_comes_with_its_import_on_the_schedule(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    store.spool_write(file_id(1), 0, "bytes".into()).await?;
    let made = make(&*store, 1).await?;
    assert_eq!(stored(&*store, 1).await?, made);
    assert_eq!(store.file_by_id(file_id(1)).await?, Some(made));
    assert_eq!(store.file_by_id(file_id(2)).await?, None);
    let jobs = store.scheduled_jobs("import_file").await?;
    assert_eq!((jobs.len(), &jobs[0].key), (1, &import_job(file_id(1))));
    assert_eq!(jobs[0].due_at, at(100)?);
    let entries = store.audit_entries(organization(1), 0, 10).await?;
    assert_eq!(
        entries.iter().map(|entry| &entry.event).collect::<Vec<_>>(),
        [&audit(organization(1), 100)?]
    );
    Ok(())
}

async fn making_a_file_twice_changes_nothing(store: Arc<dyn Store>) -> Result<(), Failure> {
    make(&*store, 1).await?;
    store.record_file_progress(file_id(1), 5).await?;
    make(&*store, 1).await?;
    let found = stored(&*store, 1).await?;
    assert_eq!((found.state, found.bytes_parsed), (FileState::Parsing, 5));
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    assert_eq!(store.scheduled_jobs("import_file").await?.len(), 1);
    Ok(())
}

async fn the_same_bytes_are_one_file(store: Arc<dyn Store>) -> Result<(), Failure> {
    let made = make(&*store, 1).await?;
    let same = UploadedFile { id: file_id(2), ..made.clone() };
    let person = audit(organization(1), 200)?;
    let found = store.create_file(&same, &person).await?;
    assert_eq!(found, FileCreated::Duplicate(Box::new(made.clone())));
    assert_eq!(store.file(organization(1), file_id(2)).await?, None);
    assert_eq!(store.scheduled_jobs("import_file").await?.len(), 1);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    let theirs = UploadedFile { id: file_id(3), organization: organization(2), ..made };
    let found = store.create_file(&theirs, &audit(organization(2), 200)?).await?;
    assert_eq!(found, FileCreated::Created, "another organization's file is another file");
    Ok(())
}

async fn of_many_uploads_of_the_same_bytes_one_is_made(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let create = |store: Arc<dyn Store>, file: UploadedFile, audit| async move {
        store.create_file(&file, &audit).await
    };
    let mut tasks = Vec::new();
    for number in 1..=50 {
        let file = UploadedFile { id: file_id(number), ..file(organization(1), 1)? };
        let audit = audit(organization(1), 100)?;
        tasks.push(tokio::spawn(create(Arc::clone(&store), file, audit)));
    }
    let mut made_count = 0;
    for task in tasks {
        made_count += usize::from(task.await?? == FileCreated::Created);
    }
    assert_eq!(made_count, 1);
    assert_eq!(store.files(organization(1), &page(100, None)).await?.len(), 1);
    assert_eq!(audit_count(&*store, organization(1)).await?, 1);
    Ok(())
}

async fn bytes_that_were_refused_may_come_again(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    let again = UploadedFile { id: file_id(2), ..file(organization(1), 1)? };
    let person = audit(organization(1), 200)?;
    let end = async |state| {
        let report = report()?;
        let ended = store.end_import(&worker.lease, file_id(1), state, &report, at(300)?).await?;
        Ok::<_, Failure>(ended)
    };
    assert!(end(FileState::NeedsMapping).await?);
    let found = store.create_file(&again, &person).await?;
    assert!(matches!(found, FileCreated::Duplicate(_)), "it waits for a person");
    assert!(end(FileState::Failed).await?);
    assert_eq!(store.create_file(&again, &person).await?, FileCreated::Created);
    assert_eq!(stored(&*store, 1).await?.state, FileState::Failed);
    assert_eq!(stored(&*store, 2).await?.state, FileState::Queued);
    Ok(())
}

async fn every_field_and_the_largest_amounts_read_back(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let full = UploadedFile {
        name: "naïve \u{0} 請求書 'quoted\"".to_owned(),
        size_bytes: u64::try_from(i64::MAX)?,
        options: FileOptions {
            provider: Some("openai".to_owned()),
            account: Some("org-größe".to_owned()),
            on_error: OnError::Skip,
        },
        state: FileState::NeedsMapping,
        bytes_parsed: u64::try_from(i64::MAX)?,
        report: report()?,
        finished_at: Some(at(-1)?),
        ..file(organization(1), 1)?
    };
    store.create_file(&full, &audit(organization(1), 100)?).await?;
    assert_eq!(stored(&*store, 1).await?, full);
    Ok(())
}

async fn another_organization_sees_and_deletes_nothing(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let made = make(&*store, 1).await?;
    let theirs = organization(2);
    assert_eq!(store.file(theirs, file_id(1)).await?, None);
    assert_eq!(store.files(theirs, &page(10, None)).await?, []);
    assert!(!store.delete_file(theirs, file_id(1), &audit(theirs, 200)?).await?);
    assert_eq!(stored(&*store, 1).await?, made);
    assert_eq!(audit_count(&*store, theirs).await?, 0);
    Ok(())
}

async fn pages_are_stable_under_inserts_and_deletes(store: Arc<dyn Store>) -> Result<(), Failure> {
    for number in [30, 10, 40, 20] {
        make(&*store, number).await?;
    }
    let list = async |after: Option<u128>| -> Result<Vec<_>, Failure> {
        let after = after.map(file_id);
        let after = after.as_ref().map(|id| id as &dyn ToString);
        let found = store.files(organization(1), &page(2, after)).await?;
        Ok(found.into_iter().map(|file| file.id).collect())
    };
    assert_eq!(list(None).await?, [file_id(10), file_id(20)]);
    make(&*store, 15).await?;
    store.delete_file(organization(1), file_id(20), &audit(organization(1), 200)?).await?;
    assert_eq!(list(Some(20)).await?, [file_id(30), file_id(40)], "after a gone one");
    assert_eq!(list(Some(40)).await?, []);
    assert_eq!(list(None).await?, [file_id(10), file_id(15)]);
    Ok(())
}

async fn progress_is_noted_only_while_the_import_goes_on(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    for bytes in [10, 20, 20] {
        store.record_file_progress(file_id(1), bytes).await?;
        let found = stored(&*store, 1).await?;
        assert_eq!((found.state, found.bytes_parsed), (FileState::Parsing, bytes));
    }
    let (state, report) = (FileState::Failed, report()?);
    store.end_import(&worker.lease, file_id(1), state, &report, at(300)?).await?;
    store.record_file_progress(file_id(1), 30).await?;
    let found = stored(&*store, 1).await?;
    assert_eq!((found.state, found.bytes_parsed), (FileState::Failed, 20));
    store.record_file_progress(file_id(9), 30).await?;
    assert_eq!(store.file_by_id(file_id(9)).await?, None);
    Ok(())
}

async fn an_import_ends_under_its_lease(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    let report = report()?;
    for state in [FileState::NeedsMapping, FileState::Failed, FileState::Failed] {
        assert!(store.end_import(&worker.lease, file_id(1), state, &report, at(300)?).await?);
        let expected = UploadedFile {
            state,
            report: report.clone(),
            finished_at: Some(at(300)?),
            ..file(organization(1), 1)?
        };
        assert_eq!(stored(&*store, 1).await?, expected);
    }
    Ok(())
}

async fn a_lost_lease_cannot_end_an_import(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    take_over(&*store, &worker.lease).await?;
    let (state, report) = (FileState::Failed, report()?);
    assert!(!store.end_import(&worker.lease, file_id(1), state, &report, at(300)?).await?);
    assert_eq!(stored(&*store, 1).await?, file(organization(1), 1)?);
    Ok(())
}

async fn an_import_that_ended_well_cannot_fail_later(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    let batch = worker.stage(&*store, 1, &[block(date(2026, 11, 20))?]).await?;
    assert_eq!(store.commit(&worker.commit(Some(batch))).await?, Committed::Committed);
    let (state, report) = (FileState::Failed, report()?);
    assert!(!store.end_import(&worker.lease, file_id(1), state, &report, at(400)?).await?);
    assert_eq!(stored(&*store, 1).await?.state, FileState::Done, "its charges count");
    Ok(())
}

async fn a_commit_ends_the_import_with_its_report(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    let batch = worker.stage(&*store, 1, &[block(date(2026, 11, 20))?]).await?;
    for _ in 0..2 {
        assert_eq!(store.commit(&worker.commit(Some(batch))).await?, Committed::Committed);
        let expected = UploadedFile {
            state: FileState::Done,
            report: FileReport { charge_count: 10, ..FileReport::default() },
            finished_at: Some(at(300)?),
            // All of it, whatever was noted on the way.
            bytes_parsed: 1 << 40,
            ..file(organization(1), 1)?
        };
        assert_eq!(stored(&*store, 1).await?, expected);
    }
    Ok(())
}

async fn a_file_without_charges_can_be_done(store: Arc<dyn Store>) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    for _ in 0..2 {
        assert_eq!(store.commit(&worker.commit(None)).await?, Committed::Committed);
        assert_eq!(stored(&*store, 1).await?.state, FileState::Done);
    }
    Ok(())
}

async fn a_deleted_file_takes_everything_with_it(store: Arc<dyn Store>) -> Result<(), Failure> {
    store.spool_write(file_id(1), 0, "bytes".into()).await?;
    let worker = Worker::import(&*store, organization(1), 1).await?;
    let other = Worker::import(&*store, organization(1), 2).await?;
    let day = date(2026, 11, 20);
    for (number, worker) in [(1, &worker), (2, &other)] {
        let batch = worker.stage(&*store, number, &[block(day)?]).await?;
        assert_eq!(store.commit(&worker.commit(Some(batch))).await?, Committed::Committed);
    }
    let person = audit(organization(1), 300)?;
    assert!(store.delete_file(organization(1), file_id(1), &person).await?);
    assert!(!store.delete_file(organization(1), file_id(1), &person).await?);
    assert_eq!(audit_count(&*store, organization(1)).await?, 3);
    assert_eq!(store.file_by_id(file_id(1)).await?, None);
    assert_eq!(store.spool_read(file_id(1), 0).await?, None);
    let jobs = store.scheduled_jobs("import_file").await?;
    assert_eq!((jobs.len(), &jobs[0].key), (1, &import_job(file_id(2))));
    let visible = store.visible_blocks(organization(1), day, day).await?;
    assert_eq!(visible.iter().map(|block| block.batch).collect::<Vec<_>>(), [batch_id(2)]);
    Ok(())
}

async fn a_deleted_file_is_not_brought_back_by_its_import(
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let worker = Worker::import(&*store, organization(1), 1).await?;
    let day = date(2026, 11, 20);
    let batch = worker.stage(&*store, 1, &[block(day)?]).await?;
    store.delete_file(organization(1), file_id(1), &audit(organization(1), 300)?).await?;
    store.put_blocks(organization(1), batch, &[block(day)?]).await?;
    assert_eq!(store.commit(&worker.commit(Some(batch))).await?, Committed::Refused);
    assert_eq!(store.commit(&worker.commit(None)).await?, Committed::Refused);
    let (state, report) = (FileState::Failed, report()?);
    assert!(!store.end_import(&worker.lease, file_id(1), state, &report, at(300)?).await?);
    store.record_file_progress(file_id(1), 9).await?;
    assert_eq!(store.file_by_id(file_id(1)).await?, None);
    assert_eq!(store.visible_blocks(organization(1), day, day).await?, []);
    Ok(())
}
