//! Stories of the journal: who writes, who comes late, who was overtaken.

use std::time::Duration;

use domain::organization::Environment;
use engine::command::{Commit, Ended, EndedHow};
use engine::policy::{Mode, PolicyChange, Window};
use engine::{Command, Decision, Entry, Event, Measures, Outcome, Refusal};
use sha2::{Digest, Sha256};
use shards::packed::pack;
use shards::{Actor, ActorKind, Answered, Limits, Question, ShardError, Skip, skip};
use simulation::node::LIMITS;
use simulation::stage::{NOON, Stage, commit, event, keyed, live, plain, policy, reserve, track};
use simulation::weather::Fate;
use simulation::world::{in_simulated_time, shard};
use store::journal::JournalEntry;
use store::snapshots::Manifest;

fn held(answered: &Answered) -> bool {
    matches!(answered, Answered::Held(_))
}

/// Entries, an hour apart, until the journal is truncated.
async fn until_truncated(stage: &Stage, node: usize) {
    for number in 0..200 {
        let at = stage.desk.clock.micros();
        stage.answered(node, track(&format!("filler-{number}"), "z", 1, at)).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
    }
    assert!(stage.stored().shard(live()).tail().floor > 20, "old entries are gone");
}

#[test]
fn truncated_then_appended() {
    in_simulated_time(async {
        let stage = Stage::set(3, NOON);
        stage.policy(0, policy(7, "a", 100, Window::Total, Mode::Strict)).await;
        for node in 1..3 {
            let id = u128::try_from(node).unwrap();
            assert!(held(&stage.answered(node, reserve(id, "a", 10, 5)).await));
        }
        // The others hear of nothing while node 0 fills the policy, and lets go of the entries.
        stage.answered(0, track("spent", "a", 95, NOON)).await;
        until_truncated(&stage, 0).await;
        // One appends where nothing counts any more, one only looks: both must notice.
        let answered = stage.answered(1, track("after", "a", 1, NOON)).await;
        assert!(matches!(answered, Answered::Booked(_)), "{answered:?}");
        for node in 1..3 {
            let answered = stage.answered(node, reserve(9, "a", 10, 60)).await;
            assert!(matches!(answered, Answered::Refused(Refusal::Policy(_))), "{answered:?}");
        }
        stage.all_is_well().await;
    });
}

#[test]
fn absent_then_present() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.answered(0, track("first", "a", 1, NOON)).await;
        // The insert stays under way for 10 s; until then every repeat of it fails.
        stage.next(0, "append", Fate::LandsLater(Duration::from_secs(10)));
        for _ in 0..11 {
            stage.next(0, "append", Fate::Fails);
        }
        let answered = stage.ask(0, reserve(1, "a", 10, 60)).await;
        assert!(answered.is_ok_and(|answer| held(&answer.result)));
        // The same, but somebody else is at the place when it would land.
        stage.next(0, "append", Fate::LandsLater(Duration::from_secs(10)));
        for _ in 0..11 {
            stage.next(0, "append", Fate::Fails);
        }
        let (own, other) = futures::join!(stage.ask(0, reserve(2, "a", 10, 60)), async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            stage.ask(1, reserve(3, "a", 10, 60)).await
        });
        assert!(own.is_ok_and(|answer| held(&answer.result)));
        assert!(other.is_ok_and(|answer| held(&answer.result)));
        stage.all_is_well().await;
    });
}

#[test]
fn own_duplicate() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.next(0, "append", Fate::LosesAnswer);
        assert!(held(&stage.answered(0, reserve(1, "a", 10, 60)).await));
        assert_eq!(stage.entries().len(), 1);
        stage.all_is_well().await;
    });
}

#[test]
fn panic_in_decide() {
    in_simulated_time(async {
        let stage = Stage::set(1, NOON);
        // What it says of its reservation names a path that there is not.
        let path = 9_999;
        let (service, model, windows) = (String::new(), String::new(), vec![]);
        let estimate = Measures::default();
        let ended = Ended {
            how: EndedHow::Expired,
            at: NOON,
            path,
            service,
            model,
            estimate,
            windows,
            seq: 0,
        };
        let event = Event { ended: Some(ended), ..event("bad", "", 5, NOON) };
        let commit = Commit { reservation: 5, event, incomplete: false };
        let requests = vec![
            track("before", "a", 1, NOON),
            plain(Command::Commit(commit)),
            track("after", "a", 1, NOON),
        ];
        let done = stage.ask_all(0, live(), requests).await.expect("the others are answered");
        let booked = |place: usize| matches!(done.answers[place].result, Answered::Booked(_));
        assert!(booked(0) && booked(2), "{done:?}");
        assert_eq!(done.answers[1].result, Answered::Fault);
        let decisions: usize = stage.entries().iter().map(|(_, of)| of.decisions.len()).sum();
        assert_eq!(decisions, 2, "the fault wrote nothing");
    });
}

