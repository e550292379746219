//! Reported costs, summed from the facts: blocks of quarter hours are read page by page, decoded
//! off the async threads, and grouped.

use std::collections::BTreeMap;

use domain::{Currency, Granularity, Money, Path, Quantity, Window, Zone, names::provider_of};
use jiff::Timestamp;
use shards::detail::{CallSite, UnitName};
use shards::facts::{Sum, SumKey, SumKind, Sums};
use store::{
    Store,
    facts::{BlockQuery, FactsBlock},
    journal::Shard,
};
use uuid::Uuid;

use crate::{end_users::EndUserNames, reports::ReportError};

/// Blocks that are in memory at once.
const BLOCKS_AT_ONCE: usize = 64;
/// How often a report starts over because blocks were merged under it.
const STARTS_MAX: usize = 4;
/// Rows of a report at most.
const ROWS_MAX: usize = 100_000;
const QUANTITY_FEMTOS_PER_MICRO: i128 = 1_000_000_000;

/// By what reported costs can be grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReportedDimension {
    Provider,
    Service,
    Model,
    Path,
    ApiKey,
    EndUser,
    CallSite,
    Tag(String),
}

/// What reported costs are asked for.
#[derive(Debug, Clone)]
pub(crate) struct ReportedQuery {
    pub(crate) window: Window,
    pub(crate) granularity: Granularity,
    pub(crate) zone: Zone,
    /// Each at most once.
    pub(crate) group_by: Vec<ReportedDimension>,
    pub(crate) provider: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) end_user: Option<u64>,
    /// That path and below.
    pub(crate) path: Path,
}

/// Reported costs.
#[derive(Debug, Default)]
pub(crate) struct ReportedCosts {
    /// By period, then group.
    pub(crate) rows: Vec<ReportedRow>,
    /// The sum of all rows that have a cost; `None` where none has.
    pub(crate) total: Option<Money>,
    /// Events without a price, or not for everything.
    pub(crate) unpriced_count: u64,
}

/// One period and group.
#[derive(Debug)]
pub(crate) struct ReportedRow {
    pub(crate) period_start: Timestamp,
    /// The value of each dimension asked for; `None` where nothing was said.
    pub(crate) group: Vec<(String, Option<String>)>,
    /// `None` where nothing in it has a price, which is not zero.
    pub(crate) cost: Option<Money>,
    pub(crate) requests: Quantity,
    pub(crate) quantities: Vec<(String, Quantity)>,
}

/// Sums of one period and group.
type Groups = BTreeMap<(Timestamp, Vec<Option<String>>), Sum>;

