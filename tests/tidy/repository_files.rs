//! The repository as the checks see it: its text files, and its rooms with what each uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Folders that hold nothing of ours.
const SKIPPED_FOLDERS: &[&str] = &[".git", "node_modules", "target"];

/// A text file.
#[derive(Debug, Clone)]
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl File {
    /// Whether its name ends with a dot and `extension`.
    #[must_use]
    pub fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, end)| end == extension)
    }

    /// The folder it lies in; empty for the root.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or("")
    }
}

/// A crate: a folder with a `Cargo.toml`.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// Its folder from the root; `.` for the binary.
    pub name: String,
    /// Root files of its library, binaries, tests and benches.
    pub targets: BTreeSet<String>,
    /// Rooms that it is built with.
    pub uses: BTreeSet<String>,
    /// Rooms that only its tests use.
    pub tests_use: BTreeSet<String>,
    /// Crates from outside that it is built with.
    pub outside: BTreeSet<String>,
}

/// All text files and rooms.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    /// By path.
    pub files: BTreeMap<String, File>,
    /// By name.
    pub rooms: Vec<Room>,
}

impl Repository {
    /// Reads this repository.
    ///
    /// # Errors
    /// Where a file cannot be read or `cargo metadata` fails.
    pub fn read() -> Result<Repository> {
        let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?;
        let mut repository = Repository::default();
        repository.add_folder(&root, &root)?;
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .no_deps()
            .other_options(vec!["--offline".to_owned(), "--locked".to_owned()])
            .exec()
            .context("`cargo metadata` failed")?;
        repository.rooms = metadata.packages.iter().map(|package| room(&root, package)).collect();
        repository.rooms.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(repository)
    }

    /// A repository of these files, for the tests of a check.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Repository {
        let file = |(path, text): &(&str, &str)| {
            ((*path).to_owned(), File { path: (*path).to_owned(), text: (*text).to_owned() })
        };
        Repository { files: files.iter().map(file).collect(), rooms: Vec::new() }
    }

    /// Files whose names end with a dot and `extension`, in order.
    pub fn files_of<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.values().filter(move |file| file.is(extension))
    }

    fn add_folder(&mut self, root: &Path, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            if SKIPPED_FOLDERS.iter().any(|skipped| name == *skipped) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.add_folder(root, &path)?;
            } else if let Ok(text) = String::from_utf8(fs::read(&path)?) {
                let path = relative(root, &path);
                self.files.insert(path.clone(), File { path, text });
            }
        }
        Ok(())
    }
}

fn room(root: &Path, package: &Package) -> Room {
    let folder = |manifest: &Path| match relative(root, manifest) {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    };
    let mut room = Room::default();
    if let Some(path) = package.manifest_path.parent() {
        room.name = folder(path.as_std_path());
    }
    room.targets = package
        .targets
        .iter()
        .map(|target| relative(root, target.src_path.as_std_path()))
        .collect();
    for dependency in &package.dependencies {
        let is_for_tests = dependency.kind == DependencyKind::Development;
        match &dependency.path {
            Some(path) if is_for_tests => room.tests_use.insert(folder(path.as_std_path())),
            Some(path) => room.uses.insert(folder(path.as_std_path())),
            None if is_for_tests => false,
            None => room.outside.insert(dependency.name.clone()),
        };
    }
    room
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