/// Writes an entry as nobody should.
fn append_as_somebody_else(stage: &Stage, bytes: Vec<u8>) {
    let mut all = stage.stored();
    let tail = all.shard(live()).tail();
    let entry = JournalEntry { seq: tail.seq + 1, batch: 77, previous: tail.batch, bytes };
    all.append(live(), tail.incarnation, &entry, NOON).expect("it follows");
}

/// The live shard is given up at its second entry, by who has it and by who loads it; the other one
/// goes on.
async fn only_one_shard_is_given_up(stage: &Stage) {
    for node in 0..2 {
        let refused = stage.ask(node, track("later", "a", 1, NOON)).await;
        assert!(matches!(refused, Err(ShardError::Stopped { seq: 2, .. })), "{refused:?}");
        let other = shard(Environment::Test);
        let answered = stage.ask_all(node, other, vec![track("other", "a", 1, NOON)]).await;
        assert!(answered.is_ok(), "{answered:?}");
    }
    assert_eq!(stage.stored().shard(live()).tail().seq, 2, "nobody writes past it");
}

/// A person at a node asks to pass over an entry of the live journal.
async fn skip_entry(stage: &Stage, node: usize, seq: u64) -> Skip {
    let running = stage.node(node).running().expect("it runs");
    let parts = stage.node(node).parts(&running.store);
    let actor = Actor { kind: ActorKind::User, id: "a person".to_owned(), ..Actor::default() };
    skip(&parts, live(), seq, &actor, "it cannot be followed").await.expect("the store works")
}

/// The entry is passed over, once and by everybody, and nothing else can be.
async fn it_is_skipped_and_all_is_well(stage: &Stage, seq: u64) {
    assert_eq!(skip_entry(stage, 0, 1).await, Skip::CanBeFollowed);
    assert_eq!(skip_entry(stage, 0, seq + 1).await, Skip::NotThere);
    // The first append's answer is lost, and another person asks for the same meanwhile.
    stage.next(0, "append", Fate::LosesAnswer);
    let both = futures::join!(skip_entry(stage, 0, seq), skip_entry(stage, 1, seq));
    let at = seq + 1;
    assert_eq!(both, (Skip::Written { at }, Skip::Already { at }));
    assert_eq!(skip_entry(stage, 1, seq).await, Skip::Already { at });
    tokio::time::sleep(Duration::from_secs(6)).await;
    for node in 0..stage.desk.nodes.len() {
        // Whoever gave the shard up is asked once more, and then has it again.
        stage.desk.ask(node, live(), Question::Path(String::new()), None).await;
        let answered = stage.answered(node, track(&format!("on {node}"), "b", 1, NOON)).await;
        assert!(matches!(answered, Answered::Booked(_)), "{answered:?}");
    }
    stage.settle(0).await.expect("the tables follow");
    let audited = stage.stored().shard(live()).facts.audit.clone();
    let skipped = audited.iter().filter(|event| event.action == "journal.entry_skipped");
    let told: Vec<_> = skipped.map(|event| (event.actor.as_str(), event.target.as_str())).collect();
    assert_eq!(told, [("a person", format!("{seq}: it cannot be followed").as_str())]);
    until_truncated(stage, 0).await;
    stage.restart(0);
    stage.all_is_well().await;
}

#[test]
fn panic_in_apply() {
    in_simulated_time(async {
        let stage = Stage::set(3, NOON);
        stage.answered(0, track("first", "a", 1, NOON)).await;
        stage.settle(0).await.expect("the tables follow");
        // Spend at a path that there is not: followed, but nobody can say where it is.
        let Outcome::Booked(mut booked) = stage.entries()[0].1.decisions[0].outcome.clone() else {
            panic!("a report was booked");
        };
        (booked.path, booked.new_paths) = (9_999, vec!["z".to_owned()]);
        let outcome = Outcome::Booked(booked);
        let decisions = vec![Decision { once: None, actor: vec![], outcome }];
        let entry = Entry { time: NOON, looked_up_seq: 0, decisions };
        append_as_somebody_else(&stage, pack(&entry));
        // The last node has followed it, and does not come to know that nobody else can.
        stage.next(2, "checkpoint", Fate::BeginsAfter(Duration::from_secs(120)));
        tokio::time::sleep(Duration::from_secs(10)).await;
        for node in 0..3 {
            stage.desk.ask(node, live(), Question::Path(String::new()), None).await;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        only_one_shard_is_given_up(&stage).await;
        it_is_skipped_and_all_is_well(&stage, 2).await;
    });
}

#[test]
fn an_entry_that_nobody_can_read_is_skipped() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.answered(0, track("first", "a", 1, NOON)).await;
        append_as_somebody_else(&stage, vec![1, 255, 255, 255]);
        only_one_shard_is_given_up(&stage).await;
        it_is_skipped_and_all_is_well(&stage, 2).await;
    });
}

