//! Which room may use which, and which crates from outside stay in one room. Arrows point down
//! only.

use crate::{Repository, Room};

/// A room, the rooms it may use, and those that only its tests may use besides.
type Arrows = (&'static str, &'static [&'static str], &'static [&'static str]);

const ARROWS: &[Arrows] = &[
    ("domain", &[], &[]),
    ("columns", &["domain"], &[]),
    ("prices", &["domain"], &["usage"]),
    ("catalogues", &["domain", "prices"], &[]),
    ("books", &["domain", "columns"], &[]),
    ("store", &["domain"], &["tests/support"]),
    ("net", &["domain"], &[]),
    ("vault", &["domain", "store", "net"], &["tests/support"]),
    ("connectors", &["domain", "net"], &["sandbox"]),
    ("parsers", &["domain"], &[]),
    ("usage", &["domain"], &[]),
    ("engine", &["domain"], &[]),
    (
        "shards",
        &["domain", "usage", "prices", "columns", "engine", "store", "net"],
        &["tests/support"],
    ),
    ("identity", &["domain", "store", "vault", "net"], &["tests/support"]),
    ("sandbox", &["domain"], &[]),
    (
        "jobs",
        &[
            "domain",
            "columns",
            "books",
            "store",
            "vault",
            "net",
            "connectors",
            "parsers",
            "identity",
            "prices",
            "engine",
            "shards",
        ],
        &["sandbox", "tests/support"],
    ),
    (
        "api",
        &[
            "domain", "usage", "prices", "books", "columns", "engine", "store", "shards", "vault",
            "identity",
        ],
        &["sandbox", "tests/support"],
    ),
    (
        ".",
        &[
            "domain",
            "usage",
            "prices",
            "catalogues",
            "columns",
            "books",
            "engine",
            "shards",
            "store",
            "vault",
            "net",
            "connectors",
            "parsers",
            "identity",
            "sandbox",
            "jobs",
            "api",
        ],
        &["tests/product", "tests/support"],
    ),
    ("tests/product", &["domain", "sandbox"], &[]),
    ("tests/simulation", &["domain", "engine", "shards", "store"], &[]),
    ("tests/support", &["domain", "store"], &[]),
    ("tests/tidy", &[], &[]),
];

/// A crate from outside, and the only rooms that are built with it.
const KEPT_IN: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("mongodb", &["store", "tests/support"]),
    ("bson", &["store", "tests/support"]),
    ("axum", &["api", "sandbox", "tests/product", "."]),
    ("utoipa", &["api"]),
    ("reqwest", &["net", "tests/product", "."]),
    ("aes-gcm", &["vault"]),
    ("tokio-cron-scheduler", &["jobs"]),
    ("zstd", &["columns"]),
    ("saphyr", &["catalogues"]),
    ("opentelemetry-proto", &["usage"]),
    ("prost", &["usage"]),
];

/// Arrows that nobody has allowed.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    repository.rooms.iter().flat_map(room_findings).collect()
}

fn room_findings(room: &Room) -> Vec<String> {
    let name = &room.name;
    let Some((_, uses, tests_use)) = ARROWS.iter().find(|(known, ..)| known == name) else {
        return vec![format!("{name}: a new room; say in tests/tidy/arrows.rs what it may use")];
    };
    let may_use = |used: &String| uses.contains(&used.as_str());
    let tests_may_use = |used: &String| may_use(used) || tests_use.contains(&used.as_str());
    let mut findings = Vec::new();
    for used in room.uses.iter().filter(|used| !may_use(used)) {
        findings.push(format!("{name}: may not use `{used}`"));
    }
    for used in room.tests_use.iter().filter(|used| !tests_may_use(used)) {
        findings.push(format!("{name}: its tests may not use `{used}`"));
    }
    for (outside, rooms) in KEPT_IN {
        if room.outside.contains(*outside) && !rooms.contains(&name.as_str()) {
            findings.push(format!("{name}: `{outside}` belongs in {rooms:?} only"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, uses: &[&str], tests_use: &[&str], outside: &[&str]) -> Room {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Room {
            name: name.to_owned(),
            uses: set(uses),
            tests_use: set(tests_use),
            outside: set(outside),
            ..Room::default()
        }
    }

    #[test]
    fn only_listed_arrows_are_allowed() {
        assert!(room_findings(&room("store", &["domain"], &["tests/support"], &[])).is_empty());
        assert_eq!(room_findings(&room("domain", &["store"], &[], &[])).len(), 1);
        assert_eq!(room_findings(&room("store", &["tests/support"], &[], &[])).len(), 1);
        assert_eq!(room_findings(&room("books", &[], &["store"], &[])).len(), 1);
        assert_eq!(room_findings(&room("attic", &[], &[], &[])).len(), 1);
    }

    #[test]
    fn a_database_driver_stays_in_the_store() {
        assert!(room_findings(&room("store", &[], &[], &["rusqlite"])).is_empty());
        assert_eq!(room_findings(&room("jobs", &[], &[], &["rusqlite"])).len(), 1);
    }

    #[test]
    fn the_table_itself_has_no_circle() {
        // Each room may use only rooms that need nothing which is not settled yet.
        let mut settled: Vec<&str> = Vec::new();
        while settled.len() < ARROWS.len() {
            let next = ARROWS.iter().find(|(name, uses, _)| {
                !settled.contains(name) && uses.iter().all(|used| settled.contains(used))
            });
            settled.push(next.expect("a room that needs settled rooms only").0);
        }
    }
}
