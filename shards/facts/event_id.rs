//! Outlay's own id of an event (`evt_…`): a `UUIDv7` that tells where in the journal the event is.
//!
//! 48 bits are the millisecond of its arrival, as in every `UUIDv7`, so that text order is the
//! order of arrival; of the 74 bits that are otherwise random, 62 are the entry and 12 the place
//! within it. So no index is needed to find an event by its id, and a repeat gives the same one. To
//! clients it is opaque.

use domain::EventId;
use engine::command::Micros;
use uuid::Uuid;

const INDEX_BITS: u32 = 12;
const RANDOM_B_BITS: u32 = 62;
const VERSION: u128 = 7 << 76;
const VARIANT: u128 = 0b10 << RANDOM_B_BITS;

/// Where an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    /// The millisecond of its arrival, since 1970.
    pub arrived_at_ms: i64,
    /// The journal entry.
    pub seq: u64,
    /// Its place among the entry's decisions.
    pub index: u32,
}

/// The id of the event at a place of the journal. An entry has at most 4,096 decisions.
#[must_use]
pub fn event_id(arrived_at: Micros, seq: u64, index: u32) -> EventId {
    let ms = u64::try_from(arrived_at.div_euclid(1000)).unwrap_or(0);
    let place = (u128::from(seq) << INDEX_BITS) | u128::from(index & ((1 << INDEX_BITS) - 1));
    let (high, low) = (place >> RANDOM_B_BITS, place & ((1 << RANDOM_B_BITS) - 1));
    let ms = u128::from(ms) & ((1 << 48) - 1);
    EventId::from_uuid(Uuid::from_u128(
        (ms << 80) | VERSION | ((high & 0xfff) << 64) | VARIANT | low,
    ))
}

/// The place that an id tells; `None` where it is no id of an event.
#[must_use]
pub fn event_place(id: EventId) -> Option<EventPlace> {
    let bits = id.uuid().as_u128();
    let place = (((bits >> 64) & 0xfff) << RANDOM_B_BITS) | (bits & ((1 << RANDOM_B_BITS) - 1));
    let found = EventPlace {
        arrived_at_ms: i64::try_from(bits >> 80).ok()?,
        seq: u64::try_from(place >> INDEX_BITS).ok()?,
        index: u32::try_from(place & ((1 << INDEX_BITS) - 1)).ok()?,
    };
    let same = event_id(found.arrived_at_ms.checked_mul(1000)?, found.seq, found.index);
    (same == id).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_795_219_200_123_456;

    #[test]
    fn an_id_leads_back_to_its_place() {
        for (seq, index) in [(1, 0), (2, 4_095), (1 << 40, 7), ((1 << 62) - 1, 4_095)] {
            let id = event_id(NOW, seq, index);
            let arrived_at_ms = NOW / 1000;
            assert_eq!(event_place(id), Some(EventPlace { arrived_at_ms, seq, index }));
            assert_eq!(EventId::parse(&id.to_string()), Ok(id));
            assert_eq!(id.uuid().get_version_num(), 7);
        }
    }

    #[test]
    fn later_events_have_later_ids() {
        let ids = [(NOW, 5, 1), (NOW, 5, 2), (NOW, 6, 0), (NOW + 1000, 6, 0)]
            .map(|(at, seq, index)| event_id(at, seq, index).to_string());
        assert!(ids.is_sorted());
    }

    #[test]
    fn other_ids_have_no_place() {
        assert_eq!(event_place(EventId::from_uuid(Uuid::nil())), None);
        assert_eq!(event_place(EventId::from_uuid(Uuid::max())), None);
    }
}