#[test]
fn no_snapshot_lies_between_a_skipped_entry_and_the_word() {
    in_simulated_time(async {
        let stage = Stage::with_limits(1, NOON, Limits { snapshot_entries: 1, ..LIMITS });
        stage.answered(0, track("first", "a", 1, NOON)).await;
        stage.settle(0).await.expect("the tables follow");
        append_as_somebody_else(&stage, vec![1, 255, 255, 255]);
        // A chunk ends with an entry that makes a policy.
        let outcome = Outcome::PolicyMade {
            new_paths: vec![],
            path: 0,
            policy: policy(7, "", 100, Window::Total, Mode::Open),
            opening: false,
            window: None,
            attached: vec![],
        };
        let decisions = vec![Decision { once: None, actor: vec![], outcome }];
        let entry = Entry { time: NOON, looked_up_seq: 0, decisions };
        append_as_somebody_else(&stage, pack(&entry));
        stage.restart(0);
        assert_eq!(skip_entry(&stage, 0, 2).await, Skip::Written { at: 4 });
        // The tables pass over the entry, and the process ends before they come to the word.
        stage.next(0, "project", Fate::Fine);
        stage.next(0, "project", Fate::BeginsAfter(Duration::from_secs(600)));
        stage.answered(0, track("second", "a", 1, NOON)).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(stage.stored().shard(live()).facts.checkpoint.seq, 3);
        stage.restart(0);
        let answered = stage.answered(0, track("third", "a", 1, NOON)).await;
        assert!(matches!(answered, Answered::Booked(_)), "{answered:?}");
        stage.settle(0).await.expect("the tables follow");
    });
}

#[test]
fn a_format_that_is_not_known_is_never_skipped() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.answered(0, track("first", "a", 1, NOON)).await;
        append_as_somebody_else(&stage, vec![250, 1, 2, 3]);
        only_one_shard_is_given_up(&stage).await;
        assert_eq!(skip_entry(&stage, 0, 2).await, Skip::OtherRelease);
    });
}

#[test]
fn deleted_then_written() {
    in_simulated_time(async {
        // Everything that may go goes soon.
        let stage = Stage::with_limits(3, NOON, Limits { snapshot_entries: 1, ..LIMITS });
        stage.policy(0, policy(7, "a", 100, Window::Total, Mode::Strict)).await;
        for node in 0..3 {
            let id = u128::try_from(node).unwrap();
            assert!(held(&stage.answered(node, reserve(id, "a", 10, 600)).await));
        }
        let closed = stage.answered(0, plain(Command::Close)).await;
        assert_eq!(closed, Answered::Done);
        let last = stage.stored().shard(live()).tail();
        // The others have not heard of it; what one of them holds falls due later.
        let refused = Answered::Refused(Refusal::Closed);
        assert_eq!(stage.answered(1, track("late", "a", 1, NOON)).await, refused);
        for _ in 0..2 {
            let again = keyed("key", reserve(9, "a", 1, 60));
            assert_eq!(stage.answered(2, again).await, refused, "no refusal is kept either");
        }
        assert_eq!(stage.answered(2, commit("spent", 2, 8, NOON)).await, refused);
        assert_eq!(stage.answered(1, plain(Command::Close)).await, Answered::Unchanged);
        assert!(stage.audited().await.wrong.is_empty());
        let skipped = skip_entry(&stage, 0, last.seq).await;
        assert_eq!(skipped, Skip::CanBeFollowed);
        for node in 0..3 {
            stage.restart(node);
            assert_eq!(stage.answered(node, track("later", "a", 1, NOON)).await, refused);
        }
        {
            let mut all = stage.stored();
            let stored = all.shard(live());
            assert!(stored.tail().floor > 0, "old entries are gone");
            assert_eq!((stored.tail().seq, stored.tail().batch), (last.seq, last.batch));
            assert_eq!(stored.entries(1, last.seq - 1, 1).len(), 1, "the end never goes");
        }
        stage.all_is_well().await;
    });
}

