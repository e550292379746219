//! Paths as plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shards::PathView as Seen;
use utoipa::ToSchema;

use crate::{instants::text_of, schemas};

/// A node of the tree of paths.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PathView {
    /// The whole path; empty: the environment itself.
    pub(crate) path: String,
    /// The one service that it takes; null where it takes any.
    service: Option<String>,
    /// Notes for people.
    notes: String,
    /// Tags.
    tags: BTreeMap<String, String>,
    /// Out of use: nothing is booked on it or below it.
    archived: bool,
    /// How full the fullest of its own policies is: `none` where it has none, `healthy`, `warning`
    /// from 80 %, `critical` from 95 %, `over` from 100 % on.
    #[schema(value_type = schemas::Health)]
    health: String,
    /// How many policies it has.
    policy_count: usize,
    /// When it was made; null for the environment itself.
    #[schema(format = DateTime)]
    created_at: Option<String>,
}

impl From<Seen> for PathView {
    fn from(seen: Seen) -> PathView {
        let node = seen.node;
        PathView {
            path: node.name.into(),
            service: node.service,
            notes: node.notes,
            tags: node.tags.into_iter().collect(),
            archived: node.archived,
            health: seen.health.as_str().to_owned(),
            policy_count: node.policies.len(),
            created_at: (node.created_at > i64::MIN).then(|| text_of(node.created_at)).flatten(),
        }
    }
}

/// What is said of a path. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathBody {
    /// The one service that it takes, once and for good.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Slug>)]
    pub(crate) service: Option<String>,
    /// Notes for people; up to 4096 bytes.
    #[serde(default)]
    pub(crate) notes: Option<String>,
    /// Tags, in place of all it had; up to 32.
    #[serde(default)]
    pub(crate) tags: Option<BTreeMap<String, String>>,
}
