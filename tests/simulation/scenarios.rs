//! Single stories, by name.