#[test]
fn refusal_off_the_tail() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.policy(0, policy(7, "a", 10, Window::Total, Mode::Strict)).await;
        stage.answered(0, track("spent", "a", 10, NOON)).await;
        let refused = stage.answered(1, reserve(1, "a", 10, 60)).await;
        assert!(matches!(refused, Answered::Refused(Refusal::Policy(_))), "{refused:?}");
        // Node 0 raises the limit; node 1, which has not heard of it, may not refuse.
        let change = PolicyChange { limit: Some(50), ..PolicyChange::default() };
        stage.answered(0, plain(Command::ChangePolicy { policy: 7, change })).await;
        assert!(held(&stage.answered(1, reserve(2, "a", 10, 60)).await));
        stage.all_is_well().await;
    });
}

#[test]
fn lost_reply_then_retry_elsewhere() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.policy(0, policy(7, "a", 100, Window::Total, Mode::Strict)).await;
        stage.standing(1, 7).await;
        stage.next(0, "append", Fate::CrashesAfter);
        let lost = stage.ask(0, keyed("key", reserve(1, "a", 60, 60))).await;
        assert!(matches!(lost, Err(ShardError::OutcomeUnknown)), "{lost:?}");
        stage.restart(0);
        // The server makes an id for each call; the first one's is the answer.
        for node in [1, 0] {
            let again = stage.ask(node, keyed("key", reserve(2, "a", 60, 60))).await;
            let again = again.expect("the store works");
            let Answered::Held(found) = &again.result else { panic!("{again:?}") };
            assert_eq!((found.reservation, again.is_repeat), (1, true));
            assert_eq!(stage.standing(node, 7).await.held, 60);
        }
        stage.all_is_well().await;
    });
}

#[test]
fn dedupe_evicted_between() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        // Node 1 has looked at the tables while there was nothing in them.
        stage.answered(1, plain(Command::Tick)).await;
        stage.answered(0, track("x", "a", 10, NOON)).await;
        stage.settle(0).await.expect("the tables follow");
        // Node 0 looks its ids up in the tables from now on, and forgets what is there.
        stage.answered(0, track("y", "a", 10, NOON)).await;
        stage.settle(0).await.expect("the tables follow");
        stage.answered(0, track("z", "a", 10, NOON)).await;
        assert!(stage.replayed().forgotten_seq() > 0, "the state forgets");
        // Node 1's tables are read too slowly to be of use by chance.
        stage.next(1, "checkpoint", Fate::BeginsAfter(Duration::from_secs(60)));
        stage.next(1, "project", Fate::BeginsAfter(Duration::from_secs(60)));
        assert_eq!(stage.answered(1, track("x", "a", 10, NOON)).await, Answered::Duplicate);
        stage.all_is_well().await;
    });
}

#[test]
fn snapshot_ahead_of_projector() {
    in_simulated_time(async {
        let stage = Stage::set(1, NOON);
        stage.answered(0, track("first", "a", 1, NOON)).await;
        stage.settle(0).await.expect("the tables follow");
        until_truncated(&stage, 0).await;
        stage.node(0).kill();
        // The tables come back from an older backup than the journal.
        let checkpoint = {
            let mut all = stage.stored();
            let facts = &mut all.shard(live()).facts;
            facts.checkpoint.seq = 3;
            facts.runs.retain(|last_seq, _| *last_seq <= 3);
            facts.events.retain(|last_seq, _| *last_seq <= 3);
            facts.sums.retain(|last_seq, _| *last_seq <= 3);
            facts.checkpoint
        };
        stage.node(0).start();
        let settled = stage.settle(0).await;
        assert!(settled.is_err(), "what is missing cannot be told");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(stage.stored().shard(live()).facts.checkpoint, checkpoint);
        let refused = stage.ask(0, track("later", "a", 1, NOON)).await;
        assert!(matches!(refused, Err(ShardError::Stopped { .. })), "{refused:?}");
    });
}

