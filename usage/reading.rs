//! What a block of usage says, in our vocabulary, and what people should know about it.

use domain::{Money, RateContext, Usage};

/// What to do where figures do not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Refuse: whoever sent it can be asked.
    Refuse,
    /// Keep it and flag it: nobody can be asked, as in telemetry.
    Flag,
}

/// A block of usage in our vocabulary.
///
/// `usage.check()` holds for every reading, whatever the strictness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What was consumed. What is not said is `None`, and what is said to be zero is zero.
    pub usage: Usage,
    /// What the response says about its rate: it goes before what was asked for.
    pub context: RateContext,
    /// The model that the response names.
    pub model: Option<String>,
    /// The response's id.
    pub response_id: Option<String>,
    /// What the provider says that it costs.
    pub stated_cost: Option<StatedCost>,
    /// What is billed, or may be, and has no word in the vocabulary: units and counts above zero.
    pub beyond: Vec<(&'static str, u64)>,
    /// What people should know about the figures.
    pub flags: Vec<Flag>,
}

impl Reading {
    /// Whether a flag of this kind is among [`Reading::flags`].
    #[must_use]
    pub fn is_flagged(&self, kind: FlagKind) -> bool {
        self.flags.iter().any(|flag| flag.kind == kind)
    }
}

/// What a provider says that a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatedCost {
    /// The amount, not negative. Zero is kept, and flagged: a proxy without a price says zero.
    pub amount: Money,
    /// What rounding removed, in 10⁻³⁰ units: providers print binary fractions in full.
    pub residue: i128,
}

/// Something that people should know about a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// What kind of thing.
    pub kind: FlagKind,
    /// A JSON pointer into what was sent; of a span, the name of the attribute.
    pub pointer: String,
    /// What it is, and what was made of it.
    pub detail: String,
}

/// What a flag is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlagKind {
    /// Figures contradict each other. Each was kept; a whole holds at least its parts.
    Inconsistent,
    /// The input was smaller than its cached part, and was read as leaving the cache out.
    CacheOutside,
    /// The output was read as leaving the reasoning out.
    ReasoningOutside,
    /// It may have cost more: the dearer part of a figure is not told apart.
    LowerBound,
    /// Something that is not said was taken as what it usually is.
    Assumed,
    /// The figures are of several passes of the model: no length of one prompt can be seen.
    SeveralPasses,
    /// The figures belong to another model than the conversation's.
    AnotherModel,
    /// The stream ended without its last event: at least this much.
    Cut,
    /// The cost that was said cannot be read; there is none in the reading.
    StatedCostUnreadable,
    /// The cost that was said is zero, which is not to be trusted.
    StatedCostZero,
    /// Texts beside the figures were too long or too many, and are left out.
    Oversized,
}

impl FlagKind {
    /// Stable text for API clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FlagKind::Inconsistent => "inconsistent",
            FlagKind::CacheOutside => "cache_outside",
            FlagKind::ReasoningOutside => "reasoning_outside",
            FlagKind::LowerBound => "lower_bound",
            FlagKind::Assumed => "assumed",
            FlagKind::SeveralPasses => "several_passes",
            FlagKind::AnotherModel => "another_model",
            FlagKind::Cut => "cut",
            FlagKind::StatedCostUnreadable => "stated_cost_unreadable",
            FlagKind::StatedCostZero => "stated_cost_zero",
            FlagKind::Oversized => "oversized",
        }
    }
}
