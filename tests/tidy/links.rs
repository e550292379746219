//! Links between the repository's own documents lead somewhere.

use crate::{File, Repository};

/// Links to files that are not there.
#[must_use]
pub fn findings(repository: &Repository) -> Vec<String> {
    repository.files_of("md").flat_map(|file| file_findings(repository, file)).collect()
}

fn file_findings(repository: &Repository, file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    let mut is_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for target in targets(line).filter(|target| is_ours(target)) {
            let path = target.split('#').next().unwrap_or("");
            if !exists(repository, &resolved(file.folder(), path)) {
                findings.push(format!("{}:{}: no file `{path}`", file.path, index + 1));
            }
        }
    }
    findings
}

/// What stands between `](` and the next `)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

fn is_ours(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

fn exists(repository: &Repository, path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    repository.files.contains_key(path)
        || repository.files.keys().any(|known| known.starts_with(&folder))
}

fn resolved(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_file_or_folder() {
        let text = "[a](../README.md#top) [b](traps.md), [c](decisions/) [d](https://x.example/y)\n\
                    [e](#here) `[f]` \n```\n[g](gone.md)\n```\n[h](gone.md) [i](../gone/)\n";
        let repository = Repository::of(&[
            ("docs/testing.md", text),
            ("docs/traps.md", ""),
            ("docs/decisions/README.md", ""),
            ("README.md", ""),
        ]);
        assert_eq!(
            findings(&repository),
            ["docs/testing.md:6: no file `gone.md`", "docs/testing.md:6: no file `../gone/`"]
        );
    }
}
