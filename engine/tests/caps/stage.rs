//! Plays steps: each is a batch of its own, with what is due before it.

use std::collections::BTreeMap;

use engine::command::{
    Adjust, Commit, Correct, EndedHow, Event, Measures, PolicyNo, PutPath, Request, Reserve,
    WindowNo,
};
use engine::decision::{Crossed, LateCount, Outcome, flag};
use engine::policy::{Mode, Policy, PolicyChange, PolicyRecord, Unit};
use engine::{Command, Refusal, State, Verdict, decide, due};

use crate::words;

#[derive(Default)]
pub(crate) struct Stage {
    state: State,
    time: i64,
    caps: Vec<String>,
    reservations: Vec<String>,
    /// Reports that can be corrected.
    events: BTreeMap<String, (Event, Vec<(PolicyNo, WindowNo)>)>,
}

/// What came of a step.
#[derive(Default)]
struct Heard {
    answer: String,
    crossed: Vec<Crossed>,
    late: Vec<LateCount>,
    counted: Vec<(PolicyNo, WindowNo)>,
}

/// A step's words after its first ones.
#[derive(Default)]
struct Said {
    names: Vec<String>,
    amounts: Vec<(String, Unit)>,
    marks: BTreeMap<String, String>,
}

/// Words that stand alone, and words that the next one belongs to.
const ALONE: [&str; 4] = ["unpriced", "incomplete", "opening", "fail-open"];
const WITH_NEXT: [&str; 7] = ["at", "for", "by", "model", "id", "under", "revision"];

impl Said {
    fn new(words: &[&str]) -> Said {
        let mut said = Said::default();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let is_amount = words
                .peek()
                .is_some_and(|next| ["usd", "credits", "requests", "tokens"].contains(*next));
            if is_amount {
                said.amounts.push(((*word).to_owned(), words::unit(words.next().unwrap())));
            } else if ALONE.contains(word) {
                said.marks.insert((*word).to_owned(), String::new());
            } else if WITH_NEXT.contains(word) {
                said.marks.insert((*word).to_owned(), (*words.next().unwrap()).to_owned());
            } else {
                said.names.push((*word).to_owned());
            }
        }
        said
    }

    fn mark(&self, name: &str) -> String {
        self.marks.get(name).cloned().unwrap_or_default()
    }

    fn measures(&self) -> Measures {
        let unpriced = self.marks.contains_key("unpriced");
        Measures { unpriced, ..words::measures(&self.amounts) }
    }

    fn event(&self, time: i64, path: &str) -> Event {
        let at = self.marks.get("at").map_or(time, |at| words::instant(at));
        Event {
            service: self.mark("by"),
            model: self.mark("model"),
            measures: self.measures(),
            ..Event::empty(at, path)
        }
    }
}

impl Stage {
    /// The entry that made a policy; 0 where there is none.
    fn made_seq(&self, policy: u128) -> u64 {
        let number = self.state.policy_number(policy);
        number.and_then(|number| self.state.policy(number)).map_or(0, |found| found.made_seq)
    }

    pub(crate) fn set_time(&mut self, time: i64) {
        self.time = time;
    }

    pub(crate) fn play(&mut self, step: &str, place: &str) {
        let (asked, told) = step.split_once(" -> ").unwrap_or_else(|| panic!("{place}: no ->"));
        let asked: Vec<&str> = asked.split_whitespace().collect();
        let mut told = told.split(';').map(str::trim);
        let mut heard = self.ask(&asked);
        assert_eq!(heard.answer, told.next().unwrap(), "{place}");
        for expected in told {
            let words: Vec<&str> = expected.split_whitespace().collect();
            self.expect(&words, &mut heard, place);
        }
        assert!(heard.crossed.is_empty(), "{place}: also tells {:?}", heard.crossed);
        assert!(heard.late.is_empty(), "{place}: also corrects {:?}", heard.late);
    }

