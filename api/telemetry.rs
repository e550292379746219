//! Calls that telemetry reports, on their way to the books. Its sender cannot be asked, so what
//! does not add up is kept and flagged; only what cannot belong anywhere is rejected.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Currency, Path, Service};
use engine::{Command, command::Once};
use jiff::Timestamp;
use prices::Seller;
use shards::{
    Question, Said,
    detail::{CallSite, Source, quantities},
    ids::{BodyHash, Identity, OwnDay, own_day},
};
use usage::{RejectedReport, RejectionKind, ReportedCall};

use crate::{
    allowed_path::{allowed_path, path_prefix},
    asking::{ask, request},
    auth::Caller,
    dto_track::EventResult,
    end_users::EndUserNumbers,
    error::{ApiError, Code},
    event_input::in_range,
    pricing::{AskedPrice, Books},
    spend::{About, Spend},
    state::AppState,
    track::{Prepared, day_of},
};

/// The seller of calls of which nobody knows one.
const UNKNOWN_SERVICE: &str = "unknown";
/// Most characters of a path's segment.
const SEGMENT_MAX: usize = domain::path::SEGMENT_MAX;

/// What is known about the caller while calls are prepared.
pub(crate) struct Telemetry {
    books: Books,
    end_users: EndUserNumbers,
    caller: Caller,
    now: Timestamp,
    source: Source,
    /// The one service of paths that have one.
    own_services: BTreeMap<String, String>,
}

impl Telemetry {
    /// Looks up what is needed to prepare `calls`.
    pub(crate) async fn new(
        state: &AppState,
        caller: &Caller,
        source: Source,
        calls: impl Iterator<Item = &ReportedCall>,
    ) -> Result<Telemetry, ApiError> {
        let books = Books::recent(state, caller).await?;
        let (mut paths, mut end_users) = (BTreeSet::new(), BTreeSet::new());
        for call in calls {
            end_users.extend(call.end_user.clone());
            if call.service.is_none() {
                paths.insert(path_of(call, caller));
            }
        }
        let end_users = state.end_users.numbers(state, caller, end_users).await?;
        let mut own_services = BTreeMap::new();
        for path in paths {
            let reply = ask(state, caller, Question::Path(path.clone()), None).await?;
            if let Said::Paths(found) = reply.said
                && let Some(service) = found.into_iter().find_map(|seen| seen.node.service)
            {
                own_services.insert(path, service);
            }
        }
        let (caller, now) = (caller.clone(), state.now());
        Ok(Telemetry { books, end_users, caller, now, source, own_services })
    }

    /// Calls and what could not be read, ready to be booked.
    pub(crate) fn prepare(
        &self,
        calls: Vec<Result<ReportedCall, RejectedReport>>,
    ) -> Vec<Prepared> {
        calls.into_iter().map(|call| self.prepare_one(call)).collect()
    }

    fn prepare_one(&self, call: Result<ReportedCall, RejectedReport>) -> Prepared {
        let call = match call {
            Ok(call) => call,
            Err(rejected) => {
                let id = rejected.identity.clone();
                return Prepared::Rejected(EventResult::rejected(id, unreadable(&rejected)));
            }
        };
        let id = call.identity.clone();
        let once = Once { identity: self.identity(&call), body: body_hash(&call), seen: None };
        match self.event(call) {
            Ok((event, marks)) => {
                let request = Box::new(request(&self.caller, Some(once), Command::Track(event)));
                Prepared::Ready { day: day_of(&id, self.now), id, request, marks }
            }
            Err(error) => Prepared::Rejected(EventResult::rejected(Some(id), error)),
        }
    }

    /// Sources of events are theirs to choose, so ours stand before them.
    fn identity(&self, call: &ReportedCall) -> [u8; 16] {
        let source = format!("{}:{}", self.source.as_str(), call.identity_source);
        Identity::of(source.as_bytes(), call.identity.as_bytes()).0
    }

    fn event(&self, call: ReportedCall) -> Result<(engine::Event, Vec<String>), ApiError> {
        let path = path_of(&call, &self.caller);
        let known = Path::parse(&path)
            .map_err(|error| ApiError::new(Code::ValidationFailed, error.to_string()))?;
        allowed_path(&self.caller, &known)?;
        let out_of_range = |detail: String| ApiError::new(Code::TimestampOutOfRange, detail);
        let at = in_range(call.ended_at.unwrap_or(self.now), self.now).map_err(out_of_range)?;
        if own_day(call.identity.as_bytes(), self.now.as_microsecond()) == OwnDay::OutOfRange {
            return Err(out_of_range("the id was made too long ago, or ahead".to_owned()));
        }
        let spend = self.spend(call, path, at);
        Ok(spend.event(&self.books, &self.caller, &self.end_users)?)
    }