impl ReportedDimension {
    /// Their names in the API, tags apart.
    pub(crate) const NAMES: [&'static str; 7] =
        ["provider", "service", "model", "path", "api_key", "end_user", "call_site"];

    /// The dimension of a name.
    pub(crate) fn parse(name: &str) -> Option<ReportedDimension> {
        Some(match name {
            "provider" => ReportedDimension::Provider,
            "service" => ReportedDimension::Service,
            "model" => ReportedDimension::Model,
            "path" => ReportedDimension::Path,
            "api_key" => ReportedDimension::ApiKey,
            "end_user" => ReportedDimension::EndUser,
            "call_site" => ReportedDimension::CallSite,
            _ => {
                let tag = name.strip_prefix("tag:").filter(|tag| !tag.is_empty())?;
                ReportedDimension::Tag(tag.to_owned())
            }
        })
    }

    /// The name in the API.
    pub(crate) fn name(&self) -> String {
        match self {
            ReportedDimension::Provider => "provider".to_owned(),
            ReportedDimension::Service => "service".to_owned(),
            ReportedDimension::Model => "model".to_owned(),
            ReportedDimension::Path => "path".to_owned(),
            ReportedDimension::ApiKey => "api_key".to_owned(),
            ReportedDimension::EndUser => "end_user".to_owned(),
            ReportedDimension::CallSite => "call_site".to_owned(),
            ReportedDimension::Tag(tag) => format!("tag:{tag}"),
        }
    }

    fn value(&self, key: &SumKey) -> Option<String> {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match self {
            ReportedDimension::Provider => said(provider_of(&key.service)),
            ReportedDimension::Service => said(&key.service),
            ReportedDimension::Model => said(&key.model),
            // The environment itself is a path, and its name is empty.
            ReportedDimension::Path => Some(key.path.clone()),
            ReportedDimension::ApiKey => {
                let id = domain::KeyId::from_uuid(Uuid::from_u128(key.key?));
                Some(id.to_string())
            }
            ReportedDimension::EndUser => key.end_user.map(|number| number.to_string()),
            ReportedDimension::CallSite => key.call_site.as_ref().map(call_site_text),
            ReportedDimension::Tag(tag) => {
                let found = key.tags.iter().find(|(name, _)| name == tag);
                found.map(|(_, value)| value.clone())
            }
        }
    }
}

/// `FILE:LINE FUNCTION`, as far as it is known.
pub(crate) fn call_site_text(site: &CallSite) -> String {
    let line = site.line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("{}{line} {}", site.file, site.function).trim().to_owned()
}

/// Sums what was reported. A quarter hour counts where it begins within the window.
pub(crate) async fn reported_costs(
    store: &dyn Store,
    shard: Shard,
    query: ReportedQuery,
) -> Result<ReportedCosts, ReportError> {
    for _ in 0..STARTS_MAX {
        if let Some(groups) = summed(store, shard, &query).await? {
            let groups = with_names(store, shard, &query, groups).await?;
            return costs_of(&query, groups);
        }
    }
    Err(failed(std::io::Error::other("sums kept changing while they were read")))
}

/// All groups; `None` where blocks were merged meanwhile across the place of reading.
async fn summed(
    store: &dyn Store,
    shard: Shard,
    query: &ReportedQuery,
) -> Result<Option<Groups>, ReportError> {
    let mut asked = BlockQuery {
        start: query.window.start.as_microsecond(),
        end: query.window.end.as_microsecond(),
        before_seq: u64::MAX,
        limit: BLOCKS_AT_ONCE,
    };
    let mut groups = Groups::new();
    let mut oldest: Option<(u64, u64)> = None;
    loop {
        let mut blocks = store.sum_blocks(shard, asked).await.map_err(ReportError::Store)?;
        let is_last = blocks.len() < asked.limit;
        // The last block of the page before comes once more: were it merged with others, it would
        // not be there, and what it was merged with might be missed.
        if let Some(known) = oldest {
            if blocks.first().map(|block| (block.first_seq, block.last_seq)) != Some(known) {
                return Ok(None);
            }
            blocks.remove(0);
        }
        if let Some(block) = blocks.last() {
            oldest = Some((block.first_seq, block.last_seq));
            asked.before_seq = block.last_seq.saturating_add(1);
        }
        let query = query.clone();
        let adding = tokio::task::spawn_blocking(move || add_blocks(&query, groups, &blocks));
        groups = adding.await.map_err(failed)??;
        if is_last {
            return Ok(Some(groups));
        }
    }
}

fn add_blocks(
    query: &ReportedQuery,
    mut groups: Groups,
    blocks: &[FactsBlock],
) -> Result<Groups, ReportError> {
    for block in blocks {
        let sums = Sums::decode(&block.bytes).map_err(failed)?;
        for (key, sum) in sums.iter().filter(|(key, _)| is_asked(query, key)) {
            let Ok(start) = Timestamp::from_microsecond(key.start()) else { continue };
            if !query.window.contains(start) {
                continue;
            }
            let period_start = match query.granularity {
                Granularity::Total => query.window.start,
                granularity => query.zone.period_start(start, granularity),
            };
            let group = query.group_by.iter().map(|dimension| dimension.value(key)).collect();
            groups.entry((period_start, group)).or_default().add(sum);
        }
        if groups.len() > ROWS_MAX {
            let detail = format!("more than {ROWS_MAX} rows: group by less, or ask for less time");
            return Err(ReportError::Refused { parameter: "group_by", detail });
        }
    }
    Ok(groups)
}

/// The same with the external ids of end users for their numbers.
async fn with_names(
    store: &dyn Store,
    shard: Shard,
    query: &ReportedQuery,
    groups: Groups,
) -> Result<Groups, ReportError> {
    let is_end_user = |dimension: &ReportedDimension| *dimension == ReportedDimension::EndUser;
    let Some(place) = query.group_by.iter().position(is_end_user) else { return Ok(groups) };
    let number = |group: &[Option<String>]| group[place].as_ref()?.parse::<u64>().ok();
    let numbers = groups.keys().filter_map(|(_, group)| number(group)).collect();
    let names = EndUserNames::of(store, shard, numbers).await.map_err(ReportError::Store)?;
    let mut named = Groups::new();
    for ((period_start, mut group), sum) in groups {
        group[place] = number(&group).map(|number| names.shown(number));
        named.entry((period_start, group)).or_default().add(&sum);
    }
    Ok(named)
}

fn is_asked(query: &ReportedQuery, key: &SumKey) -> bool {
    let is = |wanted: &Option<String>, found: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted == found)
    };
    key.kind == SumKind::Reported
        && is(&query.service, &key.service)
        && is(&query.model, &key.model)
        && is(&query.provider, provider_of(&key.service))
        && query.path.holds(&key.path)
        && query.end_user.is_none_or(|number| key.end_user == Some(number))
}

