//! A provider's own block of usage, as it was sent: the usage room reads it; what it says besides
//! its counts goes along.

use domain::{Money, RateContext, Usage as Consumed};
use serde_json::value::RawValue;
use usage::{Flag, RawFormat, RawUsageError, RawUsageErrorKind, Strictness};

use crate::{dto_estimate::FlagView, error::FieldError, estimate::MODEL_BYTES_MAX};

const POINTER: &str = "/raw_usage";

/// What a block says.
pub(crate) struct RawUsage {
    /// What was consumed.
    pub(crate) usage: Consumed,
    /// What the response says of its rate.
    pub(crate) context: RateContext,
    /// The model that the response names.
    pub(crate) model: Option<String>,
    /// What was billed and usage has no word for.
    pub(crate) beyond: Vec<&'static str>,
    /// What else it says.
    pub(crate) said: Said,
}

/// What a block says besides what was consumed.
#[derive(Default)]
pub(crate) struct Said {
    /// What the provider says that the call costs.
    pub(crate) cost: Option<Money>,
    /// What people should know about the figures.
    pub(crate) flags: Vec<FlagView>,
}

/// Reads a block of a format, untouched as it was sent.
pub(crate) fn read_raw(block: &RawValue, format: &str) -> Result<RawUsage, FieldError> {
    let format = RawFormat::parse(format)
        .map_err(|unknown| FieldError::at("/raw_format", unknown.to_string()))?;
    let reading = usage::read(format, block.get(), Strictness::Refuse).map_err(refused)?;
    let said = Said {
        cost: reading.stated_cost.map(|stated| stated.amount),
        flags: reading.flags.into_iter().map(flag).collect(),
    };
    Ok(RawUsage {
        usage: reading.usage,
        context: reading.context,
        model: reading.model.filter(|model| model.len() <= MODEL_BYTES_MAX),
        beyond: reading.beyond.into_iter().map(|(unit, _)| unit).collect(),
        said,
    })
}

fn refused(error: RawUsageError) -> FieldError {
    let wrong = FieldError::at(format!("{POINTER}{}", error.pointer), error.detail);
    match error.kind {
        RawUsageErrorKind::Inconsistent => wrong.inconsistent(),
        _ => wrong,
    }
}

fn flag(flag: Flag) -> FlagView {
    let pointer = format!("{POINTER}{}", flag.pointer);
    FlagView { kind: flag.kind.as_str(), pointer, detail: flag.detail }
}
