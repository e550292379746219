//! Reports read from the store: which blocks count is asked of `books`, columns are decoded off the
//! async threads, and a file deleted in the middle makes the report start over.

use std::{collections::BTreeMap, sync::Arc};

use books::{
    CostSums, Slice, Verdict,
    costs::{self, BlockOrigin},
    verdicts,
};
use bytes::Bytes;
use columns::ChargeRows;
use domain::{Charge, Connection, OrganizationId, Window};
use jiff::{Timestamp, ToSpan, civil::Date};
use sha2::{Digest, Sha256};
use store::{
    PageQuery, Store,
    charges::{BatchSource, BlockInfo, ColumnGroup},
};
use tokio::task::JoinSet;

use crate::reports::{
    ChargeLine, ChargePage, ChargeQuery, ChargeSource, CostQuery, CostReport, CostRow, Dimension,
    Filters, ReportError, Reports,
};

/// Blocks whose columns are fetched with one call and summed by one thread.
const BLOCKS_AT_ONCE: usize = 64;
/// How often a report starts over because blocks went away under it.
const STARTS_MAX: usize = 4;

/// Costs and charges over a store.
pub struct ChargeReports {
    store: Arc<dyn Store>,
}

/// A block and whether it counts.
struct Judged {
    info: BlockInfo,
    verdict: Verdict,
}

