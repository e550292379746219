//! A pull's charges as blocks, one set for each day of its window, and which days differ from what
//! is stored.
//!
//! A day that reads the same as before is not written again, so that polling every hour does not
//! fill the store; a day that differs is a restatement and becomes a new generation.

use std::collections::BTreeMap;

use columns::{BlockLimits, BlockWriter, EncodedBlock};
use connectors::Pull;
use domain::{Account, ConnectionId, Feed, Window, time};
use jiff::{Timestamp, civil::Date};
use store::charges::{BatchSource, Block, BlockInfo, BlockKey};

/// One day of a pull.
#[derive(Debug, Clone)]
pub(crate) struct PulledDay {
    pub(crate) blocks: Vec<Block>,
}

impl PulledDay {
    pub(crate) fn charge_count(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.row_count)).sum()
    }
}

/// The charges by day, a block without rows for each day that had none. A day about which the
/// provider said nothing at all is left out: what is stored of it must not be replaced by silence.
pub(crate) fn days_of_pull(
    account: &Account,
    feed: &Feed,
    window: Window,
    pull: &Pull,
) -> BTreeMap<Date, PulledDay> {
    let mut encoded: BTreeMap<Date, Vec<EncodedBlock>> = BTreeMap::new();
    let mut writer = BlockWriter::new(BlockLimits::default(), Vec::new());
    let mut collect = |block: EncodedBlock| encoded.entry(block.day).or_default().push(block);
    for charge in &pull.charges {
        writer.push(account, charge, &[], &mut collect);
    }
    writer.finish(&mut collect);
    let (first, last) = window.days();
    for day in first.series(jiff::ToSpan::days(1)).take_while(|day| *day <= last) {
        if !is_unanswered(pull, day) {
            encoded.entry(day).or_insert_with(|| vec![EncodedBlock::empty(account.clone(), day)]);
        }
    }
    let day_of = |(day, blocks): (Date, Vec<EncodedBlock>)| {
        let end = Window::of_day(day).end;
        let is_complete = pull.complete_through.is_some_and(|through| end <= through);
        let blocks = blocks.into_iter().map(|block| stored(block, feed, is_complete)).collect();
        (day, PulledDay { blocks })
    };
    encoded.into_iter().map(day_of).collect()
}

fn is_unanswered(pull: &Pull, day: Date) -> bool {
    let Window { start, end } = Window::of_day(day);
    pull.unanswered.iter().any(|silent| silent.start < end && start < silent.end)
}

/// An encoded block in the store's form.
pub(crate) fn stored(block: EncodedBlock, feed: &Feed, is_complete: bool) -> Block {
    let key =
        BlockKey { account: block.account, feed: feed.clone(), day: block.day, part: block.part };
    Block {
        key,
        row_count: block.row_count,
        is_complete,
        digest: block.digest,
        core: block.core.into(),
        detail: block.detail.into(),
    }
}

/// Drops the days that this connection has stored already, just as they are now.
pub(crate) fn keep_changed(
    days: &mut BTreeMap<Date, PulledDay>,
    connection: ConnectionId,
    account: &Account,
    feed: &Feed,
    visible: &[BlockInfo],
) {
    let mut newest: BTreeMap<Date, Vec<&BlockInfo>> = BTreeMap::new();
    for info in visible {
        if info.key.account != *account || info.key.feed != *feed {
            continue;
        }
        let blocks = newest.entry(info.key.day).or_default();
        if blocks.first().is_some_and(|first| first.generation < info.generation) {
            blocks.clear();
        }
        if blocks.first().is_none_or(|first| first.generation == info.generation) {
            blocks.push(info);
        }
    }
    days.retain(|day, pulled| match newest.get_mut(day) {
        None => true,
        Some(blocks) => {
            blocks.sort_by_key(|info| info.key.part);
            let is_own =
                blocks.iter().all(|info| info.source == BatchSource::Connection(connection));
            let same = |(info, block): (&&BlockInfo, &Block)| {
                info.digest == block.digest && info.is_complete == block.is_complete
            };
            let is_same =
                blocks.len() == pulled.blocks.len() && blocks.iter().zip(&pulled.blocks).all(same);
            !(is_own && is_same)
        }
    });
}

