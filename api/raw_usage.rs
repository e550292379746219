//! A provider's own block of usage, as it was sent: the usage room reads it; what it says besides
//! its counts goes along.

use domain::{Money, RateContext, Usage as Consumed};
use serde_json::value::RawValue;
use usage::{Flag, RawFormat, RawUsageError, RawUsageErrorKind, Strictness};

use crate::{
    dto_estimate::FlagView, error::FieldError, estimate::MODEL_BYTES_MAX, usage_input::read_usage,
};

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

impl RawUsage {
    /// A usage in our own words, with nothing said beside it.
    pub(crate) fn of_usage(usage: Consumed) -> RawUsage {
        RawUsage {
            usage,
            context: RateContext::default(),
            model: None,
            beyond: vec![],
            said: Said::default(),
        }
    }
}

/// What a block says besides what was consumed.
#[derive(Default)]
pub(crate) struct Said {
    /// What the provider says that the call costs.
    pub(crate) cost: Option<Money>,
    /// What people should know about the figures.
    pub(crate) flags: Vec<FlagView>,
}

/// What was consumed, by whichever of the two ways says it: `usage`, or `raw_usage` with its
/// `raw_format`.
pub(crate) fn consumed(
    usage: Option<&RawValue>,
    raw_usage: Option<&RawValue>,
    raw_format: Option<&str>,
) -> Result<RawUsage, Vec<FieldError>> {
    let wrong = |place: &str, detail: &str| Err(vec![FieldError::at(place, detail)]);
    match (usage, raw_usage, raw_format) {
        (Some(usage), None, None) => Ok(RawUsage::of_usage(read_usage(usage, "/usage")?)),
        (None, Some(raw), Some(format)) => read_raw(raw, format).map_err(|wrong| vec![wrong]),
        (None, Some(_), None) => {
            wrong("/raw_format", "`raw_usage` needs its `raw_format`, such as `openai_chat`")
        }
        (Some(_), None, Some(_)) => {
            wrong("/raw_format", "`raw_format` is for `raw_usage`; `usage` has one form only")
        }
        (Some(_), Some(_), _) => wrong("/raw_usage", "say `usage` or `raw_usage`, not both"),
        (None, None, _) => {
            wrong("/usage", "say what is consumed: `usage`, or `raw_usage` with its `raw_format`")
        }
    }
}

/// Reads a block of a format, untouched as it was sent.
fn read_raw(block: &RawValue, format: &str) -> Result<RawUsage, FieldError> {
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