impl ChargeReports {
    /// Reports over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> ChargeReports {
        ChargeReports { store }
    }

    /// All blocks of the days that a window may touch in any zone, with the verdict on each.
    async fn judged(
        &self,
        organization: OrganizationId,
        window: Window,
    ) -> Result<Vec<Judged>, ReportError> {
        let (first, last) = window.days();
        // A local day can begin up to 14 hours before, and end up to 12 hours after, the UTC day.
        let first = first.checked_sub(1.day()).unwrap_or(first);
        let last = last.checked_add(1.day()).unwrap_or(last);
        let infos = self.store.visible_blocks(organization, first, last).await;
        let infos = infos.map_err(ReportError::Store)?;
        let slices: Vec<_> = infos.iter().map(slice_of).collect();
        let judged = infos.into_iter().zip(verdicts(&slices));
        Ok(judged.map(|(info, verdict)| Judged { info, verdict }).collect())
    }

    /// Sums the blocks; `None` where one of them is gone.
    async fn sum(
        &self,
        organization: OrganizationId,
        query: &costs::CostQuery,
        blocks: Vec<BlockInfo>,
    ) -> Result<Option<CostSums>, ReportError> {
        let mut workers = JoinSet::new();
        for chunk in blocks.chunks(BLOCKS_AT_ONCE) {
            let keys: Vec<_> = chunk.iter().map(|info| (info.batch, info.key.clone())).collect();
            let columns = self.store.block_columns(organization, &keys, ColumnGroup::Core).await;
            let columns: Option<Vec<_>> =
                columns.map_err(ReportError::Store)?.into_iter().collect();
            let Some(columns) = columns else { return Ok(None) };
            let (query, chunk) = (query.clone(), chunk.to_vec());
            workers.spawn_blocking(move || sum_chunk(query, &chunk, &columns));
        }
        let mut sums = CostSums::new(query.clone());
        while let Some(summed) = workers.join_next().await {
            let summed = summed.map_err(failed)?.map_err(failed)?;
            sums.merge(summed).map_err(failed)?;
        }
        Ok(Some(sums))
    }

    /// Everything before this instant is final with every connection that the filters let through.
    async fn complete_through(
        &self,
        organization: OrganizationId,
        filters: &Filters,
    ) -> Result<Option<Timestamp>, ReportError> {
        let page = PageQuery { limit: 1000, after: None };
        let connections = self.store.connections(organization, &page).await;
        let connections = connections.map_err(ReportError::Store)?;
        let is_asked = |connection: &&Connection| {
            let same_provider = |provider: &domain::ProviderId| connection.provider == *provider;
            filters.provider.as_ref().is_none_or(same_provider)
                && filters.connection.is_none_or(|id| connection.id == id)
        };
        let instants = connections.iter().filter(is_asked).map(|found| found.complete_through);
        // One connection that has not said anything yet makes the whole unknown.
        Ok(instants.min().flatten())
    }

    /// The charges of one block from `row` on, as long as the page has room.
    async fn list_block(
        &self,
        organization: OrganizationId,
        judged: &Judged,
        query: &ChargeQuery,
        from_row: usize,
        page: &mut ChargePage,
    ) -> Result<(), ReportError> {
        let info = &judged.info;
        let key = [(info.batch, info.key.clone())];
        let core = self.store.block_columns(organization, &key, ColumnGroup::Core).await;
        let detail = self.store.block_columns(organization, &key, ColumnGroup::Detail).await;
        let both = (core.map_err(ReportError::Store)?, detail.map_err(ReportError::Store)?);
        let (Some(Some(core)), Some(Some(detail))) = (both.0.first(), both.1.first()) else {
            return Ok(());
        };
        let rows = ChargeRows::decode(core, detail).map_err(failed)?;
        for row in from_row..rows.len() {
            let Some(charge) = rows.get(row) else { continue };
            if !query.window.contains(charge.period_start) || !passes(&query.filters, &charge) {
                continue;
            }
            if page.lines.len() == query.limit {
                page.next = Some(Place::of(info, row).text());
                return Ok(());
            }
            page.lines.push(line_of(judged, row, owned(&charge)));
        }
        Ok(())
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ReportError {
    ReportError::Failed(Box::new(error))
}

fn slice_of(info: &BlockInfo) -> Slice {
    Slice {
        account: info.key.account.clone(),
        feed: info.key.feed.clone(),
        day: info.key.day,
        generation: info.generation,
        is_file: matches!(info.source, BatchSource::File(_)),
        is_complete: info.is_complete,
    }
}

fn source_text(source: BatchSource) -> String {
    match source {
        BatchSource::Connection(id) => id.to_string(),
        BatchSource::File(id) => id.to_string(),
    }
}

/// Whether the filters can let any charge of a block through.
fn may_pass(filters: &Filters, info: &BlockInfo) -> bool {
    let provider = &info.key.account.provider;
    filters.provider.as_ref().is_none_or(|wanted| wanted == provider)
        && filters.connection.is_none_or(|id| info.source == BatchSource::Connection(id))
}

/// Whether the filters let a charge through, its block's own apart.
fn passes(filters: &Filters, charge: &Charge<'_>) -> bool {
    let is = |wanted: Option<&str>, found: Option<&str>| wanted.is_none() || wanted == found;
    is(filters.service.as_ref().map(|name| name.as_str()), charge.service.as_deref())
        && is(filters.model.as_deref(), charge.model.as_deref())
        && is(filters.sub_account.as_deref(), charge.sub_account.as_deref())
        && filters.currency.is_none_or(|currency| currency == charge.currency)
}

fn sum_chunk(
    query: costs::CostQuery,
    chunk: &[BlockInfo],
    columns: &[Bytes],
) -> Result<CostSums, costs::CostError> {
    let mut sums = CostSums::new(query);
    for (info, core) in chunk.iter().zip(columns) {
        let connection = source_text(info.source);
        let provider = info.key.account.provider.as_str();
        sums.add_block(BlockOrigin { provider, connection: &connection }, core)?;
    }
    Ok(sums)
}

/// The same question in the words of `books`.
fn books_query(query: &CostQuery) -> costs::CostQuery {
    let filters = &query.filters;
    let filters = [
        (Dimension::Service, filters.service.as_ref().map(|name| name.as_str())),
        (Dimension::Model, filters.model.as_deref()),
        (Dimension::SubAccount, filters.sub_account.as_deref()),
    ];
    let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
    costs::CostQuery {
        window: query.window,
        granularity: query.granularity,
        zone: query.zone.clone(),
        group_by: query.group_by.clone(),
        filters: given.collect(),
        currency: query.filters.currency,
    }
}

fn report_of(
    query: &CostQuery,
    sums: CostSums,
    complete_through: Option<Timestamp>,
) -> Result<CostReport, ReportError> {
    let found = sums.finish().map_err(failed)?;
    let mut totals: BTreeMap<_, _> = found.rows.iter().map(|row| (row.currency, None)).collect();
    totals.extend(found.totals.iter().map(|total| (total.currency(), Some(*total))));
    let row = |row: costs::CostRow| CostRow {
        period_start: row.period_start,
        requests: row.requests(),
        group: query.group_by.iter().copied().zip(row.group).collect(),
        currency: row.currency,
        cost: row.cost,
        quantities: row.quantities,
    };
    let rows = found.rows.into_iter().map(row).collect();
    Ok(CostReport { totals: totals.into_iter().collect(), complete_through, rows })
}

#[async_trait::async_trait]
impl Reports for ChargeReports {
    async fn costs(
        &self,
        organization: OrganizationId,
        query: &CostQuery,
    ) -> Result<CostReport, ReportError> {
        let complete_through = self.complete_through(organization, &query.filters).await?;
        let books_query = books_query(query);
        for _ in 0..STARTS_MAX {
            let judged = self.judged(organization, query.window).await?;
            let counting = judged.into_iter().filter(|block| {
                block.verdict == Verdict::Counts
                    && block.info.row_count > 0
                    && may_pass(&query.filters, &block.info)
            });
            let blocks = counting.map(|block| block.info).collect();
            if let Some(sums) = self.sum(organization, &books_query, blocks).await? {
                return report_of(query, sums, complete_through);
            }
        }
        Err(failed(std::io::Error::other("charges kept changing while they were summed")))
    }

    async fn charges(
        &self,
        organization: OrganizationId,
        query: &ChargeQuery,
    ) -> Result<ChargePage, ReportError> {
        let mut judged = self.judged(organization, query.window).await?;
        judged.retain(|block| block.info.row_count > 0 && may_pass(&query.filters, &block.info));
        judged.sort_by_cached_key(|block| Place::of(&block.info, 0));
        let start = query.after.as_deref().map(Place::parse).transpose()?;
        let mut page = ChargePage::default();
        for block in &judged {
            let from_row = match &start {
                Some(start) => match start.row_in(&block.info) {
                    Some(row) => row,
                    None => continue,
                },
                None => 0,
            };
            self.list_block(organization, block, query, from_row, &mut page).await?;
            if page.next.is_some() {
                break;
            }
        }
        Ok(page)
    }
}

/// Where a line stands in the order of all lines: by day, then generation, which only grows.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    day: Date,
    generation: u64,
    block: String,
    part: u32,
    row: usize,
}

