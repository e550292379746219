//! What a caller asked for: query parameters, the window cut into buckets, and the cursor between
//! pages.
//!
//! Arrays come as `group_by=a&group_by=b` (the published specification) or `group_by[]=a` (what the
//! official SDK sends), never as a comma list. Unknown parameters and values are refused, so that a
//! client's mistake shows here rather than as a wrong number. A bucket never leaves its UTC day,
//! and the first and last are partial where the window is not aligned.

use std::collections::BTreeSet;

use axum::{extract::Query, http::Uri};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::time;
use jiff::civil::Date;

use crate::{day::DAY_SECONDS, errors::Refusal, random, world::World};

/// Last second of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;
const PAGE_PREFIX: &str = "page_";

/// The parameters of one request, all of them known.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query; names outside `known` are refused.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Parameters, Refusal> {
        let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Refusal::bad_request("The query string is malformed.".to_owned()))?;
        for (name, _) in &mut pairs {
            if let Some(array) = name.strip_suffix("[]") {
                *name = array.to_owned();
            }
            if !known.contains(&name.as_str()) {
                let message = format!("Unknown parameter: '{name}'.");
                let code = Some("unknown_parameter");
                return Err(Refusal { code, ..Refusal::parameter(name, message) });
            }
        }
        Ok(Parameters(pairs))
    }

    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of an array; empty where it was left out.
    pub(crate) fn many(&self, name: &str) -> BTreeSet<&str> {
        let found = self.0.iter().filter(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// An array of which every value must be `allowed`.
    pub(crate) fn many_of(&self, name: &str, allowed: &[&str]) -> Result<BTreeSet<&str>, Refusal> {
        let values = self.many(name);
        match values.iter().find(|value| !allowed.contains(value)) {
            Some(value) => Err(Refusal::value(name, value, allowed)),
            None => Ok(values),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.one(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(value) => Err(Refusal::value(name, value, &["true", "false"])),
        }
    }

    pub(crate) fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.one("limit") else { return Ok(default) };
        let invalid = |rule: String| {
            let message = format!("Invalid limit provided: {text}. Limit must be {rule}.");
            Err(Refusal::parameter("limit", message))
        };
        match text.parse::<i64>() {
            Err(_) => invalid("an integer".to_owned()),
            Ok(limit) if limit < 1 => invalid("greater than or equal to 1".to_owned()),
            Ok(limit) => match usize::try_from(limit) {
                Ok(limit) if limit <= most => Ok(limit),
                _ => invalid(format!("less than or equal to {most}")),
            },
        }
    }

    fn seconds(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.one(name) else { return Ok(None) };
        let valid = text.parse().ok().filter(|seconds| (0..=SECONDS_MAX).contains(seconds));
        let invalid = || {
            let message = format!("Invalid '{name}': expected Unix seconds, but got '{text}'.");
            Refusal::parameter(name, message)
        };
        valid.map(Some).ok_or_else(invalid)
    }

    /// One number for everything that has to be repeated with a cursor.
    fn fingerprint(&self) -> u32 {
        let kept = self.0.iter().filter(|(name, _)| name != "page" && name != "limit");
        let kept: BTreeSet<&(String, String)> = kept.collect();
        let text: String = kept.iter().map(|(name, value)| format!("{name}={value}&")).collect();
        let hash = text.bytes().fold(0, |hash, byte| random::mix(hash ^ u64::from(byte)));
        u32::try_from(hash >> 32).expect("half of 64 bits")
    }
}

/// How wide buckets are, and how many of them fit a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Width {
    pub(crate) name: &'static str,
    pub(crate) seconds: i64,
    pub(crate) limit_default: usize,
    pub(crate) limit_max: usize,
}

/// A span of time within one UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) day: Date,
    /// Where the bucket begins and ends within its day.
    pub(crate) start_second: u32,
    pub(crate) end_second: u32,
}

impl Bucket {
    pub(crate) fn whole_day(day: Date) -> Bucket {
        let start = time::day_start(day).as_second();
        let end = start + i64::from(DAY_SECONDS);
        Bucket { start, end, day, start_second: 0, end_second: DAY_SECONDS }
    }
}

/// The buckets of one page, oldest first, and the cursor of the next.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) next: Option<String>,
}

impl Page {
    /// The page that the parameters ask for.
    pub(crate) fn of(
        parameters: &Parameters,
        widths: &[Width],
        world: &World,
    ) -> Result<Page, Refusal> {
        let width = width_of(parameters, widths)?;
        let limit = parameters.limit(width.limit_default, width.limit_max)?;
        let Some(start) = parameters.seconds("start_time")? else {
            let message = "Missing required parameter: 'start_time'.".to_owned();
            let code = Some("missing_required_parameter");
            return Err(Refusal { code, ..Refusal::parameter("start_time", message) });
        };
        let asked_end = parameters.seconds("end_time")?;
        if asked_end.is_some_and(|end| end <= start) {
            let message = "Invalid 'end_time': it must be after 'start_time'.".to_owned();
            return Err(Refusal::parameter("end_time", message));
        }
        let fingerprint = parameters.fingerprint();
        let (start, end) = match parameters.one("page") {
            Some(cursor) => read_cursor(cursor, fingerprint)?,
            None => (start, end_of(asked_end, world)),
        };
        let mut buckets = Vec::new();
        let mut position = start;
        while position < end && buckets.len() < limit {
            let bucket = bucket_at(position, end, width.seconds);
            position = bucket.end;
            buckets.push(bucket);
        }
        let next = (position < end).then(|| write_cursor(position, end, fingerprint));
        Ok(Page { buckets, next })
    }

