//! `outlay shard skip`: a person says that an entry of a journal that cannot be followed is passed
//! over, and the route by which a server hears it. The route is no part of the API.

use std::sync::Arc;

use anyhow::Result;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use domain::{OrganizationId, organization::Environment};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shards::{ShardError, Skip};
use store::journal::Shard;

use crate::{
    cli::ShardSkipArgs,
    client::Client,
    operator::{Door, Operator, refused},
    output::say,
};

const PATH: &str = "/internal/v1/shard/skip";
/// Most characters of a reason.
const REASON_MAX: usize = 200;

/// What is asked.
#[derive(Serialize, Deserialize)]
struct Wish {
    organization: Option<String>,
    environment: String,
    seq: u64,
    reason: String,
}

/// What is told.
#[derive(Deserialize)]
struct Told {
    at: u64,
    already: bool,
}

/// Tells a server.
pub(crate) async fn run(client: &Client, args: &ShardSkipArgs) -> Result<()> {
    let wish = Wish {
        organization: args.organization.clone(),
        environment: args.environment.clone(),
        seq: args.seq,
        reason: args.reason.clone(),
    };
    let Told { at, already } = client.post(PATH, &serde_json::to_value(wish)?).await?;
    let seq = args.seq;
    say(&match already {
        true => format!("Entry {seq} is skipped already: entry {at} says so."),
        false => format!(
            "Entry {seq} is skipped: entry {at} says so. Servers that gave the journal up go on \
             within seconds.\nWhat was acknowledged with entry {seq} is lost: send it again."
        ),
    });
    Ok(())
}

/// The route.
pub(crate) fn router(door: Arc<Door>) -> Router {
    Router::new().route(PATH, post(skip)).with_state(door)
}

async fn skip(
    State(door): State<Arc<Door>>,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Response {
    let operator = match door.admit(&headers).await {
        Ok(operator) => operator,
        Err(refused) => return refused,
    };
    let invalid =
        |detail: &str| refused(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail);
    let reason = wish.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return invalid("a reason has 1 to 200 characters");
    }
    let shard = match shard_of(&door, &operator, &wish).await {
        Ok(shard) => shard,
        Err(detail) => return invalid(&detail),
    };
    match door.cluster.skip(shard, wish.seq, &operator.actor, reason).await {
        Ok(skip) => told(&skip, wish.seq),
        Err(error @ ShardError::Stopped { .. }) => {
            let detail = format!("{error}: that entry comes first");
            refused(StatusCode::CONFLICT, "conflict", &detail)
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string()),
    }
}

/// Which journal is meant.
async fn shard_of(door: &Door, operator: &Operator, wish: &Wish) -> Result<Shard, String> {
    let environment = Environment::parse(&wish.environment);
    let environment = environment.ok_or("an environment is `live` or `test`")?;
    let named = wish.organization.as_deref().map(OrganizationId::parse).transpose();
    let named = named.map_err(|_| "an organization is named by its id, `org_…`".to_owned())?;
    let organization = match (named, operator.organization) {
        (Some(named), Some(own)) if named != own => {
            return Err("the key is another organization's".to_owned());
        }
        (Some(organization), _) | (None, Some(organization)) => organization,
        (None, None) => {
            let all = door.store.organizations().await.map_err(|error| error.to_string())?;
            match all.as_slice() {
                [only] => only.id,
                _ => return Err("there are several organizations: name one".to_owned()),
            }
        }
    };
    Ok(Shard { organization, environment })
}

fn told(skip: &Skip, seq: u64) -> Response {
    let conflict = |detail: String| refused(StatusCode::CONFLICT, "conflict", &detail);
    match skip {
        Skip::Written { at } => Json(json!({"at": at, "already": false})).into_response(),
        Skip::Already { at } => Json(json!({"at": at, "already": true})).into_response(),
        Skip::CanBeFollowed => conflict(format!(
            "entry {seq} can be followed, or is in the tables already: nothing was written"
        )),
        Skip::NotThere => {
            let detail = format!("the journal has no entry {seq}");
            refused(StatusCode::NOT_FOUND, "not_found", &detail)
        }
        Skip::OtherRelease => conflict(format!(
            "entry {seq} is of a format that this release does not know: run the one that wrote it"
        )),
        Skip::Closed => conflict("the journal is closed: nothing follows its end".to_owned()),
    }
}
