//! Paths: where in an organization spend belongs, as a tree (`acme/search/query-rewrite`).
//!
//! The empty path is the environment itself, above every root.

use std::fmt;

/// Most segments of a path.
pub const DEPTH_MAX: usize = 16;

/// Most characters of a segment.
pub const SEGMENT_MAX: usize = 64;

/// A text that is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Too many segments.
    #[error("a path has at most {DEPTH_MAX} segments")]
    TooDeep,
    /// A segment with other characters, or of a wrong length.
    #[error(
        "a path's segments have 1 to {SEGMENT_MAX} characters of a-z, 0-9, `.`, `_` and `-`, \
         and start with a letter or digit"
    )]
    Segment,
}

/// A node of the tree of paths. Order is that of the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(String);

impl Path {
    /// The environment itself: the path above every root.
    #[must_use]
    pub const fn root() -> Path {
        Path(String::new())
    }

    /// Reads a path. The empty text is the environment itself. Nothing is folded or trimmed: two
    /// texts that differ are two paths, or an error.
    ///
    /// ```
    /// use domain::Path;
    /// let path = Path::parse("acme/search").unwrap();
    /// let above: Vec<_> = path.self_and_above().collect();
    /// assert_eq!(above, ["acme/search", "acme", ""]);
    /// assert!(Path::parse("acme//search").is_err());
    /// assert!(Path::parse("Acme").is_err());
    /// ```
    ///
    /// # Errors
    /// [`PathError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        if text.is_empty() {
            return Ok(Path::root());
        }
        for (index, segment) in text.split('/').enumerate() {
            if index >= DEPTH_MAX {
                return Err(PathError::TooDeep);
            }
            if !is_segment(segment) {
                return Err(PathError::Segment);
            }
        }
        Ok(Path(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the environment itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts of this path and all above it, the deepest first, the empty one last.
    pub fn self_and_above(&self) -> impl Iterator<Item = &str> {
        self_and_above(&self.0)
    }

    /// Whether `other` is this path or below it.
    #[must_use]
    pub fn holds(&self, other: &str) -> bool {
        let rest = other.strip_prefix(self.0.as_str());
        self.is_root() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The path above, `None` above the environment itself.
#[must_use]
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/') {
        Some(end) => path.get(..end),
        None if path.is_empty() => None,
        None => Some(""),
    }
}

/// A path's text and the texts of all above it, the deepest first, the empty one last.
pub fn self_and_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| parent(path))
}

fn is_segment(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte: u8| plain(byte) || matches!(byte, b'.' | b'_' | b'-');
    segment.len() <= SEGMENT_MAX
        && segment.bytes().next().is_some_and(plain)
        && segment.bytes().all(allowed)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_plain_and_at_most_sixteen() {
        let deep = vec!["a"; 16].join("/");
        assert!(Path::parse(&deep).is_ok());
        assert_eq!(Path::parse(&format!("{deep}/a")), Err(PathError::TooDeep));
        let long = "a".repeat(64);
        assert!(Path::parse(&long).is_ok());
        for bad in ["/", "a/", "/a", "A", "a b", "-a", "a/.b", "ä", "..", &format!("{long}a")] {
            assert_eq!(Path::parse(bad), Err(PathError::Segment), "{bad}");
        }
    }

    #[test]
    fn a_path_holds_itself_and_what_is_below_and_no_namesake() {
        let path = Path::parse("acme/app").unwrap();
        assert!(path.holds("acme/app") && path.holds("acme/app/x"));
        assert!(!path.holds("acme/app2") && !path.holds("acme"));
        assert!(Path::root().holds("") && Path::root().holds("x"));
    }
}
