//! New ids: UUIDv7, whose first bits are the time, so that ids sort as they were made.

use jiff::Timestamp;
use uuid::{Builder, Uuid};

use crate::{IdentityError, Result};

/// A new UUIDv7 for an instant; an instant before 1970 counts as 1970. Each kind of id takes it
/// with `from_uuid`.
///
/// ```
/// let id = domain::FileId::from_uuid(identity::new_uuid(jiff::Timestamp::UNIX_EPOCH)?);
/// assert!(id.to_string().starts_with("file_000000000"));
/// # Ok::<(), identity::IdentityError>(())
/// ```
///
/// # Errors
/// [`IdentityError::NoRandomness`] where the system has none.
pub fn new_uuid(at: Timestamp) -> Result<Uuid> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(IdentityError::NoRandomness)?;
    let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or(0);
    Ok(Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_instant_they_were_made_at() {
        let millisecond =
            |count: i64| Timestamp::from_millisecond(1_795_000_000_000 + count).unwrap();
        let ids: Vec<Uuid> = (0..50).map(|n| new_uuid(millisecond(n)).unwrap()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].get_version_num(), 7);
    }

    #[test]
    fn one_instant_gives_many_ids() {
        let at = Timestamp::UNIX_EPOCH;
        assert_ne!(new_uuid(at).unwrap(), new_uuid(at).unwrap());
    }
}
