//! YAML as plain text: scalars are never made into numbers, and merge keys (`<<`) are resolved.

use std::collections::BTreeMap;

use saphyr::{Yaml, YamlLoader};
use saphyr_parser::Parser;

/// A node of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A scalar as it is written.
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl Node {
    /// Reads the first document. No figure passes through a float.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut loader = YamlLoader::<Yaml<'_>>::default();
        loader.early_parse(false);
        let mut parser = Parser::new_from_str(text);
        parser.load(&mut loader, true).map_err(|error| error.to_string())?;
        if let Some(error) = loader.error() {
            return Err(error.to_string());
        }
        match loader.into_documents().first() {
            Some(document) => Self::of(document),
            None => Err("the document is empty".to_owned()),
        }
    }

    fn of(yaml: &Yaml<'_>) -> Result<Self, String> {
        match yaml {
            Yaml::Representation(text, ..) => Ok(Self::Text(text.to_string())),
            Yaml::Sequence(items) => {
                Ok(Self::List(items.iter().map(Self::of).collect::<Result<_, _>>()?))
            }
            Yaml::Mapping(entries) => {
                let mut map = BTreeMap::new();
                let mut merged = Vec::new();
                for (key, value) in entries {
                    match (Self::of(key)?, Self::of(value)?) {
                        (Self::Text(key), Self::Map(value)) if key == "<<" => merged.push(value),
                        (Self::Text(key), value) => {
                            map.insert(key, value);
                        }
                        _ => return Err("a key that is no text".to_owned()),
                    }
                }
                for (key, value) in merged.into_iter().flatten() {
                    map.entry(key).or_insert(value);
                }
                Ok(Self::Map(map))
            }
            Yaml::Tagged(_, node) => Self::of(node),
            Yaml::Value(_) | Yaml::Alias(_) | Yaml::BadValue => {
                Err("a node that is neither text nor a collection".to_owned())
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; a text is a list of one.
    pub(crate) fn items(&self, key: &str) -> &[Self] {
        match self.get(key) {
            Some(Self::List(items)) => items,
            Some(one @ Self::Text(_)) => std::slice::from_ref(one),
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stay_as_they_are_written() {
        let node = Node::parse("a: 0.10\nb: \"2.50\"\nc: [1e-3]\n").unwrap();
        assert_eq!((node.text("a"), node.text("b")), (Some("0.10"), Some("2.50")));
        assert_eq!(node.items("c"), [Node::Text("1e-3".to_owned())]);
    }

    #[test]
    fn merged_keys_are_there_and_own_keys_win() {
        let node = Node::parse("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}\n").unwrap();
        let b = node.get("b").unwrap();
        assert_eq!((b.text("k"), b.text("l")), (Some("1"), Some("3")));
    }

    #[test]
    fn broken_yaml_says_where() {
        let error = Node::parse("a: [1, 2\nb: 3").unwrap_err();
        assert!(error.contains("line"), "{error}");
    }
}
