//! Which columns a charge has, and charges read back from them.
//!
//! Two groups: *core* is what cost queries read, *detail* everything else, with the columns of a
//! billing file that have no field in [`Charge`] under their own names behind `file:`.

use std::borrow::Cow;

use domain::{Charge, ChargeCategory, Currency, Quantity};
use jiff::Timestamp;

use crate::{
    BlockError, BlockView, IntegerColumn, TextColumn,
    block::{BlockBuilder, Kind},
    integers::IntegerBuilder,
    texts::TextBuilder,
};

/// Names of the columns that queries ask for.
pub mod column {
    /// Start of the charge period, microseconds UTC.
    pub const PERIOD_START: &str = "period_start";
    /// End of the charge period, microseconds UTC.
    pub const PERIOD_END: &str = "period_end";
    /// Charge category.
    pub const CATEGORY: &str = "category";
    /// Service.
    pub const SERVICE: &str = "service";
    /// Model.
    pub const MODEL: &str = "model";
    /// Sub-account.
    pub const SUB_ACCOUNT: &str = "sub_account";
    /// API key.
    pub const API_KEY: &str = "api_key";
    /// Currency.
    pub const CURRENCY: &str = "currency";
    /// Billed cost, 10⁻¹⁵ units of the currency.
    pub const BILLED_COST: &str = "billed_cost";
    /// Effective cost.
    pub const EFFECTIVE_COST: &str = "effective_cost";
    /// List cost.
    pub const LIST_COST: &str = "list_cost";
    /// Consumed quantity, 10⁻¹⁵ units.
    pub const CONSUMED_QUANTITY: &str = "consumed_quantity";
    /// Unit of the consumed quantity.
    pub const CONSUMED_UNIT: &str = "consumed_unit";
    /// Before the name of a billing file's own column.
    pub const FILE_PREFIX: &str = "file:";
}

const CORE_TEXTS: [&str; 7] = [
    column::CATEGORY,
    column::SERVICE,
    column::MODEL,
    column::SUB_ACCOUNT,
    column::API_KEY,
    column::CURRENCY,
    column::CONSUMED_UNIT,
];
const CORE_INTEGERS: [&str; 6] = [
    column::PERIOD_START,
    column::PERIOD_END,
    column::BILLED_COST,
    column::EFFECTIVE_COST,
    column::LIST_COST,
    column::CONSUMED_QUANTITY,
];
const DETAIL_TEXTS: [&str; 5] =
    ["pricing_unit", "service_name", "sku", "description", "billed_cost_text"];
const DETAIL_INTEGER: &str = "pricing_quantity";

/// The columns of one block while it is filled.
#[derive(Default)]
pub(crate) struct ChargeColumns {
    row_count: usize,
    core_texts: [TextBuilder; CORE_TEXTS.len()],
    core_integers: [IntegerBuilder; CORE_INTEGERS.len()],
    detail_texts: [TextBuilder; DETAIL_TEXTS.len()],
    pricing_quantity: IntegerBuilder,
    extra: Vec<TextBuilder>,
}

/// A block's two groups and the digest of both.
pub(crate) struct Encoded {
    pub(crate) core: Vec<u8>,
    pub(crate) detail: Vec<u8>,
    pub(crate) digest: [u8; 32],
}

impl ChargeColumns {
    pub(crate) fn push(&mut self, charge: &Charge<'_>, extra: &[Option<&str>]) {
        let texts = [
            Some(charge.category.as_str()),
            charge.service.as_deref(),
            charge.model.as_deref(),
            charge.sub_account.as_deref(),
            charge.api_key.as_deref(),
            Some(charge.currency.code()),
            charge.consumed_unit.as_deref(),
        ];
        let integers = [
            Some(i128::from(charge.period_start.as_microsecond())),
            Some(i128::from(charge.period_end.as_microsecond())),
            charge.billed_cost,
            charge.effective_cost,
            charge.list_cost,
            charge.consumed_quantity.map(|quantity| quantity.femtos()),
        ];
        let details = [
            charge.pricing_unit.as_deref(),
            charge.service_name.as_deref(),
            charge.sku.as_deref(),
            charge.description.as_deref(),
            charge.billed_cost_text.as_deref(),
        ];
        self.core_texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text));
        self.core_integers.iter_mut().zip(integers).for_each(|(column, value)| column.push(value));
        self.detail_texts.iter_mut().zip(details).for_each(|(column, text)| column.push(text));
        self.pricing_quantity.push(charge.pricing_quantity.map(|quantity| quantity.femtos()));
        if self.extra.len() < extra.len() {
            self.extra.resize_with(extra.len(), TextBuilder::default);
        }
        for (column, text) in self.extra.iter_mut().zip(extra) {
            column.pad(self.row_count);
            column.push(*text);
        }
        self.row_count += 1;
    }

    pub(crate) const fn row_count(&self) -> usize {
        self.row_count
    }

    pub(crate) fn size_bytes(&self) -> usize {
        let texts = self.core_texts.iter().chain(&self.detail_texts).chain(&self.extra);
        let integers = self.core_integers.iter().chain([&self.pricing_quantity]);
        texts.map(TextBuilder::size_bytes).sum::<usize>()
            + integers.map(IntegerBuilder::size_bytes).sum::<usize>()
    }

    pub(crate) fn encode(mut self, extra_names: &[String]) -> Encoded {
        let row_count = u32::try_from(self.row_count).expect("a block has fewer than 2^32 rows");
        let mut core = BlockBuilder::new(row_count);
        for (name, column) in CORE_TEXTS.iter().zip(&self.core_texts) {
            add_texts(&mut core, name, column);
        }
        for (name, column) in CORE_INTEGERS.iter().zip(&self.core_integers) {
            core.add(name, Kind::Integer, &column.encode());
        }
        let mut detail = BlockBuilder::new(row_count);
        for (name, column) in DETAIL_TEXTS.iter().zip(&self.detail_texts) {
            add_texts(&mut detail, name, column);
        }
        detail.add(DETAIL_INTEGER, Kind::Integer, &self.pricing_quantity.encode());
        for (name, column) in extra_names.iter().zip(&mut self.extra) {
            column.pad(self.row_count);
            add_texts(&mut detail, &format!("{}{name}", column::FILE_PREFIX), column);
        }
        let (core, core_digest) = core.finish();
        let (detail, detail_digest) = detail.finish();
        let digest = [core_digest, detail_digest].concat();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(digest).into();
        Encoded { core, detail, digest }
    }
}

