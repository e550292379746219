//! Every room keeps the workspace's lints, and those that money passes through make no exception
//! for floats.

use crate::Repository;

/// Rooms in which nothing may be excepted from the ban on floats.
const WITHOUT_FLOATS: &[&str] = &[
    "domain",
    "usage",
    "prices",
    "catalogues",
    "columns",
    "books",
    "store",
    "connectors",
    "parsers",
    "jobs",
    "api",
];
/// The lints that ban floats.
const BANS: [&str; 2] = ["clippy::disallowed_types", "clippy::float_arithmetic"];

/// Rooms without the lints, and exceptions where there may be none.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    let mut findings = vec![];
    for room in &repository.rooms {
        let manifest = match room.name.as_str() {
            "." => "Cargo.toml".to_owned(),
            name => format!("{name}/Cargo.toml"),
        };
        let text = repository.files.get(&manifest).map_or("", |file| file.text.as_str());
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(format!("{manifest}: does not keep the workspace's lints"));
        }
    }
    for (path, file) in &repository.files {
        let room = path.split('/').next().unwrap_or_default();
        if !path.ends_with(".rs") || !WITHOUT_FLOATS.contains(&room) {
            continue;
        }
        for ban in BANS {
            if file.text.contains(ban) {
                findings.push(format!("{path}: an exception from `{ban}`, where money passes"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Room;

    #[test]
    fn a_room_without_lints_and_an_exception_for_floats_are_findings() {
        let room = Room { name: "prices".to_owned(), ..Room::default() };
        let kept = "[package]\n\n[lints]\nworkspace = true\n";
        let of = |files: &[(&str, &str)]| Repository {
            rooms: vec![room.clone()],
            ..Repository::of(files)
        };
        assert!(findings(&of(&[("prices/Cargo.toml", kept)])).is_empty());
        assert_eq!(findings(&of(&[("prices/Cargo.toml", "[package]\n")])).len(), 1);
        let excepted = "#[expect(clippy::disallowed_types, reason = \"quick\")]\n";
        let rate = ("prices/rate.rs", excepted);
        assert_eq!(findings(&of(&[("prices/Cargo.toml", kept), rate])).len(), 1);
        let bench = ("benches/prices/main.rs", excepted);
        assert!(findings(&of(&[("prices/Cargo.toml", kept), bench])).is_empty());
    }
}