#[test]
fn restore_under_a_live_node() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.policy(0, policy(7, "a", 100, Window::Total, Mode::Strict)).await;
        for node in 0..2 {
            stage.answered(node, track(&format!("before-{node}"), "a", 20, NOON)).await;
        }
        stage.settle(0).await.expect("the tables follow");
        let (state, bytes) = (stage.replayed(), stage.replayed().encode());
        {
            let mut all = stage.stored();
            let stored = all.shard(live());
            let tail = stored.tail();
            stored.put_chunk((2, tail.seq), 0, bytes.clone());
            stored.put_manifest(Manifest {
                incarnation: 2,
                seq: state.seq(),
                batch: tail.batch,
                format: 1,
                chunk_count: 1,
                byte_count: u64::try_from(bytes.len()).unwrap(),
                sha256: Sha256::digest(&bytes).into(),
            });
            assert!(stored.begin_incarnation(1, tail.seq, tail.batch));
        }
        // One node refuses first, the other one writes first: both must notice.
        let refused = stage.answered(0, reserve(1, "a", 90, 60)).await;
        assert!(matches!(refused, Answered::Refused(Refusal::Policy(_))), "{refused:?}");
        assert!(held(&stage.answered(1, reserve(2, "a", 60, 60)).await));
        stage.answered(0, track("after", "a", 1, NOON)).await;
        stage.all_is_well().await;
    });
}

#[test]
fn two_projectors() {
    in_simulated_time(async {
        let stage = Stage::set(2, NOON);
        stage.answered(0, track("one", "a", 10, NOON)).await;
        stage.settle(0).await.expect("the tables follow");
        stage.answered(1, plain(Command::Tick)).await;
        // Node 0's chunk stays under way while node 1 projects the same entries and more.
        stage.next(0, "project", Fate::BeginsAfter(Duration::from_secs(5)));
        stage.answered(0, track("two", "a", 10, NOON)).await;
        stage.answered(1, track("three", "a", 10, NOON)).await;
        stage.settle(1).await.expect("the tables follow");
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Node 0 projects what comes next, looks ids up, and forgets.
        for id in ["four", "five", "six"] {
            stage.answered(0, track(id, "a", 10, NOON)).await;
            stage.settle(0).await.expect("the tables follow");
        }
        for id in ["one", "two", "three", "four", "five"] {
            let again = stage.answered(0, track(id, "a", 10, NOON)).await;
            assert_eq!(again, Answered::Duplicate, "{id}");
        }
        stage.all_is_well().await;
    });
}

#[test]
fn tables_that_stay_behind_are_waited_for() {
    in_simulated_time(async {
        let limits = Limits { unprojected_max: 10, ..LIMITS };
        let stage = Stage::with_limits(1, NOON, limits);
        stage.next(0, "project", Fate::BeginsAfter(Duration::from_secs(600)));
        for number in 0..10 {
            stage.answered(0, track(&format!("event-{number}"), "a", 1, NOON)).await;
        }
        let refused = stage.ask(0, track("one too many", "a", 1, NOON)).await;
        assert!(matches!(refused, Err(ShardError::Overloaded { .. })), "{refused:?}");
        // What needs no memory goes on, and so does everything once the tables are there.
        assert!(held(&stage.answered(0, reserve(1, "a", 1, 5)).await));
        stage.settle(0).await.expect_err("the tables are behind");
        tokio::time::sleep(Duration::from_secs(700)).await;
        stage.settle(0).await.expect("the tables follow");
        stage.answered(0, track("one too many", "a", 1, NOON)).await;
        stage.all_is_well().await;
    });
}

#[test]
fn nobody_hears_what_is_not_durable() {
    in_simulated_time(async {
        let stage = Stage::set(1, NOON);
        stage.policy(0, policy(7, "a", 100, Window::Total, Mode::Block)).await;
        // An append that fails for good after two seconds; the question comes meanwhile.
        for _ in 0..20 {
            stage.next(0, "append", Fate::Fails);
        }
        let (failed, used) = futures::join!(stage.ask(0, track("spent", "a", 100, NOON)), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stage.standing(0, 7).await.used
        });
        assert!(matches!(failed, Err(ShardError::Unavailable(_))), "{failed:?}");
        assert_eq!(used, 0, "nothing was spent");
        stage.node(0).weather().clear();
        stage.all_is_well().await;
    });
}

#[test]
fn a_first_answer_is_repeated_even_where_the_store_is_slow_to_read() {
    in_simulated_time(async {
        let stage = Stage::set(1, NOON);
        stage.answered(0, keyed("key", reserve(1, "a", 10, 3_000))).await;
        stage.next(0, "entries", Fate::Fails);
        let again = stage.ask(0, keyed("key", reserve(2, "a", 10, 3_000))).await;
        assert!(matches!(again, Err(ShardError::OutcomeUnknown)), "{again:?}");
        let again = stage.answered(0, keyed("key", reserve(3, "a", 10, 3_000))).await;
        assert!(held(&again), "{again:?}");
        let first = stage.answered(0, commit("done", 1, 8, NOON)).await;
        assert_eq!(first, stage.answered(0, commit("done", 1, 8, NOON)).await);
        stage.all_is_well().await;
    });
}