impl Place {
    fn of(info: &BlockInfo, row: usize) -> Place {
        let block = block_name(info);
        Place { day: info.key.day, generation: info.generation, block, part: info.key.part, row }
    }

    fn text(&self) -> String {
        format!("{}/{}/{}/{}/{}", self.day, self.generation, self.block, self.part, self.row)
    }

    fn parse(text: &str) -> Result<Place, ReportError> {
        let parts: Vec<_> = text.split('/').collect();
        let place = || {
            let [day, generation, block, part, row] = parts.as_slice() else { return None };
            Some(Place {
                day: day.parse().ok()?,
                generation: generation.parse().ok()?,
                block: (*block).to_owned(),
                part: part.parse().ok()?,
                row: row.parse().ok()?,
            })
        };
        let detail = "use the `next_cursor` of the page before, as it is".to_owned();
        place().ok_or(ReportError::Refused { parameter: "cursor", detail })
    }

    /// From which row on a block's lines come at or after this place; `None` where it is all
    /// before.
    fn row_in(&self, info: &BlockInfo) -> Option<usize> {
        let first = Place::of(info, 0);
        let is_same = (self.day, self.generation, &self.block, self.part)
            == (first.day, first.generation, &first.block, first.part);
        match is_same {
            true => Some(self.row),
            false => (first > *self).then_some(0),
        }
    }
}

/// A short name of account and feed: a batch can hold several for one day.
fn block_name(info: &BlockInfo) -> String {
    let (account, feed) = (&info.key.account, &info.key.feed);
    let digest = Sha256::digest(format!("{}\n{}\n{feed}", account.provider, account.id));
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line_of(judged: &Judged, row: usize, charge: Charge<'static>) -> ChargeLine {
    let info = &judged.info;
    let key = &info.key;
    ChargeLine {
        id: format!("{}-{}-{}-{}-{row}", info.batch, key.day, block_name(info), key.part),
        provider: key.account.provider.clone(),
        account: key.account.id.clone(),
        feed: key.feed.to_string(),
        source: match info.source {
            BatchSource::Connection(id) => ChargeSource::Connection(id),
            BatchSource::File(id) => ChargeSource::File(id),
        },
        is_superseded: judged.verdict == Verdict::Superseded,
        charge,
    }
}

/// The charge with its texts copied out of the block.
fn owned(charge: &Charge<'_>) -> Charge<'static> {
    let text = |text: &Option<domain::charge::Text<'_>>| {
        text.as_ref().map(|text| text.clone().into_owned().into())
    };
    Charge {
        period_start: charge.period_start,
        period_end: charge.period_end,
        category: charge.category,
        service: text(&charge.service),
        model: text(&charge.model),
        sub_account: text(&charge.sub_account),
        api_key: text(&charge.api_key),
        currency: charge.currency,
        billed_cost: charge.billed_cost,
        effective_cost: charge.effective_cost,
        list_cost: charge.list_cost,
        consumed_quantity: charge.consumed_quantity,
        consumed_unit: text(&charge.consumed_unit),
        pricing_quantity: charge.pricing_quantity,
        pricing_unit: text(&charge.pricing_unit),
        service_name: text(&charge.service_name),
        sku: text(&charge.sku),
        description: text(&charge.description),
        billed_cost_text: text(&charge.billed_cost_text),
    }
}