    fn cap(&self, name: &str) -> (PolicyNo, &Policy) {
        let place = self.caps.iter().rposition(|cap| cap == name);
        let id = place.unwrap_or_else(|| panic!("no cap {name}")) + 1;
        let number = self.state.policy_number(u128::try_from(id).unwrap()).unwrap();
        (number, self.state.policy(number).unwrap())
    }

    fn expect(&self, words: &[&str], heard: &mut Heard, place: &str) {
        let (number, cap) = self.cap(words[0]);
        let unit = cap.record.unit;
        let progress = self.state.progress(cap, self.time);
        let is = |found: i128| assert_eq!(found, words::amount(words[2], unit), "{place}");
        match words[1] {
            "used" => is(progress.used),
            "held" => is(progress.held),
            "resets" if words[2] == "never" => assert_eq!(progress.resets_at, None, "{place}"),
            "resets" => {
                let resets_at =
                    progress.resets_at.and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
                let expected: jiff::Timestamp = words[2].parse().unwrap();
                assert_eq!(resets_at, Some(expected), "{place}");
            }
            "tells" => {
                let levels: Vec<_> = words[2..]
                    .iter()
                    .map(|level| words::threshold(level, unit).level(cap.record.limit))
                    .collect();
                let (mine, others) =
                    heard.crossed.drain(..).partition::<Vec<_>, _>(|one| one.policy == number);
                let level = |one: &Crossed| {
                    cap.record.alerts[usize::from(one.alert)].at.level(cap.record.limit)
                };
                assert_eq!(mine.iter().map(level).collect::<Vec<_>>(), levels, "{place}");
                heard.crossed = others;
            }
            "corrects" => {
                let (mine, others) =
                    heard.late.drain(..).partition::<Vec<_>, _>(|one| one.policy == number);
                is(mine.iter().map(|one| one.used).sum());
                if let Some(from) = words.get(4) {
                    assert_eq!(mine[0].start, words::instant(from), "{place}");
                    assert_eq!(mine[0].end, words::instant(words[6]), "{place}");
                }
                heard.late = others;
            }
            other => panic!("{place}: nothing is {other}"),
        }
    }

    fn ask(&mut self, words: &[&str]) -> Heard {
        let said = Said::new(&words[1..]);
        if words[0] == "burst" {
            let count = (0..said.names[0].parse::<u32>().unwrap())
                .filter(|_| {
                    let reserve = self.reserve("", &said, 1);
                    self.ask_one(reserve).answer == "held"
                })
                .count();
            return Heard { answer: format!("{count} held"), ..Heard::default() };
        }
        let command = self.command(words, &said);
        let event = if let Command::Track(event) = &command { Some(event.clone()) } else { None };
        let heard = self.ask_one(command);
        if let (Some(event), Some(id)) = (event, said.marks.get("id")) {
            self.events.insert(id.clone(), (event, heard.counted.clone()));
        }
        if words[0] == "cap" && heard.answer == "done" && !said.marks.contains_key("opening") {
            let policy = u128::try_from(self.caps.len()).unwrap();
            let made_seq = self.made_seq(policy);
            self.ask_one(Command::EnterBase { policy, made_seq, parts: vec![] });
        }
        heard
    }

    fn reserve(&mut self, name: &str, said: &Said, path: usize) -> Command {
        self.reservations.push(name.to_owned());
        Command::Reserve(Reserve {
            reservation: u128::try_from(self.reservations.len()).unwrap(),
            path: path_of(&said.names[path]),
            service: said.mark("by"),
            model: said.mark("model"),
            estimate: said.measures(),
            ttl: words::length(said.marks.get("for").map_or("5m", String::as_str)),
        })
    }

    fn reservation(&self, name: &str) -> u128 {
        let place = self.reservations.iter().rposition(|known| known == name);
        place.map_or(999, |place| u128::try_from(place + 1).unwrap())
    }

