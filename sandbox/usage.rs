//! `GET /v1/organization/usage/{kind}`: what was consumed, by day, hour or minute.
//!
//! See <https://platform.openai.com/docs/api-reference/usage>. Completions and web searches have
//! data; of the other kinds the organization uses nothing, so their buckets are empty.
//! `input_tokens` includes the cached ones. A grouping field is null unless the request groups by
//! it.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
};
use serde::Serialize;

use crate::{
    Sandbox,
    costs::is_among,
    day::DayTotals,
    errors::Refusal,
    organization::KEYS,
    page::WirePage,
    query::{Bucket, Page, Parameters, Width},
    world::{Cell, World},
};

const WIDTHS: [Width; 3] = [
    Width { name: "1m", seconds: 60, limit_default: 60, limit_max: 1_440 },
    Width { name: "1h", seconds: 3_600, limit_default: 24, limit_max: 168 },
    Width { name: "1d", seconds: 86_400, limit_default: 7, limit_max: 31 },
];
const PAGING: [&str; 6] = ["start_time", "end_time", "bucket_width", "group_by", "limit", "page"];

/// A kind of usage: what it may be grouped and filtered by.
struct Kind {
    name: &'static str,
    groups: &'static [&'static str],
    filters: &'static [&'static str],
}

const COMPLETIONS: &str = "completions";
const WEB_SEARCH_CALLS: &str = "web_search_calls";
const BY_MODEL: &[&str] = &["project_id", "user_id", "api_key_id", "model"];
const FILTERS: &[&str] = &["project_ids", "user_ids", "api_key_ids", "models"];

const KINDS: [Kind; 10] = [
    Kind {
        name: COMPLETIONS,
        groups: &["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"],
        filters: &["project_ids", "user_ids", "api_key_ids", "models", "batch"],
    },
    Kind {
        name: WEB_SEARCH_CALLS,
        groups: &["project_id", "user_id", "api_key_id", "model", "context_level"],
        filters: &["project_ids", "user_ids", "api_key_ids", "models", "context_levels"],
    },
    Kind { name: "embeddings", groups: BY_MODEL, filters: FILTERS },
    Kind { name: "moderations", groups: BY_MODEL, filters: FILTERS },
    Kind { name: "audio_speeches", groups: BY_MODEL, filters: FILTERS },
    Kind { name: "audio_transcriptions", groups: BY_MODEL, filters: FILTERS },
    Kind {
        name: "images",
        groups: &["project_id", "user_id", "api_key_id", "model", "size", "source"],
        filters: &["project_ids", "user_ids", "api_key_ids", "models", "sizes", "sources"],
    },
    Kind { name: "vector_stores", groups: &["project_id"], filters: &["project_ids"] },
    Kind { name: "code_interpreter_sessions", groups: &["project_id"], filters: &["project_ids"] },
    Kind {
        name: "file_search_calls",
        groups: &["project_id", "user_id", "api_key_id", "vector_store_id"],
        filters: &["project_ids", "user_ids", "api_key_ids", "vector_store_ids"],
    },
];

/// All tiers are the ordinary one here, and all searches the ordinary kind.
const SERVICE_TIER: &str = "default";
const CONTEXT_LEVEL: &str = "medium";

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum WireUsage {
    Completions(Box<WireCompletions>),
    WebSearches(WireWebSearches),
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct WireCompletions {
    object: &'static str,
    input_tokens: u64,
    input_cached_tokens: u64,
    input_cache_write_tokens: u64,
    input_uncached_tokens: u64,
    output_tokens: u64,
    input_text_tokens: u64,
    output_text_tokens: u64,
    input_cached_text_tokens: u64,
    input_audio_tokens: u64,
    input_cached_audio_tokens: u64,
    output_audio_tokens: u64,
    input_image_tokens: u64,
    input_cached_image_tokens: u64,
    output_image_tokens: u64,
    num_model_requests: u64,
    project_id: Option<String>,
    user_id: Option<String>,
    api_key_id: Option<String>,
    model: Option<&'static str>,
    batch: Option<bool>,
    service_tier: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct WireWebSearches {
    object: &'static str,
    num_model_requests: u64,
    num_requests: u64,
    project_id: Option<String>,
    user_id: Option<String>,
    api_key_id: Option<String>,
    model: Option<&'static str>,
    context_level: Option<&'static str>,
}

pub(crate) async fn list(
    State(sandbox): State<Sandbox>,
    Path(kind): Path<String>,
    uri: Uri,
) -> Result<Json<WirePage<WireUsage>>, Refusal> {
    let Some(kind) = KINDS.iter().find(|known| known.name == kind) else {
        let message = format!("Invalid URL (GET /v1/organization/usage/{kind})");
        return Err(Refusal::not_found(message));
    };
    let world = sandbox.world();
    let known: Vec<&str> = PAGING.iter().chain(kind.filters).copied().collect();
    let parameters = Parameters::of(&uri, &known)?;
    let page = Page::of(&parameters, &WIDTHS, &world)?;
    let question = Question {
        groups: parameters.many_of("group_by", kind.groups)?,
        projects: parameters.many("project_ids"),
        users: parameters.many("user_ids"),
        keys: parameters.many("api_key_ids"),
        models: parameters.many("models"),
        context_levels: parameters.many("context_levels"),
        batch: parameters.flag("batch")?,
    };
    let answer = |bucket: &Bucket| match kind.name {
        COMPLETIONS => question.completions(&world, bucket),
        WEB_SEARCH_CALLS => question.web_searches(&world, bucket),
        _ => Vec::new(),
    };
    Ok(Json(WirePage::fill(page, answer)))
}

/// What to keep, and what to keep apart.
struct Question<'a> {
    groups: BTreeSet<&'a str>,
    projects: BTreeSet<&'a str>,
    users: BTreeSet<&'a str>,
    keys: BTreeSet<&'a str>,
    models: BTreeSet<&'a str>,
    context_levels: BTreeSet<&'a str>,
    batch: Option<bool>,
}

/// The grouping fields of one result. Its order is that of the results.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    project: Option<String>,
    user: Option<String>,
    key: Option<String>,
    model: Option<&'static str>,
    batch: Option<bool>,
}

