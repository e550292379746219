//! A stored event as the call that it was, to be priced once more: its quantities and context were
//! kept for that. What cannot be read back whole is no call, so that a later price is never one of
//! only a part.

use domain::{
    Place, Processing, Quantity, RateContext, Service, ServiceTier, Speed, UnknownContext, Usage,
};
use jiff::Timestamp;
use shards::{
    detail::{UNITS, UnitName},
    facts::EventRow,
};

use crate::pricing::AskedPrice;

/// The word in an event's context for units that our vocabulary does not have: what they cost is
/// not known from what is stored.
pub(crate) const BEYOND: &str = "beyond";

const MICROS: i128 = 1_000_000;
const FEMTOS_PER_MICRO: i128 = 1_000_000_000;

/// The call of an event, at its own time.
pub(crate) fn stored_call(row: &EventRow) -> Option<AskedPrice> {
    let detail = &row.detail;
    if detail.quantities.is_empty() {
        return None;
    }
    Some(AskedPrice {
        service: Service::parse(&row.service).ok()?,
        model: detail.named_model.clone().unwrap_or_else(|| row.model.clone()),
        answered_model: None,
        usage: usage(&detail.quantities)?,
        usage_place: "",
        context: context(&detail.context)?,
        beyond: vec![],
        at: Timestamp::from_microsecond(row.at).ok()?,
    })
}

fn usage(quantities: &[(UnitName, i128)]) -> Option<Usage> {
    let mut usage = Usage::default();
    for (unit, micros) in quantities {
        let quantity = || Quantity::from_femtos(micros.checked_mul(FEMTOS_PER_MICRO)?);
        match unit {
            UnitName::Custom(name) => usage.custom.push((name.clone(), quantity()?)),
            UnitName::Known(place) => match *UNITS.get(usize::from(*place))? {
                "audio_seconds" => usage.audio_seconds = Some(quantity()?),
                name => *count_of(&mut usage, name)? = Some(count(*micros)?),
            },
        }
    }
    Some(usage)
}

fn count(micros: i128) -> Option<u64> {
    let is_whole = micros % MICROS == 0;
    is_whole.then(|| u64::try_from(micros / MICROS).ok()).flatten()
}

fn count_of<'u>(usage: &'u mut Usage, unit: &str) -> Option<&'u mut Option<u64>> {
    Some(match unit {
        "input_tokens" => &mut usage.input_tokens,
        "cache_read_tokens" => &mut usage.cache_read_tokens,
        "cache_write_tokens" => &mut usage.cache_write_tokens,
        "cache_write_1h_tokens" => &mut usage.cache_write_1h_tokens,
        "input_audio_tokens" => &mut usage.input_audio_tokens,
        "input_image_tokens" => &mut usage.input_image_tokens,
        "cache_read_audio_tokens" => &mut usage.cache_read_audio_tokens,
        "cache_read_image_tokens" => &mut usage.cache_read_image_tokens,
        "output_tokens" => &mut usage.output_tokens,
        "output_reasoning_tokens" => &mut usage.output_reasoning_tokens,
        "output_audio_tokens" => &mut usage.output_audio_tokens,
        "output_image_tokens" => &mut usage.output_image_tokens,
        "requests" => &mut usage.requests,
        "web_searches" => &mut usage.web_searches,
        "input_characters" => &mut usage.input_characters,
        "images" => &mut usage.images,
        "pages" => &mut usage.pages,
        _ => return None,
    })
}

fn context(pairs: &[(String, String)]) -> Option<RateContext> {
    let mut context = RateContext::default();
    for (field, word) in pairs {
        let read: Result<(), UnknownContext> = match field.as_str() {
            "processing" => Processing::parse(word).map(|word| context.processing = Some(word)),
            "service_tier" => ServiceTier::parse(word).map(|w| context.service_tier = Some(w)),
            "speed" => Speed::parse(word).map(|word| context.speed = Some(word)),
            "data_residency" => Place::parse("data_residency", word)
                .map(|place| context.data_residency = Some(place)),
            "vertex_location" => Place::parse("vertex_location", word)
                .map(|place| context.vertex_location = Some(place)),
            _ => return None,
        };
        // A word that was not known then may be known now.
        context.unknown.extend(read.err());
    }
    Some(context)
}

#[cfg(test)]
mod tests {
    use shards::detail::quantities;

    use super::*;

    #[test]
    fn every_unit_reads_back_as_it_was_stored() {
        let one = Quantity::parse_rounded("1.5").unwrap();
        let stored = (0..18).map(|place| (UnitName::Known(place), 3 * MICROS));
        let stored = stored.chain([(UnitName::Custom("rows".to_owned()), 1_500_000)]);
        let mut stored: Vec<_> = stored.collect();
        let read = usage(&stored).unwrap();
        assert_eq!((read.pages, &read.custom), (Some(3), &vec![("rows".to_owned(), one)]));
        let mut again = quantities(&read);
        again.sort();
        stored.sort();
        assert_eq!(again, stored);
    }

    #[test]
    fn what_cannot_be_read_back_whole_is_no_call() {
        assert_eq!(usage(&[(UnitName::Known(0), 1)]), None, "a millionth of a token");
        assert_eq!(usage(&[(UnitName::Known(0), -MICROS)]), None, "of a correction");
        assert_eq!(usage(&[(UnitName::Known(200), MICROS)]), None, "of a later release");
        let pair = |field: &str, word: &str| vec![(field.to_owned(), word.to_owned())];
        assert_eq!(context(&pair(BEYOND, "advisor_input_tokens")), None);
        assert_eq!(context(&pair("speed", "fast")).unwrap().speed, Some(Speed::Fast));
        assert_eq!(context(&pair("speed", "warp")).unwrap().unknown.len(), 1);
    }
}
