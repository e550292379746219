//! Every source file belongs to a crate: Cargo builds it, or a file that Cargo builds declares it
//! as its module. A file that nothing declares is compiled by nobody, and its tests never run.

use std::collections::BTreeSet;

use crate::Repository;

/// Source files that no crate reaches.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let roots = || repository.rooms.iter().flat_map(|room| &room.targets);
    let mut open: Vec<(String, bool)> = roots().map(|root| (root.clone(), true)).collect();
    while let Some((path, is_root)) = open.pop() {
        let Some(file) = repository.files.get(&path) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        let folder = modules_folder(&path, is_root);
        for (name, given_path) in declarations(&file.text) {
            let candidates = match given_path {
                Some(given) => vec![joined(file.folder(), given)],
                None => vec![
                    joined(&folder, &format!("{name}.rs")),
                    joined(&folder, &format!("{name}/mod.rs")),
                ],
            };
            open.extend(candidates.into_iter().map(|path| (path, false)));
        }
    }
    repository
        .files_of("rs")
        .filter(|file| !reached.contains(&file.path))
        .map(|file| format!("{}: no crate declares it", file.path))
        .collect()
}

/// Where a file's modules lie: beside a root or a `mod.rs`, else in a folder with the file's name.
fn modules_folder(path: &str, is_root: bool) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name.strip_suffix(".rs") {
        Some(stem) if !is_root && stem != "mod" => joined(folder, stem),
        _ => folder.to_owned(),
    }
}

/// The modules that a file declares without writing them out, with the path an attribute gives.
fn declarations(text: &str) -> Vec<(&str, Option<&str>)> {
    let mut given_path = None;
    let mut declarations = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            given_path = rest.split('"').next();
        } else if let Some(name) = declared_module(line) {
            declarations.push((name, given_path.take()));
        } else if !line.starts_with("#[") {
            given_path = None;
        }
    }
    declarations
}

fn declared_module(line: &str) -> Option<&str> {
    let (visibility, rest) = line.strip_suffix(';')?.split_once("mod ")?;
    let is_declaration = visibility.is_empty() || visibility.starts_with("pub");
    let is_name = rest.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_declaration && is_name).then_some(rest)
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Room;

    #[test]
    fn a_file_that_nothing_declares_is_found() {
        let mut repository = Repository::of(&[
            ("store/lib.rs", "mod audit;\npub mod sqlite;\npub(crate) mod mongo;\n// mod gone;\n"),
            ("store/audit.rs", "mod entry;\n"),
            ("store/audit/entry.rs", ""),
            ("store/sqlite/mod.rs", "mod audit;\n"),
            ("store/sqlite/audit.rs", ""),
            ("store/mongo.rs", "#[cfg(test)]\n#[path = \"mongo_tests.rs\"]\nmod tests;\n"),
            ("store/mongo_tests.rs", ""),
            ("store/gone.rs", ""),
            ("store/entry.rs", ""),
            ("store/tests/conformance/main.rs", "mod audit;\n"),
            ("store/tests/conformance/audit.rs", ""),
            ("src/main.rs", "mod costs;\n"),
            ("src/costs.rs", ""),
        ]);
        let targets = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        let store = targets(&["store/lib.rs", "store/tests/conformance/main.rs"]);
        repository.rooms = vec![
            Room { targets: store, ..Room::default() },
            Room { targets: targets(&["src/main.rs"]), ..Room::default() },
        ];
        assert_eq!(
            findings(&repository),
            ["store/entry.rs: no crate declares it", "store/gone.rs: no crate declares it"]
        );
    }
}