fn costs_of(query: &ReportedQuery, groups: Groups) -> Result<ReportedCosts, ReportError> {
    let names: Vec<_> = query.group_by.iter().map(ReportedDimension::name).collect();
    let mut costs = ReportedCosts::default();
    let mut total: Option<i128> = None;
    for ((period_start, group), sum) in groups {
        let cost = priced(&sum);
        if let Some(cost) = cost {
            total = Some(total.unwrap_or(0).saturating_add(cost));
        }
        let unpriced = u64::try_from(sum.unpriced_count).unwrap_or(0);
        costs.unpriced_count = costs.unpriced_count.saturating_add(unpriced);
        costs.rows.push(ReportedRow {
            period_start,
            group: names.iter().cloned().zip(group).collect(),
            cost: cost.map(money).transpose()?,
            requests: quantity(sum.requests.saturating_mul(1_000_000))?,
            quantities: quantities(&sum.quantities)?,
        });
    }
    costs.total = total.map(money).transpose()?;
    Ok(costs)
}

/// The cost of what has a price; `None` where nothing has.
fn priced(sum: &Sum) -> Option<i128> {
    let is_all_unpriced = sum.event_count > 0 && sum.unpriced_count >= sum.event_count;
    (!is_all_unpriced || sum.cost != 0).then_some(sum.cost)
}

fn quantities(sums: &BTreeMap<UnitName, i128>) -> Result<Vec<(String, Quantity)>, ReportError> {
    let mut named = Vec::with_capacity(sums.len());
    for (unit, micros) in sums {
        named.push((unit.name(), quantity(*micros)?));
    }
    named.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(named)
}

/// A quantity of so many millionths.
pub(crate) fn quantity(micros: i128) -> Result<Quantity, ReportError> {
    let femtos = micros.checked_mul(QUANTITY_FEMTOS_PER_MICRO);
    femtos.and_then(Quantity::from_femtos).ok_or_else(too_large)
}

/// So many femtodollars.
pub(crate) fn money(femtos: i128) -> Result<Money, ReportError> {
    Money::from_femtos(femtos, Currency::USD).ok_or_else(too_large)
}

fn too_large() -> ReportError {
    failed(std::io::Error::other("a sum of reported usage is beyond 10^18"))
}

pub(crate) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ReportError {
    ReportError::Failed(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_with_a_price_is_no_cost_and_a_part_with_one_is_its_sum() {
        let sum = |cost, event_count, unpriced_count| Sum {
            cost,
            event_count,
            unpriced_count,
            ..Sum::default()
        };
        let table = [
            ("all have a price", sum(5, 2, 0), Some(5)),
            ("a call was free", sum(0, 1, 0), Some(0)),
            ("none has a price", sum(0, 2, 2), None),
            ("none has a whole price", sum(3, 2, 2), Some(3)),
            ("all was taken back", sum(0, 0, 0), Some(0)),
        ];
        for (what, sum, expected) in table {
            assert_eq!(priced(&sum), expected, "{what}");
        }
    }

    #[test]
    fn dimensions_read_back_and_a_tag_has_a_name() {
        for name in ReportedDimension::NAMES.into_iter().chain(["tag:team"]) {
            let dimension = ReportedDimension::parse(name);
            assert_eq!(dimension.map(|found| found.name()).as_deref(), Some(name));
        }
        for name in ["tag:", "tag", "unit", "Model"] {
            assert_eq!(ReportedDimension::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_call_site_is_said_as_far_as_it_is_known() {
        let site = |file: &str, function: &str, line| CallSite {
            file: file.to_owned(),
            function: function.to_owned(),
            line,
        };
        assert_eq!(call_site_text(&site("a.py", "ask", Some(7))), "a.py:7 ask");
        assert_eq!(call_site_text(&site("a.py", "", None)), "a.py");
        assert_eq!(call_site_text(&site("", "ask", None)), "ask");
    }
}