    fn command(&mut self, words: &[&str], said: &Said) -> Command {
        let name = said.names.first().cloned().unwrap_or_default();
        let rest = |place: usize| said.names.get(place).cloned().unwrap_or_default();
        match words[0] {
            "look" => Command::Tick,
            "track" => {
                let mut event = said.event(self.time, &path_of(&name));
                event.reservation = said.marks.get("under").map(|held| self.reservation(held));
                Command::Track(event)
            }
            "reserve" => self.reserve(&name, said, 1),
            "commit" => Command::Commit(Commit {
                reservation: self.reservation(&name),
                event: said.event(self.time, &path_of(&rest(1))),
                incomplete: said.marks.contains_key("incomplete"),
            }),
            "release" => Command::Release { reservation: self.reservation(&name), ended: None },
            "extend" => {
                let (reservation, ttl) =
                    (self.reservation(&name), words::length(&said.mark("for")));
                Command::Extend { reservation, ttl, ended: None }
            }
            "correct" => {
                let (event, windows) = self.events[&name].clone();
                let event = Event { measures: said.measures(), ..event };
                let event = Event { measures: Measures { requests: 0, ..event.measures }, ..event };
                Command::Correct(Correct { event, of: [1; 16], windows })
            }
            "adjust" => {
                let event = said.event(self.time, &path_of(&rest(1)));
                Command::Adjust(Adjust {
                    key: name,
                    revision: (said.mark("revision").parse().unwrap(), 0, 0),
                    at: event.at,
                    path: event.path,
                    service: event.service,
                    model: event.model,
                    measures: Measures { requests: 0, ..event.measures },
                })
            }
            "cap" => Command::CreatePolicy(self.new_cap(words, said)),
            "base" => {
                let (number, cap) = self.cap(&name);
                assert!(self.state.policy(number).is_some());
                let amount = words::amount(&said.amounts[0].0, cap.record.unit);
                let (policy, parts) = (cap.record.id, vec![(0, amount)]);
                Command::EnterBase { policy, made_seq: self.made_seq(policy), parts }
            }
            "limit" | "mode" | "alerts" | "remove" => self.change(words),
            _ => self.arrange(words),
        }
    }

    /// `cap NAME LIMIT UNIT per WINDOW on PATH MODE [by SERVICE] [model MODEL] [alerts …]`
    fn new_cap(&mut self, words: &[&str], said: &Said) -> PolicyRecord {
        let place = |word: &str| words.iter().position(|one| *one == word).unwrap();
        let unit = words::unit(words[3]);
        let alerts = words
            .iter()
            .position(|word| *word == "alerts")
            .map_or(&[][..], |place| &words[place + 1..]);
        self.caps.push(words[1].to_owned());
        PolicyRecord {
            id: u128::try_from(self.caps.len()).unwrap(),
            path: path_of(words[place("on") + 1]),
            service: said.mark("by"),
            model: said.mark("model"),
            unit,
            limit: words::amount(words[2], unit),
            window: words::window(&words[place("per") + 1..place("on")]),
            mode: mode(words[place("on") + 2]),
            allow_on_unavailable: said.marks.contains_key("fail-open"),
            alerts: alerts
                .iter()
                .filter(|text| !ALONE.contains(text))
                .map(|text| words::alert(text, unit))
                .collect(),
            created_at: self.time,
        }
    }

    fn change(&self, words: &[&str]) -> Command {
        let record = &self.cap(words[1]).1.record;
        let policy = record.id;
        let mut change = PolicyChange::default();
        match words[0] {
            "limit" => change.limit = Some(words::amount(words[2], record.unit)),
            "mode" => change.mode = Some(mode(words[2])),
            "alerts" => {
                let alerts = words[2..].iter().map(|text| words::alert(text, record.unit));
                change.alerts = Some(alerts.collect());
            }
            _ => return Command::RemovePolicy { policy },
        }
        Command::ChangePolicy { policy, change }
    }

    /// Paths and settings.
    fn arrange(&self, words: &[&str]) -> Command {
        let mut settings = self.state.settings().clone();
        settings.revision += 1;
        match words {
            ["path", path, "service", service] => {
                let (service, path) = (Some((*service).to_owned()), path_of(path));
                return Command::PutPath(PutPath { path, service, notes: None, tags: None });
            }
            ["archive", path] => {
                return Command::ArchivePath { path: path_of(path), archived: true };
            }
            ["restore", path] => {
                return Command::ArchivePath { path: path_of(path), archived: false };
            }
            ["zone", zone] => settings.calendar.zone = (*zone).to_owned(),
            ["auto-create", word] => settings.auto_create_paths = *word == "on",
            _ => panic!("no step: {words:?}"),
        }
        Command::Configure(settings)
    }

