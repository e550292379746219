//! Every file says what it is for: a header, a room's README as its documentation, and a name that
//! means something.

use crate::{File, Repository};

const HEADER_LINES_MAX: usize = 10;
/// Plug-ins have room for a provider's quirks or a format's columns.
const PLUG_IN_HEADER_LINES_MAX: usize = 60;
const PLUG_INS: &[&str] = &["connectors/", "parsers/"];

/// What a library's root begins with: its README is its header.
const README: &str = "#![doc = include_str!(\"README.md\")]";

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "helpers", "common", "misc", "types", "manager"];

/// Files without a header, rooms without a README, names that say nothing.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    let mut findings: Vec<String> = repository.files_of("rs").filter_map(header_finding).collect();
    findings.extend(repository.files.values().filter_map(name_finding));
    for room in repository.rooms.iter().filter(|room| room.name != ".") {
        let root = format!("{}/lib.rs", room.name);
        let is_documented =
            repository.files.get(&root).is_some_and(|file| file.text.contains(README));
        if !is_documented {
            findings.push(format!("{root}: must begin with `{README}`"));
        }
        if !repository.files.contains_key(&format!("{}/README.md", room.name)) {
            findings.push(format!("{}: has no README.md", room.name));
        }
    }
    findings
}

fn header_finding(file: &File) -> Option<String> {
    if file.text.starts_with(README) {
        return None;
    }
    let count = file.text.lines().take_while(|line| line.starts_with("//!")).count();
    let is_plug_in = PLUG_INS.iter().any(|start| file.path.starts_with(start));
    let max = if is_plug_in { PLUG_IN_HEADER_LINES_MAX } else { HEADER_LINES_MAX };
    let path = &file.path;
    match count {
        0 => Some(format!("{path}: must begin with `//!` and say what it is for")),
        _ if count > max => Some(format!("{path}: a header of {count} lines; {max} are allowed")),
        _ => None,
    }
}

fn name_finding(file: &File) -> Option<String> {
    let empty = file.path.split('/').find(|part| {
        let stem = part.split('.').next().unwrap_or("");
        EMPTY_NAMES.contains(&stem)
    })?;
    Some(format!("{}: `{empty}` says nothing about what is inside", file.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Room;

    #[test]
    fn a_file_begins_with_a_header_of_a_few_lines() {
        let long = "//! x\n".repeat(11);
        for (path, text, count) in [
            ("store/audit.rs", "//! The audit log.\nuse x;\n", 0),
            ("store/audit.rs", "use x;\n//! The audit log.\n", 1),
            ("store/audit.rs", "", 1),
            ("store/audit.rs", &long, 1),
            ("connectors/openai.rs", &long, 0),
            ("store/lib.rs", "#![doc = include_str!(\"README.md\")]\n", 0),
        ] {
            assert_eq!(findings(&Repository::of(&[(path, text)])).len(), count, "{path} {text}");
        }
    }

    #[test]
    fn a_room_is_documented_by_its_readme() {
        let root = "//! Room.\n";
        let mut repository = Repository::of(&[("books/lib.rs", root)]);
        repository.rooms = vec![Room { name: "books".into(), ..Room::default() }];
        assert_eq!(findings(&repository).len(), 2);
        let files = [("books/lib.rs", README), ("books/README.md", "# books\n")];
        let rooms = repository.rooms;
        let repository = Repository { rooms, ..Repository::of(&files) };
        assert!(findings(&repository).is_empty());
    }

    #[test]
    fn names_say_what_is_inside() {
        for path in ["api/utils.rs", "api/common/page.md", "src/manager.rs"] {
            assert_eq!(findings(&Repository::of(&[(path, "//! x")])).len(), 1, "{path}");
        }
        assert!(findings(&Repository::of(&[("api/types_of_usage.rs", "//! x")])).is_empty());
    }
}