/// A column that no row has is left out.
fn add_texts(block: &mut BlockBuilder, name: &str, column: &TextBuilder) {
    if !column.is_all_absent() {
        block.add(name, Kind::Text, &column.encode());
    }
}

/// All charges of a block, decoded.
pub struct ChargeRows<'a> {
    row_count: usize,
    core_texts: [Option<TextColumn<'a>>; CORE_TEXTS.len()],
    core_integers: [Option<IntegerColumn<'a>>; CORE_INTEGERS.len()],
    detail_texts: [Option<TextColumn<'a>>; DETAIL_TEXTS.len()],
    pricing_quantity: Option<IntegerColumn<'a>>,
    extra: Vec<(&'a str, TextColumn<'a>)>,
}

impl<'a> ChargeRows<'a> {
    /// Decodes every column of both groups.
    ///
    /// # Errors
    /// [`BlockError`] where a group is damaged or the two do not belong together.
    pub fn decode(core: &'a [u8], detail: &'a [u8]) -> Result<ChargeRows<'a>, BlockError> {
        let (core, detail) = (BlockView::open(core)?, BlockView::open(detail)?);
        if core.row_count() != detail.row_count() {
            return Err(BlockError::Corrupt("its halves have different numbers of rows"));
        }
        let mut extra = Vec::new();
        for name in detail.names() {
            if let Some(own) = name.strip_prefix(column::FILE_PREFIX)
                && let Some(texts) = detail.texts(name)?
            {
                extra.push((own, texts));
            }
        }
        Ok(ChargeRows {
            row_count: core.row_count(),
            core_texts: each(CORE_TEXTS, |name| core.texts(name))?,
            core_integers: each(CORE_INTEGERS, |name| core.integers(name))?,
            detail_texts: each(DETAIL_TEXTS, |name| detail.texts(name))?,
            pricing_quantity: detail.integers(DETAIL_INTEGER)?,
            extra,
        })
    }

    /// How many charges.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.row_count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.row_count == 0
    }

    /// One charge; `None` past the end, or where a value is impossible.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Charge<'_>> {
        let text = |column: &'a str| {
            let at = CORE_TEXTS.iter().position(|name| *name == column)?;
            self.core_texts[at].as_ref()?.get(row)
        };
        let integer = |column: &'a str| {
            let at = CORE_INTEGERS.iter().position(|name| *name == column)?;
            self.core_integers[at].as_ref()?.get(row)
        };
        let detail = |at: usize| self.detail_texts[at].as_ref()?.get(row).map(Cow::Borrowed);
        let instant = |column| Timestamp::from_microsecond(integer(column)?.try_into().ok()?).ok();
        Some(Charge {
            period_start: instant(column::PERIOD_START)?,
            period_end: instant(column::PERIOD_END)?,
            category: ChargeCategory::parse(text(column::CATEGORY)?)?,
            service: text(column::SERVICE).map(Cow::Borrowed),
            model: text(column::MODEL).map(Cow::Borrowed),
            sub_account: text(column::SUB_ACCOUNT).map(Cow::Borrowed),
            api_key: text(column::API_KEY).map(Cow::Borrowed),
            currency: Currency::parse(text(column::CURRENCY)?)?,
            billed_cost: integer(column::BILLED_COST),
            effective_cost: integer(column::EFFECTIVE_COST),
            list_cost: integer(column::LIST_COST),
            consumed_quantity: integer(column::CONSUMED_QUANTITY).and_then(Quantity::from_femtos),
            consumed_unit: text(column::CONSUMED_UNIT).map(Cow::Borrowed),
            pricing_quantity: (self.pricing_quantity.as_ref())
                .and_then(|column| Quantity::from_femtos(column.get(row)?)),
            pricing_unit: detail(0),
            service_name: detail(1),
            sku: detail(2),
            description: detail(3),
            billed_cost_text: detail(4),
        })
    }

    /// A row's other columns from its billing file, by name, absent ones left out.
    pub fn extra(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        self.extra.iter().filter_map(move |(name, column)| Some((*name, column.get(row)?)))
    }
}

fn each<T, const N: usize>(
    names: [&str; N],
    load: impl Fn(&str) -> Result<T, BlockError>,
) -> Result<[T; N], BlockError> {
    let mut loaded = Vec::with_capacity(N);
    for name in names {
        loaded.push(load(name)?);
    }
    loaded.try_into().map_err(|_| BlockError::Corrupt("a column is missing"))
}