    fn ask_one(&mut self, command: Command) -> Heard {
        self.state.begin(self.time);
        while let Some(decision) = due(&self.state) {
            self.state.apply(&decision);
        }
        let request = Request { once: None, actor: vec![], command };
        let verdict = decide(&self.state, &request);
        if let Verdict::Write(decision) = &verdict {
            self.state.apply(decision);
        }
        self.state.keep(self.state.seq() + 1, 0);
        match verdict {
            Verdict::Write(decision) => heard(&decision.outcome),
            Verdict::Refuse(refusal) => {
                Heard { answer: format!("refused {}", self.why(&refusal)), ..Heard::default() }
            }
            Verdict::Repeat { .. } | Verdict::Unchanged => {
                Heard { answer: "unchanged".to_owned(), ..Heard::default() }
            }
        }
    }

    fn why(&self, refusal: &Refusal) -> String {
        let cap = |id: &u128| self.caps[usize::try_from(*id).unwrap() - 1].clone();
        match refusal {
            Refusal::Policy(policy) => format!("by {}", cap(&policy.policy)),
            Refusal::Unpriced(id) => format!("unpriced by {}", cap(id)),
            Refusal::Unresolved(id) => format!("unresolved by {}", cap(id)),
            Refusal::Ended(EndedHow::Committed) => "already committed".to_owned(),
            Refusal::Ended(EndedHow::Released) => "already released".to_owned(),
            Refusal::Ended(EndedHow::Expired) => "expired".to_owned(),
            Refusal::UnknownPath => "unknown path".to_owned(),
            Refusal::PathArchived => "archived".to_owned(),
            Refusal::ServiceMismatch(own) => format!("service is {own}"),
            Refusal::NotFound => "not found".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

fn heard(outcome: &Outcome) -> Heard {
    match outcome {
        Outcome::Booked(booked) => {
            let flags = [
                (flag::UNRESERVED, " unreserved"),
                (flag::LATE, " late"),
                (flag::PATH_LIMIT, " above"),
                (flag::UNPRICED, " unpriced"),
                (flag::INCOMPLETE, " incomplete"),
                (flag::OVER_ESTIMATE, " over"),
            ];
            let set = flags.iter().filter(|(bit, _)| booked.flags & bit != 0);
            let words: String = set.map(|(_, word)| *word).collect();
            let answer = format!("booked{words}");
            Heard {
                answer,
                crossed: booked.crossed.clone(),
                late: booked.late.clone(),
                counted: booked.counted.clone(),
            }
        }
        Outcome::Adjusted(adjusted) => Heard {
            answer: "adjusted".to_owned(),
            crossed: adjusted.bookings.iter().flat_map(|one| one.crossed.clone()).collect(),
            late: adjusted.bookings.iter().flat_map(|one| one.late.clone()).collect(),
            ..Heard::default()
        },
        Outcome::PolicyBased { crossed, .. } => {
            Heard { answer: "done".to_owned(), crossed: crossed.clone(), ..Heard::default() }
        }
        Outcome::Held(held) if held.flags & flag::BYPASSED != 0 => {
            Heard { answer: "held bypassed".to_owned(), ..Heard::default() }
        }
        Outcome::Held(_) => Heard { answer: "held".to_owned(), ..Heard::default() },
        _ => Heard { answer: "done".to_owned(), ..Heard::default() },
    }
}

/// `env` is the environment, above all paths.
fn path_of(word: &str) -> String {
    if word == "env" { String::new() } else { word.to_owned() }
}

fn mode(word: &str) -> Mode {
    match word {
        "open" => Mode::Open,
        "block" => Mode::Block,
        "strict" => Mode::Strict,
        _ => panic!("a mode: {word}"),
    }
}
