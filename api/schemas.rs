//! What values may be, in the words of the OpenAPI document: bounds, patterns and closed lists of
//! the texts that routes read and answer. A client's generator and a fuzzer know them from nowhere
//! else.
//!
//! Each is a type that only stands in `value_type = …`; the texts themselves are read by the
//! routes.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{AnyOf, AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type},
    },
};

macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::from($schema))
            }
        }

        impl ToSchema for $name {}
    )*};
}

schemas! {
    /// How costs are cut into periods.
    Granularity = words(&["hour", "day", "week", "month", "total"]);
    /// A provider's own finest cut.
    Finest = words(&["minute", "hour", "day"]);
    /// Which costs.
    Source = words(&["billed", "reported"]);
    /// By which door an event came.
    EventSource = words(&["track", "commit", "otlp", "cloudevents", "reversal", "reprice"]);
    /// What becomes of a deleted connection's charges.
    ChargesFate = words(&["keep", "delete"]);
    /// What a bad row does to its file.
    OnError = words(&["reject", "skip"]);
    /// How a connection is.
    ConnectionStatus = words(&["syncing", "ok", "needs_attention", "paused"]);
    /// How far a sync is.
    SyncState = words(&["queued", "running", "done", "failed"]);
    /// How far a file's import is.
    FileState = words(&["queued", "parsing", "needs_mapping", "done", "failed"]);
    /// Whether a cost could be said.
    PriceStatus = words(&["priced", "partial", "unpriced"]);
    /// How sure a price is.
    Confidence = words(&["agreed", "single", "ruled", "inferred", "disputed", "own"]);
    /// What a provider's own block of usage is.
    RawFormat = words(&[
        "openai_chat", "openai_responses", "openai_embeddings", "openai_images", "openai_audio",
        "openai_realtime", "anthropic_messages", "gemini_generate", "bedrock_converse",
        "xai_chat", "mistral_chat", "cohere_chat",
    ]);
    /// What a charge is for.
    Category = words(&["usage", "purchase", "tax", "credit", "adjustment"]);
    /// How hard a policy is.
    PolicyMode = words(&["open", "block", "strict"]);
    /// What is answered while nobody can tell how much is used.
    OnUnavailable = words(&["refuse", "allow"]);
    /// Whether a policy is in force.
    PolicyState = words(&["opening", "active"]);
    /// What a policy counts.
    LimitUnit = words(&["usd", "credits", "requests", "tokens"]);
    /// A calendar's period.
    CalendarUnit = words(&["minute", "hour", "day", "week", "month", "quarter", "year"]);
    /// How full the fullest policy is.
    Health = words(&["none", "healthy", "warning", "critical", "over"]);
    /// Which kind of window.
    WindowKind = words(&["calendar", "anchored", "session", "sliding", "total"]);
    /// What became of a report.
    EventStatus = words(&["accepted", "duplicate", "rejected"]);
    /// How a reservation is.
    ReservationState = words(&["held", "committed", "released", "expired"]);
    /// A node of the tree of paths; empty: the environment itself.
    PathText = text().pattern(Some(PATH_PATTERN));
    /// A policy's id.
    PolicyKey = text().pattern(Some("^pol_[0-9a-hjkmnp-tv-z]{26}$"));
    /// A reservation's id.
    ReservationKey = text().pattern(Some("^res_[0-9a-hjkmnp-tv-z]{26}$"));
    /// A duration of ISO 8601.
    Duration = text().pattern(Some("^P[0-9YMWDTHS]+$"));
    /// What an API key may do.
    ScopeName = words(&["read", "write", "track", "admin"]);
    /// Which of an organization's two worlds.
    EnvironmentName = words(&["live", "test"]);
    /// A day of the week.
    WeekdayName = words(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
    /// A provider or a service.
    Slug = text().pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"));
    /// An ISO 4217 code in either case.
    CurrencyCode = text().pattern(Some("^[A-Za-z]{3}$"));
    /// A connection's id.
    ConnectionKey = text().pattern(Some("^conn_[0-9a-hjkmnp-tv-z]{26}$"));
    /// The place where a page begins.
    Cursor = text().pattern(Some("^[A-Za-z0-9_-]+$"));
    /// Dimensions with commas; none is fine.
    GroupBy = text().pattern(Some(concat!(
        "^(|(provider|service|model|unit|connection|sub_account|api_key|path|end_user|call_site",
        "|tag:[^,]+)(,(provider|service|model|unit|connection|sub_account|api_key|path|end_user",
        "|call_site|tag:[^,]+))*)$",
    )));
    /// An API key's id.
    ApiKeyId = text().pattern(Some("^key_[0-7][0-9a-hjkmnp-tv-z]{25}$"));
    /// An end user's id, as whoever reports calls it.
    EndUserId = text().min_length(Some(1)).max_length(Some(256));
    /// How many items a page may have.
    Limit = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Integer))
        .minimum(Some(1))
        .maximum(Some(1000))
        .default(Some(100.into()));
    /// A date or an instant.
    Moment = Schema::AnyOf(either(&[KnownFormat::Date, KnownFormat::DateTime]));
}

const PATH_PATTERN: &str = "^([a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63}){0,15})?$";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

fn words(words: &'static [&'static str]) -> ObjectBuilder {
    text().enum_values(Some(words.iter().copied()))
}

fn either(formats: &[KnownFormat]) -> AnyOf {
    let format = |format: &KnownFormat| SchemaFormat::KnownFormat(format.clone());
    let texts = formats.iter().map(|known| text().format(Some(format(known))));
    texts.fold(AnyOfBuilder::new(), AnyOfBuilder::item).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_exactly<T: PartialSchema>(words: &[&str]) {
        let schema = serde_json::to_value(T::schema()).unwrap();
        assert_eq!(schema["enum"], serde_json::json!(words));
    }

    #[test]
    fn closed_lists_are_the_domains() {
        has_exactly::<ConnectionStatus>(&domain::ConnectionStatus::ALL.map(|word| word.as_str()));
        has_exactly::<SyncState>(&domain::connection::SyncState::ALL.map(|word| word.as_str()));
        has_exactly::<FileState>(&domain::FileState::ALL.map(|word| word.as_str()));
        has_exactly::<RawFormat>(&usage::RawFormat::ALL.map(|word| word.as_str()));
        has_exactly::<LimitUnit>(&domain::LimitUnit::ALL.map(|word| word.as_str()));
        has_exactly::<ScopeName>(&domain::Scope::ALL.map(|word| word.as_str()));
        has_exactly::<WeekdayName>(&domain::time::WEEKDAYS.map(|(_, name)| name));
        has_exactly::<Category>(&domain::ChargeCategory::ALL.map(|word| word.as_str()));
    }
}