    fn spend(&self, call: ReportedCall, path: String, at: Timestamp) -> Spend {
        let reading = call.reading;
        let named = call.requested_model.or_else(|| reading.model.clone()).unwrap_or_default();
        let sold = reading.model.as_deref().unwrap_or(&named);
        let service = call.service.or_else(|| self.seller(&path, sold, at));
        let mut marks: Vec<String> =
            reading.flags.iter().map(|flag| flag.kind.as_str().to_owned()).collect();
        let service = service.unwrap_or_else(|| {
            marks.push("service_unknown".to_owned());
            Service::parse(UNKNOWN_SERVICE).expect("a plain word is a service's name")
        });
        let stated = reading.stated_cost.map(|stated| stated.amount).filter(|amount| {
            amount.currency() == Currency::USD
                && amount.femtos() > 0
                && self.books.is_custom(service.as_str())
        });
        let count = |count: u64| u32::try_from(count).ok();
        Spend {
            at,
            path,
            service: service.to_string(),
            stated: None,
            stated_if_unpriced: stated.map(|amount| amount.femtos()),
            is_kept: true,
            reservation: None,
            about: About {
                source: self.source,
                id: call.identity,
                latency_ms: call.latency_ms.and_then(count),
                time_to_first_token_ms: call.time_to_first_token_ms.and_then(count),
                call_site: call.call_site.map(|site| CallSite {
                    file: site.file.unwrap_or_default(),
                    function: site.function.unwrap_or_default(),
                    line: site.line.and_then(count),
                }),
                provider_request_id: call.provider_request_id,
                tags: call.tags,
                marks,
                end_user: call.end_user,
                // Telemetry's prompts and answers are never kept.
                sent_body: None,
                body: None,
            },
            asked: Some(AskedPrice {
                service,
                model: named,
                answered_model: reading.model,
                usage: reading.usage,
                usage_place: "",
                context: reading.context,
                beyond: reading.beyond.into_iter().map(|(unit, _)| unit).collect(),
                at,
            }),
        }
    }

    /// Who sold a call of which nobody says it: the path's one service, or the only seller that has
    /// the model.
    fn seller(&self, path: &str, model: &str, at: Timestamp) -> Option<Service> {
        if let Some(own) = self.own_services.get(path) {
            return Service::parse(own).ok();
        }
        let sellers = self.books.catalogue.sellers();
        let has_it = |seller: &&&Seller| seller.model(model, at).is_some();
        let mut having = sellers.iter().filter(has_it);
        let only = having.next().filter(|_| having.next().is_none())?;
        Service::parse(&only.name).ok()
    }
}

/// Where a call belongs: as it says, or the key's own path, or by the application's name.
fn path_of(call: &ReportedCall, caller: &Caller) -> String {
    if let Some(path) = &call.path {
        return path.clone();
    }
    if let Some(prefix) = path_prefix(caller) {
        return prefix.to_string();
    }
    format!("otel/{}", segment_of(call.service_name.as_deref().unwrap_or_default()))
}

/// A path's segment of any name.
fn segment_of(name: &str) -> String {
    let mut segment = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        let is_plain = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        match letter {
            letter if is_plain => segment.push(letter),
            '.' | '_' if !segment.is_empty() => segment.push(letter),
            _ if !segment.is_empty() && !segment.ends_with('-') => segment.push('-'),
            _ => {}
        }
    }
    segment.truncate(SEGMENT_MAX);
    let segment = segment.trim_end_matches('-');
    if segment.is_empty() { UNKNOWN_SERVICE.to_owned() } else { segment.to_owned() }
}

/// What makes two tellings of one call the same: what it consumed, of what, and when.
fn body_hash(call: &ReportedCall) -> [u8; 4] {
    let mut text = String::new();
    for (unit, quantity) in quantities(&call.reading.usage) {
        text.push_str(&format!("{}={quantity};", unit.name()));
    }
    let model = call.reading.model.as_deref().unwrap_or_default();
    let ended_at = call.ended_at.map(|at| at.as_microsecond());
    text.push_str(&format!("{model};{ended_at:?};{}", call.path.as_deref().unwrap_or_default()));
    BodyHash::of(text.as_bytes()).0
}

/// The problem that a report is which cannot be read.
fn unreadable(rejected: &RejectedReport) -> ApiError {
    let code = match rejected.kind {
        RejectionKind::Usage(usage::RawUsageErrorKind::Inconsistent) => Code::UsageInconsistent,
        _ => Code::ValidationFailed,
    };
    ApiError::new(code, rejected.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_has_a_segment() {
        for (name, segment) in [
            ("search", "search"),
            ("My Service (prod)", "my-service-prod"),
            ("--a..b__c--", "a..b__c"),
            ("été", "t"),
            ("", "unknown"),
            ("日本", "unknown"),
        ] {
            assert_eq!(segment_of(name), segment, "{name}");
            assert!(Path::parse(&segment_of(name)).is_ok());
        }
        assert_eq!(segment_of(&"x".repeat(100)).len(), 64);
    }
}
