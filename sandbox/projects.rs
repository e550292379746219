//! `GET /v1/organization/projects` and the API keys of one project: the names behind the ids.
//!
//! See <https://platform.openai.com/docs/api-reference/projects>. Archived projects are listed only
//! when asked for, keys of people who left only with `owner_project_access=any` or `inactive`,
//! deleted keys never; costs name them all.

use axum::{
    Json,
    extract::{Path, State},
    http::Uri,
};
use domain::time;
use jiff::civil::Date;
use serde::Serialize;

use crate::{
    Sandbox,
    errors::Refusal,
    organization::{KEYS, KeyState, Life, Owner, PROJECTS},
    query::Parameters,
    world::World,
};

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;
/// A project that begins on a day begins in its morning.
const MORNING_SECONDS: i64 = 7 * 3_600 + 1_234;

#[derive(Debug, Serialize)]
pub(crate) struct WireList<T> {
    object: &'static str,
    data: Vec<T>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct WireProject {
    id: String,
    object: &'static str,
    name: &'static str,
    created_at: i64,
    archived_at: Option<i64>,
    status: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct WireKey {
    object: &'static str,
    redacted_value: String,
    name: &'static str,
    created_at: i64,
    last_used_at: Option<i64>,
    id: String,
    owner_project_access: &'static str,
    owner: WireOwner,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireOwner {
    User { user: WireUser },
    ServiceAccount { service_account: WireServiceAccount },
}

#[derive(Debug, Serialize)]
struct WireUser {
    id: String,
    name: &'static str,
    email: &'static str,
    role: &'static str,
    created_at: i64,
}

#[derive(Debug, Serialize)]
struct WireServiceAccount {
    id: String,
    name: &'static str,
    role: &'static str,
    created_at: i64,
}

pub(crate) async fn list(
    State(sandbox): State<Sandbox>,
    uri: Uri,
) -> Result<Json<WireList<WireProject>>, Refusal> {
    let world = sandbox.world();
    let parameters = Parameters::of(&uri, &["limit", "after", "include_archived"])?;
    let with_archived = parameters.flag("include_archived")?.unwrap_or(false);
    let projects = (0..PROJECTS.len())
        .filter(|index| exists(&world, *index))
        .map(|index| project(&world, index))
        .filter(|project| with_archived || project.archived_at.is_none())
        .collect();
    page(projects, |project| &project.id, &parameters).map(Json)
}

pub(crate) async fn list_keys(
    State(sandbox): State<Sandbox>,
    Path(project_id): Path<String>,
    uri: Uri,
) -> Result<Json<WireList<WireKey>>, Refusal> {
    let world = sandbox.world();
    let parameters = Parameters::of(&uri, &["limit", "after", "owner_project_access"])?;
    let found = world.ids.projects.iter().position(|id| *id == project_id);
    let Some(project) = found.filter(|index| exists(&world, *index)) else {
        return Err(Refusal::not_found(format!("No project found with id '{project_id}'.")));
    };
    // Left out, only the keys of present members show.
    let access = match parameters.one("owner_project_access") {
        None | Some("active") => Some("active"),
        Some("inactive") => Some("inactive"),
        Some("any") => None,
        Some(other) => {
            let allowed = ["active", "inactive", "any"];
            return Err(Refusal::value("owner_project_access", other, &allowed));
        }
    };
    let keys = (0..KEYS.len())
        .filter(|index| KEYS[*index].project == project)
        .filter(|index| KEYS[*index].state != KeyState::Deleted)
        .map(|index| key(&world, index))
        .filter(|key| access.is_none_or(|access| access == key.owner_project_access))
        .collect();
    page(keys, |key| &key.id, &parameters).map(Json)
}

/// Cuts a list after the id `after`.
fn page<T>(
    mut all: Vec<T>,
    id: impl Fn(&T) -> &String,
    parameters: &Parameters,
) -> Result<WireList<T>, Refusal> {
    let limit = parameters.limit(LIMIT_DEFAULT, LIMIT_MAX)?;
    if let Some(after) = parameters.one("after") {
        let Some(index) = all.iter().position(|item| id(item) == after) else {
            let message = format!("Invalid 'after': no object with the id '{after}' is listed.");
            return Err(Refusal::parameter("after", message));
        };
        all.drain(..=index);
    }
    let has_more = all.len() > limit;
    all.truncate(limit);
    let first_id = all.first().map(|item| id(item).clone());
    let last_id = all.last().map(|item| id(item).clone());
    Ok(WireList { object: "list", data: all, first_id, last_id, has_more })
}

/// Whether a project has been created before `today`.
fn exists(world: &World, index: usize) -> bool {
    created_at(world, index) < seconds(world.today)
}

fn created_at(world: &World, index: usize) -> i64 {
    match PROJECTS[index].life {
        Life::FromChangeover => seconds(world.changeover()) + MORNING_SECONDS,
        Life::Always | Life::UntilChangeover => PROJECTS[index].created_at,
    }
}

fn project(world: &World, index: usize) -> WireProject {
    let is_archived =
        PROJECTS[index].life == Life::UntilChangeover && world.changeover() < world.today;
    WireProject {
        id: world.ids.projects[index].clone(),
        object: "organization.project",
        name: PROJECTS[index].name,
        created_at: created_at(world, index),
        archived_at: is_archived.then(|| seconds(world.changeover()) + MORNING_SECONDS),
        status: if is_archived { "archived" } else { "active" },
    }
}

fn key(world: &World, index: usize) -> WireKey {
    let key = &KEYS[index];
    let created_at = created_at(world, key.project) + key.created_after;
    let id = world.ids.owners[index].clone();
    let (owner, has_left) = match key.owner {
        Owner::User { name, email, has_left } => (
            WireOwner::User { user: WireUser { id, name, email, role: "member", created_at } },
            has_left,
        ),
        Owner::ServiceAccount { name } => {
            let service_account = WireServiceAccount { id, name, role: "member", created_at };
            (WireOwner::ServiceAccount { service_account }, false)
        }
    };
    WireKey {
        object: "organization.project.api_key",
        redacted_value: format!("sk-proj-****{}", world.ids.key_tails[index]),
        name: key.name,
        created_at,
        last_used_at: last_used_at(world, index),
        id: world.ids.keys[index].clone(),
        owner_project_access: if has_left { "inactive" } else { "active" },
        owner,
    }
}

/// The last second of the last day on which the key's project was in use.
fn last_used_at(world: &World, index: usize) -> Option<i64> {
    let key = &KEYS[index];
    let end = match PROJECTS[key.project].life {
        Life::UntilChangeover => world.changeover().min(world.today),
        Life::Always | Life::FromChangeover => world.today,
    };
    (key.state == KeyState::InUse).then(|| seconds(end) - 1)
}

fn seconds(day: Date) -> i64 {
    time::day_start(day).as_second()
}
