//! Where in a TOML text something stands, by its JSON pointer.

use toml::de::{DeTable, DeValue};

/// Something wrong in a file of prices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {detail}")]
pub struct FileProblem {
    /// The file's name.
    pub file: String,
    /// Line, from one.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl FileProblem {
    pub(crate) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> FileProblem {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        FileProblem { file: file.to_owned(), line, detail: error.message().to_owned() }
    }
}

/// The line, from one, of the deepest part of `pointer` that is there; 1 for an unreadable text.
pub(crate) fn line_of(text: &str, pointer: &str) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 1 };
    let mut start = 0;
    let mut value: Option<&DeValue<'_>> = None;
    for segment in pointer.split('/').skip(1) {
        let table = match value {
            None => Some(table.get_ref()),
            Some(DeValue::Table(table)) => Some(table),
            Some(_) => None,
        };
        let index = segment.parse::<usize>().ok();
        let next = match (table, value) {
            (Some(table), _) => table.get(segment),
            (None, Some(DeValue::Array(items))) => index.and_then(|at| items.get(at)),
            _ => None,
        };
        let Some(next) = next else { break };
        start = next.span().start;
        value = Some(next.get_ref());
    }
    text.get(..start).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_its_line() {
        let text = "a = 1\n\n[[b]]\nc = 2\n\n[[b]]\nc = 3\nd = { e = 4 }\n";
        for (pointer, line) in
            [("/a", 1), ("/b/0/c", 4), ("/b/1/c", 7), ("/b/1/d/e", 8), ("/b/1/c/gone", 7)]
        {
            assert_eq!(line_of(text, pointer), line, "{pointer}");
        }
        assert_eq!(line_of("= broken", "/a"), 1);
    }
}