impl Question<'_> {
    fn completions(&self, world: &World, bucket: &Bucket) -> Vec<WireUsage> {
        let has_tier = self.groups.contains("service_tier");
        let write = |(group, used): (Group, DayTotals)| {
            WireUsage::Completions(Box::new(WireCompletions {
                object: "organization.usage.completions.result",
                input_tokens: used.input_tokens(),
                input_cached_tokens: used.cached_tokens,
                input_uncached_tokens: used.uncached_tokens,
                output_tokens: used.output_tokens,
                input_text_tokens: used.uncached_tokens,
                output_text_tokens: used.output_tokens,
                input_cached_text_tokens: used.cached_tokens,
                num_model_requests: used.requests,
                project_id: group.project,
                user_id: group.user,
                api_key_id: group.key,
                model: group.model,
                batch: group.batch,
                service_tier: has_tier.then_some(SERVICE_TIER),
                ..WireCompletions::default()
            }))
        };
        let sums = self.sums(world, bucket).into_iter();
        sums.filter(|(_, used)| used.requests > 0).map(write).collect()
    }

    fn web_searches(&self, world: &World, bucket: &Bucket) -> Vec<WireUsage> {
        if !is_among(&self.context_levels, Some(CONTEXT_LEVEL)) {
            return Vec::new();
        }
        let has_level = self.groups.contains("context_level");
        let write = |(group, used): (Group, DayTotals)| {
            WireUsage::WebSearches(WireWebSearches {
                object: "organization.usage.web_searches.result",
                num_model_requests: used.searches,
                num_requests: used.searches,
                project_id: group.project,
                user_id: group.user,
                api_key_id: group.key,
                model: group.model,
                context_level: has_level.then_some(CONTEXT_LEVEL),
            })
        };
        let sums = self.sums(world, bucket).into_iter();
        sums.filter(|(_, used)| used.searches > 0).map(write).collect()
    }

    fn sums(&self, world: &World, bucket: &Bucket) -> BTreeMap<Group, DayTotals> {
        let mut sums = BTreeMap::<Group, DayTotals>::new();
        for cell in world.cells(bucket.day) {
            if self.keeps(world, &cell) {
                let used = cell.totals.between(bucket.start_second, bucket.end_second);
                sums.entry(self.group(world, &cell)).or_default().add(&used);
            }
        }
        sums
    }

    fn keeps(&self, world: &World, cell: &Cell) -> bool {
        let (key, ids) = (cell.workload.key, &world.ids);
        is_among(&self.projects, Some(&ids.projects[KEYS[key].project]))
            && is_among(&self.users, Some(&ids.owners[key]))
            && is_among(&self.keys, Some(&ids.keys[key]))
            && is_among(&self.models, Some(cell.workload.model.name))
            && self.batch.is_none_or(|batch| batch == cell.workload.is_batch)
    }

    fn group(&self, world: &World, cell: &Cell) -> Group {
        let (key, ids) = (cell.workload.key, &world.ids);
        let by = |field: &str| self.groups.contains(field);
        Group {
            project: by("project_id").then(|| ids.projects[KEYS[key].project].clone()),
            user: by("user_id").then(|| ids.owners[key].clone()),
            key: by("api_key_id").then(|| ids.keys[key].clone()),
            model: by("model").then_some(cell.workload.model.name),
            batch: by("batch").then_some(cell.workload.is_batch),
        }
    }
}