    /// The first second of the page, for rules that depend on how far back one asks.
    pub(crate) fn start(&self) -> Option<i64> {
        self.buckets.first().map(|bucket| bucket.start)
    }
}

fn width_of(parameters: &Parameters, widths: &[Width]) -> Result<Width, Refusal> {
    let name = parameters.one("bucket_width").unwrap_or("1d");
    let found = widths.iter().find(|width| width.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = widths.iter().map(|width| width.name).collect();
        Refusal::value("bucket_width", name, &names)
    })
}

/// Left out, the end is now: the midnight that begins `today`. An end in the future reaches as far
/// as the end of `today`, whose buckets are empty: a client's own clock may be some hours into the
/// day.
fn end_of(asked: Option<i64>, world: &World) -> i64 {
    let tomorrow = world.today.tomorrow().unwrap_or(world.today);
    match asked {
        Some(end) => end.min(time::day_start(tomorrow).as_second()),
        None => time::day_start(world.today).as_second(),
    }
}

fn bucket_at(start: i64, window_end: i64, width: i64) -> Bucket {
    let end = (start - start.rem_euclid(width) + width).min(window_end);
    let at = jiff::Timestamp::from_second(start).expect("seconds were checked when they were read");
    let day = time::utc_day(at);
    let midnight = time::day_start(day).as_second();
    let within = |second: i64| u32::try_from(second - midnight).expect("a bucket is in one day");
    Bucket { start, end, day, start_second: within(start), end_second: within(end) }
}

/// A cursor looks like the real ones: 20 bytes in padded base64, of which the last eight are the
/// next start.
fn write_cursor(next_start: i64, end: i64, fingerprint: u32) -> String {
    let mut bytes = Vec::with_capacity(20);
    bytes.extend(end.to_be_bytes());
    bytes.extend(fingerprint.to_be_bytes());
    bytes.extend(next_start.to_be_bytes());
    format!("{PAGE_PREFIX}{}", STANDARD.encode(bytes))
}

fn read_cursor(text: &str, fingerprint: u32) -> Result<(i64, i64), Refusal> {
    let read = || {
        let bytes = STANDARD.decode(text.strip_prefix(PAGE_PREFIX)?).ok()?;
        let (end, rest) = bytes.split_first_chunk::<8>()?;
        let (print, next) = rest.split_first_chunk::<4>()?;
        let next: [u8; 8] = next.try_into().ok()?;
        let (start, end) = (i64::from_be_bytes(next), i64::from_be_bytes(*end));
        let is_sane = (0..=SECONDS_MAX).contains(&start) && (0..=SECONDS_MAX).contains(&end);
        (is_sane && u32::from_be_bytes(*print) == fingerprint).then_some((start, end))
    };
    read().ok_or_else(|| {
        let message = "Invalid 'page': this cursor does not belong to this request.".to_owned();
        Refusal::parameter("page", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn unaligned_windows_have_partial_first_and_last_buckets() {
        // The real API was seen to do so:
        // https://cookbook.openai.com/examples/completions_usage_api
        let first = bucket_at(1_736_616_660, 1_739_208_663, DAY);
        assert_eq!((first.start, first.end), (1_736_616_660, 1_736_640_000));
        assert_eq!((first.start_second, first.end_second), (63_060, 86_400));
        let last = bucket_at(1_739_145_600, 1_739_208_663, DAY);
        assert_eq!((last.end, last.end_second), (1_739_208_663, 63_063));
    }

    #[test]
    fn a_cursor_belongs_to_its_request() {
        let cursor = write_cursor(1_700_000_000, 1_800_000_000, 7);
        assert_eq!(read_cursor(&cursor, 7), Ok((1_700_000_000, 1_800_000_000)));
        for (text, fingerprint) in [(cursor.as_str(), 8), ("page_", 7), ("page_AAAA", 7), ("", 7)] {
            assert!(read_cursor(text, fingerprint).is_err(), "{text}");
        }
    }

    #[test]
    fn arrays_may_have_brackets_but_no_commas() {
        let read = |query: &str| {
            let uri: Uri = format!("/?{query}").parse().unwrap();
            let parameters = Parameters::of(&uri, &["group_by"])?;
            let names = parameters.many_of("group_by", &["model", "batch"])?;
            Ok::<_, Refusal>(names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let both = Ok(vec!["batch".to_owned(), "model".to_owned()]);
        assert_eq!(read("group_by=model&group_by=batch"), both);
        assert_eq!(read("group_by[]=model&group_by%5B%5D=batch"), both);
        assert_eq!(read("group_by=model,batch").unwrap_err().code, Some("invalid_value"));
        assert_eq!(read("groupby=model").unwrap_err().code, Some("unknown_parameter"));
    }
}