/// Everything before this instant is stored and final in every one of the feeds.
pub(crate) fn complete_through(
    window: Window,
    account: &Account,
    feeds: &[Feed],
    visible: &[BlockInfo],
) -> Timestamp {
    let (first, last) = window.days();
    let is_final = |feed: &Feed, day: Date| {
        let of_day = visible
            .iter()
            .filter(|info| info.key.account == *account && info.key.feed == *feed)
            .filter(|info| info.key.day == day);
        of_day.max_by_key(|info| info.generation).is_some_and(|info| info.is_complete)
    };
    first
        .series(jiff::ToSpan::days(1))
        .take_while(|day| *day <= last)
        .find(|day| !feeds.iter().all(|feed| is_final(feed, *day)))
        .map_or(window.end, time::day_start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{BatchId, Charge, Currency, ProviderId};

    fn account() -> Account {
        Account { provider: ProviderId::parse("openai").unwrap(), id: "org".into() }
    }

    fn feed() -> Feed {
        Feed::parse("costs").unwrap()
    }

    fn connection(bits: u128) -> ConnectionId {
        ConnectionId::from_uuid(uuid::Uuid::from_u128(bits))
    }

    fn window() -> Window {
        let at = |text: &str| text.parse().unwrap();
        Window::new(at("2026-11-01T00:00:00Z"), at("2026-11-04T00:00:00Z")).unwrap()
    }

    fn pull(cost: i128, complete_through: &str) -> BTreeMap<Date, PulledDay> {
        let day = Window::of_day(jiff::civil::date(2026, 11, 2));
        let charge =
            Charge { billed_cost: Some(cost), ..Charge::empty(day.start, day.end, Currency::USD) };
        let pull = Pull {
            charges: vec![charge],
            issues: Vec::new(),
            complete_through: Some(complete_through.parse().unwrap()),
            unanswered: Vec::new(),
        };
        days_of_pull(&account(), &feed(), window(), &pull)
    }

    #[test]
    fn a_day_about_which_nothing_was_said_is_not_covered() {
        let silent = Window::of_day(jiff::civil::date(2026, 11, 1));
        let pull = Pull {
            charges: Vec::new(),
            issues: Vec::new(),
            complete_through: None,
            unanswered: vec![silent],
        };
        let days = days_of_pull(&account(), &feed(), window(), &pull);
        let covered: Vec<_> = days.keys().map(|day| day.day()).collect();
        assert_eq!(covered, [2, 3]);
    }

    fn visible(days: &BTreeMap<Date, PulledDay>, generation: u64) -> Vec<BlockInfo> {
        let blocks = days.values().flat_map(|day| &day.blocks);
        let info = |block: &Block| BlockInfo {
            batch: BatchId::from_uuid(uuid::Uuid::from_u128(1)),
            generation,
            source: BatchSource::Connection(connection(1)),
            key: block.key.clone(),
            row_count: block.row_count,
            is_complete: block.is_complete,
            digest: block.digest,
        };
        blocks.map(info).collect()
    }

    #[test]
    fn every_day_of_the_window_is_covered_even_without_charges() {
        let days = pull(5, "2026-11-03T00:00:00Z");
        let rows: Vec<_> = days.values().map(PulledDay::charge_count).collect();
        assert_eq!(rows, [0, 1, 0]);
        let complete: Vec<_> = days.values().map(|day| day.blocks[0].is_complete).collect();
        assert_eq!(complete, [true, true, false]);
    }

    #[test]
    fn only_days_that_differ_are_written_again() {
        let stored = visible(&pull(5, "2026-11-03T00:00:00Z"), 1);
        let changed = |pulled: BTreeMap<Date, PulledDay>, by| {
            let mut days = pulled;
            keep_changed(&mut days, connection(by), &account(), &feed(), &stored);
            days.keys().map(|day| day.day()).collect::<Vec<_>>()
        };
        assert_eq!(changed(pull(5, "2026-11-03T00:00:00Z"), 1), [0; 0], "nothing is new");
        assert_eq!(changed(pull(6, "2026-11-03T00:00:00Z"), 1), [2], "a restated day");
        assert_eq!(changed(pull(5, "2026-11-04T00:00:00Z"), 1), [3], "a day became final");
        assert_eq!(changed(pull(5, "2026-11-03T00:00:00Z"), 2), [1, 2, 3], "another connection's");
    }

    #[test]
    fn completeness_ends_at_the_first_day_that_any_feed_lacks() {
        let stored = visible(&pull(5, "2026-11-03T00:00:00Z"), 1);
        let through = |feeds: &[Feed]| complete_through(window(), &account(), feeds, &stored);
        assert_eq!(through(&[feed()]), "2026-11-03T00:00:00Z".parse().unwrap());
        let usage = Feed::parse("usage").unwrap();
        assert_eq!(through(&[feed(), usage]), window().start);
    }
}
