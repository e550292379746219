//! Lists in pages: `?limit=&cursor=` in, `{"data": […], "next_cursor": …}` out.
//!
//! A cursor is opaque to clients: base64 of the place after which the next page begins. It names a
//! place, not a row, so it still holds when that row is deleted.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use store::PageQuery;
use utoipa::{IntoParams, ToSchema};

use crate::{
    error::{ApiError, FieldError},
    schemas,
};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// The parameters of a list that has no others.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Most items, 1 to 1000; 100 if absent.
    #[param(inline, value_type = schemas::Limit, required = false)]
    limit: Option<String>,
    /// The `next_cursor` of the page before.
    #[param(inline, value_type = schemas::Cursor, required = false)]
    cursor: Option<String>,
}

impl ListQuery {
    /// The page that is asked for.
    pub(crate) fn asked(&self) -> Result<Asked, ApiError> {
        Asked::parse(self.limit.as_deref(), self.cursor.as_deref())
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// Send as `cursor` for the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The page with its items in another form.
    pub(crate) fn map<U>(self, form: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(form).collect(), next_cursor: self.next_cursor }
    }

    /// The page with its items in another form, which may not be there.
    pub(crate) fn try_map<U, E>(self, form: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let data = self.data.into_iter().map(form).collect::<Result<_, _>>()?;
        Ok(Page { data, next_cursor: self.next_cursor })
    }
}

/// Which page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Most items.
    pub(crate) limit: usize,
    /// The place after which the page begins.
    pub(crate) after: Option<String>,
}

impl Asked {
    /// Reads `limit` and `cursor`.
    pub(crate) fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Asked, ApiError> {
        let limit = match limit {
            None => LIMIT_DEFAULT,
            Some(text) => {
                let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                limit.ok_or_else(|| FieldError::parameter("limit", "`limit` is 1 to 1000"))?
            }
        };
        let after = cursor.map(|cursor| place(cursor).ok_or_else(refused_cursor)).transpose()?;
        Ok(Asked { limit, after })
    }

    /// The same question for the store.
    pub(crate) fn query(&self) -> PageQuery {
        PageQuery { limit: self.limit, after: self.after.clone() }
    }

    /// Whether the page may have a next one: only a full one can.
    pub(crate) fn is_filled_by<T>(&self, items: &[T]) -> bool {
        items.len() >= self.limit
    }
}

/// The page of items that are all at hand, in the order of their places.
pub(crate) fn page_of<T>(items: Vec<T>, asked: &Asked, place: impl Fn(&T) -> String) -> Page<T> {
    let is_after = |item: &T| asked.after.as_ref().is_none_or(|after| place(item) > *after);
    let mut rest = items.into_iter().filter(is_after).peekable();
    let data: Vec<T> = rest.by_ref().take(asked.limit).collect();
    let has_more = rest.peek().is_some();
    let next_cursor = data.last().filter(|_| has_more).map(|last| cursor(&place(last)));
    Page { data, next_cursor }
}

/// The cursor of a place.
pub(crate) fn cursor(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// What is said of a cursor that none of our answers held.
pub(crate) fn refused_cursor() -> ApiError {
    FieldError::parameter("cursor", "`cursor` is the `next_cursor` of an earlier answer").into()
}

fn place(cursor: &str) -> Option<String> {
    let place = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    // An empty one would begin the list again, and a client that loops would never end.
    (!place.is_empty()).then_some(place)
}

/// A page of items that lie in a store: a full one is followed by a question whether anything comes
/// after it.
macro_rules! paged {
    ($asked:expr, $place:expr, |$query:ident| $fetch:expr) => {{
        let asked: &$crate::pages::Asked = $asked;
        let $query = asked.query();
        let items = $fetch.await?;
        let mut next_cursor = None;
        if asked.is_filled_by(&items)
            && let Some(last) = items.last()
        {
            let last = $place(last);
            let $query = store::PageQuery { limit: 1, after: Some(last.clone()) };
            if !$fetch.await?.is_empty() {
                next_cursor = Some($crate::pages::cursor(&last));
            }
        }
        $crate::pages::Page { data: items, next_cursor }
    }};
}
pub(crate) use paged;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let asked = Asked::parse(Some("2"), Some(&cursor("conn_1"))).unwrap();
        assert_eq!(asked, Asked { limit: 2, after: Some("conn_1".into()) });
        assert_eq!(Asked::parse(None, None).unwrap().limit, 100);
    }

    #[test]
    fn limits_beyond_a_thousand_and_foreign_cursors_are_refused() {
        for limit in ["0", "1001", "-1", "ten", "", "1.5"] {
            assert!(Asked::parse(Some(limit), None).is_err(), "{limit}");
        }
        for cursor in ["%%%", "", "=", "/w"] {
            assert!(Asked::parse(None, Some(cursor)).is_err(), "{cursor}");
        }
    }
}
